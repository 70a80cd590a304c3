"""Running one program on PyTorch and on autograd_gpu: the names it imports, the numbers it starts from and what it reports."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

SEED = 20240607


@dataclass
class Program:
    """A program and how exactly its runs must agree. `double`: in float64, for programs whose rounding grows."""

    run: Callable
    double: bool = False
    tolerance: float = 2e-4

    @property
    def name(self) -> str:
        return self.run.__name__


PROGRAMS: list[Program] = []


def program(function: Callable | None = None, *, double: bool = False, tolerance: float | None = None) -> Any:
    """Make a function(lib, run) a program of the table."""
    if function is None:
        return lambda f: program(f, double=double, tolerance=tolerance)
    PROGRAMS.append(Program(function, double, tolerance or (1e-8 if double else 2e-4)))
    return function


def library(root: str) -> SimpleNamespace:
    """What programs import, from "torch" or from "autograd_gpu"."""
    torch = importlib.import_module(root)
    data = importlib.import_module("torch.utils.data" if root == "torch" else f"{root}.data")
    return SimpleNamespace(
        torch=torch,
        nn=importlib.import_module(f"{root}.nn"),
        F=importlib.import_module(f"{root}.nn.functional"),
        init=importlib.import_module(f"{root}.nn.init"),
        optim=importlib.import_module(f"{root}.optim"),
        lr_scheduler=importlib.import_module(f"{root}.optim.lr_scheduler"),
        swa_utils=importlib.import_module(f"{root}.optim.swa_utils"),
        rnn_utils=importlib.import_module(f"{root}.nn.utils.rnn"),
        parametrizations=importlib.import_module(f"{root}.nn.utils.parametrizations"),
        data=data,
        Dataset=data.Dataset,
        TensorDataset=data.TensorDataset,
        DataLoader=data.DataLoader,
    )


@dataclass
class Run:
    """One run of a program. It starts from the weights of an earlier run, if that is given, and keeps what is logged."""

    lib: SimpleNamespace
    begin: list[dict[str, np.ndarray]] | None = None
    first: list[dict[str, np.ndarray]] = field(default_factory=list)
    logged: list[tuple[str, Any]] = field(default_factory=list)
    last: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(SEED)

    # -- what programs call ------------------------------------------------------------------------------------------------

    def start(self, model: Any) -> Any:
        """Give a model the weights that it had in the earlier run."""
        if self.begin is not None:
            state = self.begin[len(self.first)]
            model.load_state_dict({name: self.lib.torch.from_numpy(array.copy()) for name, array in state.items()})
        self.first.append({name: numbers(t).copy() for name, t in model.state_dict().items()})
        return model

    def floats(self, *shape: int, scale: float = 1.0) -> Any:
        """A tensor of normal numbers in the default dtype, the same in each run."""
        x = self.lib.torch.from_numpy(np.asarray(self.rng.standard_normal(shape) * scale))
        return x.to(self.lib.torch.get_default_dtype())

    def uniform(self, *shape: int) -> Any:
        """A tensor of numbers uniform in [0, 1), the same in each run."""
        return self.lib.torch.from_numpy(np.asarray(self.rng.random(shape))).to(self.lib.torch.get_default_dtype())

    def ints(self, high: int, *shape: int) -> Any:
        """A tensor of int64 below `high`, the same in each run."""
        return self.lib.torch.from_numpy(np.asarray(self.rng.integers(0, high, shape)))

    def log(self, value: Any, what: str = "loss") -> None:
        """Report a number, a string or a tensor that both runs must agree on."""
        self.logged.append((what, numbers(value).copy() if hasattr(value, "detach") else value))

    def finish(self, model: Any, prefix: str = "") -> None:
        """Report the parameters and buffers that training ended with: of a model, or tensors under names."""
        tensors = model.state_dict() if hasattr(model, "state_dict") else model
        self.last |= {prefix + name: numbers(t).copy() for name, t in tensors.items()}


def numbers(t: Any) -> np.ndarray:
    """A tensor of either library as an array."""
    t = t.detach()
    return np.asarray((t.float() if str(t.dtype).endswith("bfloat16") else t).cpu().numpy())


def ran(lib: SimpleNamespace, what: Program, begin: list | None = None) -> Run:
    """Run a program, with the library's settings left as they were."""
    torch, run = lib.torch, Run(lib, begin)
    before, tf32 = torch.get_default_dtype(), torch.backends.cuda.matmul.allow_tf32
    torch.set_default_dtype(torch.float64 if what.double else torch.float32)
    try:
        with warnings.catch_warnings():
            if torch.__name__ == "torch":
                warnings.simplefilter("ignore")
            torch.manual_seed(SEED)
            what.run(lib, run)
    finally:
        torch.set_default_dtype(before)
        torch.backends.cuda.matmul.allow_tf32 = tf32
    assert run.logged and run.last, "a program reports losses and the weights it ends with"
    return run
