"""What the doctor costs: training steps watched and not watched, in turns, in one run and on one thread.

    python benchmarks/doctor.py

Shown is the median over the turns of the ratio of two neighbours, one watched and one not, so that a slow stretch of the machine
meets both. The first looks, which are at everything, are not in it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import autograd_gpu as ag
from autograd_gpu import doctor, nn, optim

CASES = (
    ("digits MLP 64-128-10, batch 32, Adam", (64, 128, 10), 32, optim.Adam, 100),
    ("digits MLP 64-128-10, batch 32, SGD", (64, 128, 10), 32, optim.SGD, 100),
    ("MLP 784-256-128-10, batch 64, Adam", (784, 256, 128, 10), 64, optim.Adam, 40),
)
TURNS = 100
AFTER_START = 10  # steps, with the full looks among them


def case(sizes: Sequence[int], batch: int, method: Callable, steps: int) -> tuple[float, float, float]:
    """Seconds a step, the cost of watching every tenth step, and that of a watch that does not look, as shares of a step."""
    ag.manual_seed(0)
    layers = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    x, y = ag.randn(batch, sizes[0]), ag.randint(sizes[-1], (batch,))
    optimizer, loss_of = method(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def run(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return (time.perf_counter() - start) / n

    def watched(every: int) -> float:
        with doctor.watch(model, optimizer, every):
            run(AFTER_START)
            return run(steps)

    run(steps)
    plain, looking, idle = [], [], []
    for _ in range(TURNS):
        plain.append(run(steps))
        looking.append(watched(10) / plain[-1])
        idle.append(watched(10**9) / plain[-1])
    return statistics.median(plain), statistics.median(looking) - 1, statistics.median(idle) - 1


def main() -> None:
    """Print a line for each case."""
    ag.set_num_threads(1)
    for name, *how in CASES:
        seconds, looking, idle = case(*how)
        print(f"{name:40s} {seconds * 1e6:8.1f} us a step, every tenth {looking:+.1%}, between looks {idle:+.1%}", flush=True)


if __name__ == "__main__":
    main()
