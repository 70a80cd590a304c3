"""Checkpoints: a run that goes on from one does what it would have done, bit for bit, every scheduler can be saved, and
files are written whole or not at all."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.data import DataLoader, TensorDataset
from autograd_gpu.io import load, load_checkpoint, save, save_checkpoint

from .test_io import ENVIRONMENT, same


class Run:
    """A training run in which everything is random that can be: dropout, the order of samples, noise of Python and NumPy."""

    def __init__(self, optimizer, scheduler, seed=0):
        ag.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        self.model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
        self.optimizer = optimizer(self.model.parameters())
        self.scheduler = scheduler(self.optimizer)
        self.scaler = ag.amp.GradScaler("cpu", init_scale=256.0, growth_interval=4)
        rng = np.random.default_rng(1)
        x, y = ag.tensor(rng.normal(size=(40, 6)), dtype=ag.float32), ag.tensor(rng.integers(0, 3, 40))
        self.loader = DataLoader(TensorDataset(x, y), 6, shuffle=True)
        self.batches = None
        self.parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "loader": self.loader,
        }

    def steps(self, count):
        losses = []
        for _ in range(count):
            batch = next(self.batches, None) if self.batches is not None else None
            if batch is None:
                self.batches = iter(self.loader)
                batch = next(self.batches)
            x, y = batch
            loss = nn.functional.cross_entropy(self.model(x + random.random() + np.random.rand()), y)
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.scheduler.step()
            losses.append(loss.item())
        return losses


OPTIMIZERS = {
    "SGD": lambda p: ag.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: ag.optim.Adam(p, 0.01, amsgrad=True),
    "AdamW": lambda p: ag.optim.AdamW(p, 0.01),
    "RMSprop": lambda p: ag.optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: ag.optim.Adagrad(p, 0.1),
    "NAdam": lambda p: ag.optim.NAdam(p, 0.01),
}
schedulers = ag.optim.lr_scheduler
SCHEDULERS = {
    "SGD": lambda o: schedulers.OneCycleLR(o, 0.2, total_steps=40),
    "Adam": lambda o: schedulers.MultiStepLR(o, [5, 12, 15]),
    "AdamW": lambda o: schedulers.SequentialLR(
        o, [schedulers.LinearLR(o, 0.1, total_iters=8), schedulers.CosineAnnealingLR(o, 20)], [8]
    ),
    "RMSprop": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 7),
    "Adagrad": lambda o: schedulers.LambdaLR(o, lambda epoch: 0.95**epoch),
    "NAdam": lambda o: schedulers.CyclicLR(o, 0.001, 0.01, 3, cycle_momentum=False),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_goes_on_bit_for_bit(tmp_path, name):
    """In the middle of an epoch too: 10 steps are one epoch of 7 batches and 3 more."""
    first = Run(OPTIMIZERS[name], SCHEDULERS[name])
    first.steps(10)
    path = save_checkpoint(tmp_path / "run.npz", **first.parts, step=10, best=0.5)
    expected = first.steps(10)

    second = Run(OPTIMIZERS[name], SCHEDULERS[name], seed=99)
    second.steps(1)
    assert load_checkpoint(path, **second.parts) == {"step": 10, "best": 0.5}
    second.batches = iter(second.loader)
    assert second.steps(10) == expected
    for ours, theirs in zip(second.model.state_dict().values(), first.model.state_dict().values(), strict=True):
        same(ours, theirs)
    same(second.optimizer.state_dict()["state"], first.optimizer.state_dict()["state"])
    assert second.scheduler.get_last_lr() == first.scheduler.get_last_lr()
    assert second.scaler.get_scale() == first.scaler.get_scale()


FRESH = """
import sys
from tests.test_checkpoints import OPTIMIZERS, SCHEDULERS, Run, load_checkpoint
run = Run(OPTIMIZERS["AdamW"], SCHEDULERS["AdamW"], seed=5)
load_checkpoint(sys.argv[1], **run.parts)
run.batches = iter(run.loader)
print(*[loss.hex() for loss in run.steps(10)])
"""


def test_a_run_goes_on_in_a_fresh_process(tmp_path):
    run = Run(OPTIMIZERS["AdamW"], SCHEDULERS["AdamW"])
    run.steps(10)
    path = save_checkpoint(tmp_path / "run.npz", **run.parts)
    done = subprocess.run([sys.executable, "-c", FRESH, str(path)], capture_output=True, text=True, timeout=100, env=ENVIRONMENT)
    assert done.stdout.split() == [loss.hex() for loss in run.steps(10)], done.stderr


def test_generators_and_values_in_checkpoints(tmp_path):
    g = ag.Generator().manual_seed(3)
    ag.rand(3, generator=g)
    path = save_checkpoint(tmp_path / "x.npz", generator=g, history=[1.0, 2.0], config={"lr": 0.1})
    expected = ag.rand(3, generator=g)
    other = ag.Generator()
    assert load_checkpoint(path, generator=other) == {"history": [1.0, 2.0], "config": {"lr": 0.1}}
    assert ag.equal(ag.rand(3, generator=other), expected)


def test_checkpoints_that_do_not_fit(tmp_path):
    model = nn.Linear(2, 1)
    path = save_checkpoint(tmp_path / "x.npz", model=model)
    before = model.weight.detach().clone()
    with pytest.raises(KeyError, match=r"no state of \['optimizer'\]: it has \['model'\]"):
        load_checkpoint(path, model=model, optimizer=ag.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(TypeError, match="model cannot be loaded into: a dict"):
        load_checkpoint(path, model={})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_checkpoint(path, model=nn.Linear(3, 1))
    with pytest.raises(ValueError, match="no checkpoint"):
        load_checkpoint(save({"a": 1}, tmp_path / "y.npz"))
    with pytest.raises(ValueError, match="should end in .npz"):
        save_checkpoint(tmp_path / "x.safetensors", model=model)
    assert load_checkpoint(save_checkpoint(tmp_path / "x.ckpt", step=3)) == {"step": 3}
    with pytest.raises(TypeError, match="random"):
        save_checkpoint(tmp_path / "x.npz", random=1)
    assert ag.equal(model.weight, before)


@pytest.mark.parametrize("name", sorted(n for n in vars(schedulers) if n.endswith(("LR", "Restarts", "Plateau"))))
def test_every_scheduler_can_be_saved(tmp_path, name):
    arguments = {
        "LambdaLR": [lambda e: 0.5], "MultiplicativeLR": [lambda e: 0.5], "StepLR": [2], "MultiStepLR": [[1, 3]],
        "ExponentialLR": [0.5], "CosineAnnealingLR": [5], "CosineAnnealingWarmRestarts": [3], "CyclicLR": [0.1, 0.2],
        "OneCycleLR": [0.1, 10], "LRScheduler": None, "ChainedScheduler": None, "SequentialLR": None,
    }  # fmt: skip
    if arguments.get(name, []) is None:
        pytest.skip("made of others")
    optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)], 0.1, momentum=0.9)
    scheduler = getattr(schedulers, name)(optimizer, *arguments.get(name, []))
    optimizer.step()
    scheduler.step(*([0.5] if name == "ReduceLROnPlateau" else []))
    state = scheduler.state_dict()
    found = load(save(state, tmp_path / "x.npz"))
    assert found.keys() == state.keys()
    same(state, found)


# -- whole or not at all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.parametrize("where", ["write", "sync", "replace"])
def test_an_exception_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch, ending, where):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    path = save({"a": ag.ones(3)}, tmp_path / f"x.{ending}")

    def fail(*args, **kw):
        raise OSError(28, "No space left on device")

    target = {
        "write": "autograd_gpu.io.archive.np.lib.format.write_array" if ending == "npz" else "safetensors.numpy.save_file",
        "sync": "os.fsync",
        "replace": "os.replace",
    }
    with monkeypatch.context() as patch:
        patch.setattr(target[where], fail)
        with pytest.raises(OSError, match="No space"):
            save({"a": ag.zeros(3)}, path)
    assert load(path)["a"].tolist() == [1, 1, 1] and os.listdir(tmp_path) == [path.name]


def test_links_and_permissions_stay(tmp_path):
    real = save({"a": ag.ones(1)}, tmp_path / "real.npz")
    os.chmod(real, 0o640)
    os.symlink(real, tmp_path / "link.npz")
    save({"a": ag.zeros(1)}, tmp_path / "link.npz")
    assert os.path.islink(tmp_path / "link.npz") and load(real)["a"].item() == 0 and os.stat(real).st_mode & 0o777 == 0o640


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_permissions_of_new_files_are_those_of_the_umask(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    before = os.umask(0o027)
    try:
        path = save({"a": ag.ones(1)}, tmp_path / f"x.{ending}")
        assert os.stat(path).st_mode & 0o7777 == 0o640
        os.chmod(path, 0o604)
        assert os.stat(save({"a": ag.zeros(1)}, path)).st_mode & 0o7777 == 0o604
        os.umask(0o777)
        assert os.stat(save({"a": ag.zeros(1)}, tmp_path / f"none.{ending}")).st_mode & 0o7777 == 0
    finally:
        os.umask(before)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    os.mkfifo(pipe := tmp_path / f"pipe.{ending}")
    os.symlink(pipe, link := tmp_path / f"link.{ending}")
    for path in (pipe, link):
        read: list[bytes] = []
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_bytes()), daemon=True)
        reader.start()
        save({"a": ag.ones(3)}, path)
        reader.join(20)
        assert pipe.is_fifo() and link.is_symlink() and load(io.BytesIO(read[0]))["a"].tolist() == [1, 1, 1]
    os.symlink("/dev/null", null := tmp_path / f"null.{ending}")
    assert save({"a": ag.ones(3)}, null) == null and null.is_char_device()
    os.symlink(loop := tmp_path / f"loop.{ending}", loop)
    with pytest.raises(OSError, match=f"loop.{ending}"):
        save({"a": ag.ones(3)}, loop)
    assert loop.is_symlink()
    os.symlink(tmp_path / f"new.{ending}", new := tmp_path / f"to.{ending}")
    save({"a": ag.ones(3)}, new)
    assert new.is_symlink() and (tmp_path / f"new.{ending}").is_file() and len(os.listdir(tmp_path)) == 6


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_full_disk_is_an_error_of_the_system(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    resource = pytest.importorskip("resource")
    path = save({"a": ag.ones(3)}, tmp_path / f"x.{ending}")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: .*x.{ending}'$"):
            save({"a": ag.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load(path)["a"].tolist() == [1, 1, 1] and os.listdir(tmp_path) == [path.name]
    if os.path.exists("/dev/full"):
        os.symlink("/dev/full", full := tmp_path / f"full.{ending}")
        with pytest.raises(OSError, match=f"No space left on device: .*full.{ending}'$"):
            save({"a": ag.ones(100_000)}, full)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_names_as_long_as_they_can_be(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / ("x" * (254 - len(ending)) + f".{ending}")
    assert load(save({"a": ag.ones(1)}, path))["a"].item() == 1 and os.listdir(tmp_path) == [path.name]
    with pytest.raises(OSError, match="too long"):
        save({"a": ag.ones(1)}, tmp_path / ("x" + path.name))


KILLED = """
import sys
import autograd_gpu as ag
for i in range(1, 10_000):
    ag.io.save({"a": ag.full((300, 1000), float(i)), "i": i}, sys.argv[1])
    print(i, flush=True)
"""


def test_a_kill_in_the_middle_leaves_a_whole_file(tmp_path):
    rng = random.Random(0)
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "x.npz")], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        for _ in range(rng.randrange(2, 6)):
            last = int(child.stdout.readline())
        try:
            child.wait(rng.random() * 0.01)
        except subprocess.TimeoutExpired:
            pass
        child.send_signal(signal.SIGKILL)
        child.wait(20)
        child.stdout.close()
        found = load(tmp_path / "x.npz")
        assert found["i"] >= last and (found["a"] == found["i"]).all()
