"""Training steps on a card beside PyTorch's and JAX's, what they come to beside the CPU's, and the memory that they take."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else JAX takes most of the card's memory

import numpy as np  # noqa: E402
from gpu_clock import Contender  # noqa: E402

import autograd_gpu as ag  # noqa: E402

NETWORKS: dict[str, tuple[tuple[int, ...], int]] = {  # the sizes of an MLP, or the channels of a CNN, and the batch
    "digits 64-32-10": ((64, 32, 10), 32),
    "MLP-64 784-256-128-10": ((784, 256, 128, 10), 64),
    "CNN 16-32": ((16, 32), 64),
    "MLP 784-256-128-10, batch 512": ((784, 256, 128, 10), 512),
}


def torch_on_card() -> Any:
    """PyTorch, if it is installed and sees the card; else None. float32 is float32: convolutions would be TF32 otherwise."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch


def jax_on_card() -> Any:
    """JAX, if it is installed and sees the card; else None. float32 is float32, where it would be TF32."""
    try:
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
        return jax if jax.default_backend() == "gpu" else None
    except Exception:  # RuntimeError: a plugin that does not find its libraries
        return None


def mlp(lib: Any, sizes: tuple[int, ...]) -> Any:
    """Linear layers with ReLUs between them: ours or PyTorch's, on the CPU."""
    layers: list[Any] = []
    for m, n in zip(sizes, sizes[1:], strict=False):
        layers += [lib.nn.Linear(m, n), lib.nn.ReLU()]
    return lib.nn.Sequential(*layers[:-1])


def cnn(lib: Any, first: int, second: int) -> Any:
    """Two convolutions with pooling for pixels 28x28."""
    nn = lib.nn
    return nn.Sequential(
        *(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(second * 7 * 7, 10)),
    )


def batches(name: str, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and labels: the same for all."""
    sizes, batch = NETWORKS[name]
    rng = np.random.default_rng(0)
    shape = (batch, 1, 28, 28) if name.startswith("CNN") else (batch, sizes[0])
    return [(rng.standard_normal(shape, dtype="f4"), rng.integers(0, 10, batch)) for _ in range(count)]


def training(
    lib: Any, name: str, device: str = "cuda", optimizer: str = "Adam", count: int = 1, **options: Any
) -> tuple[Any, Callable[[], None]]:
    """A network with its weights as seed 0 gives them, and a training step of it, on the next of `count` batches each time."""
    sizes, _ = NETWORKS[name]
    lib.manual_seed(0)
    model = (cnn(lib, *sizes) if name.startswith("CNN") else mlp(lib, sizes)).to(device)
    data = [(lib.tensor(x, device=device), lib.tensor(y, device=device)) for x, y in batches(name, count)]
    return model, stepping(lib, model, getattr(lib.optim, optimizer)(model.parameters(), **options), data)


def stepping(lib: Any, model: Any, optimizer: Any, data: list[tuple[Any, Any]]) -> Callable[[], None]:
    """A training step with cross entropy, on the next batch each time."""
    loss_of, turn = lib.nn.CrossEntropyLoss(), [0]

    def run() -> None:
        x, y = data[turn[0] % len(data)]
        turn[0] += 1
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def jax_step(jax: Any, name: str) -> Contender:
    """The same step in JAX, compiled."""
    jnp, rng = jax.numpy, np.random.default_rng(0)
    sizes, _ = NETWORKS[name]
    convolutional = name.startswith("CNN")
    pairs = [(sizes[1] * 49, 10)] if convolutional else list(zip(sizes, sizes[1:], strict=False))
    filters = [(1, sizes[0]), sizes] if convolutional else []
    weights = [(rng.normal(size=(n, m, 3, 3)) / (9 * m) ** 0.5, np.zeros((n, 1, 1))) for m, n in filters]
    weights += [(rng.normal(size=(m, n)) / m**0.5, np.zeros(n)) for m, n in pairs]
    weights = jax.tree.map(lambda a: jnp.asarray(a, "float32"), weights)
    x, y = (jnp.asarray(a) for a in batches(name, 1)[0])

    def loss(weights: Any) -> Any:
        h = x
        for w, b in weights[: len(filters)]:
            h = jax.nn.relu(jax.lax.conv_general_dilated(h, w, (1, 1), "SAME") + b)
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        h = h.reshape(len(h), -1)
        for w, b in weights[len(filters) : -1]:
            h = jax.nn.relu(h @ w + b)
        logits = jax.nn.log_softmax(h @ weights[-1][0] + weights[-1][1])
        return -jnp.take_along_axis(logits, y[:, None], 1).mean()

    @jax.jit
    def step(state: Any) -> Any:
        weights, m, v, t = state
        g = jax.grad(loss)(weights)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        new = jax.tree.map(lambda w, m, v: w - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), weights, m, v)
        return new, m, v, t + 1

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [(weights, zeros, zeros, jnp.float32(1))]

    def run() -> None:
        state[0] = step(state[0])

    return Contender(run, lambda: jax.block_until_ready(state[0]), seen=False)


# -- what comes out ----------------------------------------------------------------------------------------------------------


def difference(lib: Any, name: str, optimizer: str, steps: int, **options: Any) -> float:
    """The largest relative difference of the weights after so many steps on the card and on the CPU: for each weight's array
    the largest difference over the largest number in it, and of those the largest."""
    ends = []
    for device in ("cpu", "cuda"):
        model, step = training(lib, name, device, optimizer, 8, **options)
        for _ in range(steps):
            step()
        ends.append([p.detach().double().cpu().numpy() for p in model.parameters()])
    worst = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(*ends, strict=True))
    if not math.isfinite(worst):
        raise ArithmeticError("the weights are not finite")
    return worst


# Adam divides a gradient by its own size, so that where it is nearly zero rounding decides; SGD shows the rounding as it is
OPTIMIZERS: dict[str, dict[str, Any]] = {"Adam": {}, "SGD": {"lr": 0.05, "momentum": 0.9}}


def agreement(name: str, steps: int, torch: Any, failed: Callable[[str, Exception], None]) -> dict[str, Any]:
    """How far card and CPU are apart after training on each, with ours and with PyTorch's."""
    row: dict[str, Any] = {"network": name, "steps": steps}
    for who, lib in (("autograd_gpu", ag), ("torch", torch)):
        if lib is None:
            continue
        row[who] = {}
        for optimizer, options in OPTIMIZERS.items():
            try:
                row[who][optimizer] = difference(lib, name, optimizer, steps, **options)
            except Exception as error:
                failed(f"{who}, {optimizer}", error)
    return row


# -- memory ------------------------------------------------------------------------------------------------------------------


def memory(small: bool, left_out: list[str], save: Callable[[dict], None]) -> None:
    """Bytes during a training run: allocated at its end and at most, held by the pool, in use by the driver."""
    batch = 64 if small else 8192
    sizes = (64, 32, 10) if small else (784, 4096, 4096, 10)
    parameters = sum(m * n + n for m, n in zip(sizes, sizes[1:], strict=False))
    save({"network": "-".join(map(str, sizes)), "batch": batch, "parameter_bytes": 4 * parameters})

    def measured(lib: Any) -> dict[str, int]:
        lib.cuda.synchronize()
        free, total = lib.cuda.mem_get_info()
        lib.cuda.reset_peak_memory_stats()
        before = lib.cuda.memory_allocated()
        model = mlp(lib, sizes).to("cuda")
        x = lib.tensor(np.random.default_rng(0).standard_normal((batch, sizes[0]), dtype="f4"), device="cuda")
        y = lib.tensor(np.random.default_rng(1).integers(0, sizes[-1], batch), device="cuda")
        step = stepping(lib, model, lib.optim.Adam(model.parameters()), [(x, y)])
        for _ in range(3):
            step()
        lib.cuda.synchronize()
        return {
            "allocated": lib.cuda.memory_allocated() - before,
            "most_allocated": lib.cuda.max_memory_allocated() - before,
            "reserved": lib.cuda.memory_reserved(),
            "driver_in_use": free - lib.cuda.mem_get_info()[0],
            "total": total,
        }

    save(measured(ag))
    torch = torch_on_card()
    if torch is None:
        left_out.append("PyTorch does not see the card")
        return
    try:
        save({"torch": measured(torch)})
    except Exception as error:
        left_out.append(f"PyTorch's memory: {type(error).__name__}: {error}")
