"""One-line idioms of public programs: each expression gives on autograd_gpu what it gives on PyTorch."""

from __future__ import annotations

import ast
import copy
import importlib
import math
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# a line is one expression or several with commas between, evaluated in order on the names that `names` gives
LINES = Path(__file__).with_name("idioms.txt").read_text(encoding="utf-8").splitlines()


def names(root: str) -> dict[str, Any]:
    """What the expressions speak of, in one library."""
    torch, nn = importlib.import_module(root), importlib.import_module(f"{root}.nn")
    rng = np.random.default_rng(0)

    def floats(*shape: int) -> Any:
        return torch.tensor(rng.standard_normal(shape).astype(np.float32))

    found = {"torch": torch, "nn": nn, "F": importlib.import_module(f"{root}.nn.functional"), "np": np, "math": math}
    found |= {"copy": copy, "pickle": pickle, "OrderedDict": OrderedDict}
    found |= {"x": floats(3, 4).requires_grad_(), "y": floats(3, 4), "v": floats(4), "image": floats(2, 3, 6, 6)}
    found |= {"k": torch.tensor([1, 0, 3]), "m": torch.tensor(rng.random((3, 4)) > 0.5)}
    found["lin"], found["net"] = nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    for module in (found["lin"], found["net"]):
        module.load_state_dict({name: floats(*p.shape) for name, p in module.state_dict().items()})
    found["opt"] = torch.optim.SGD(found["net"].parameters(), lr=0.1, momentum=0.9)
    return found


def plain(value: Any) -> Any:
    """A result without its library: arrays for tensors, the name of the type for what has no value to compare."""
    if hasattr(value, "detach"):
        value = value.detach()
        dtype = str(value.dtype).rpartition(".")[2]
        return dtype, tuple(value.shape), np.asarray(value.float() if dtype == "bfloat16" else value)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return value.replace("autograd_gpu.", "torch.")
    return value if isinstance(value, (bool, int, float, complex, type(None), range)) else type(value).__name__


def same(ours: Any, theirs: Any) -> None:
    """Assert that two plain results are alike."""
    assert type(ours) is type(theirs)
    if isinstance(ours, tuple):
        assert ours[:2] == theirs[:2]
        np.testing.assert_allclose(ours[2], theirs[2], 1e-4, 1e-5)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        same(list(ours.values()), list(theirs.values()))
    elif isinstance(ours, float):
        assert math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-6) or ours != ours and theirs != theirs
    else:
        assert ours == theirs


@pytest.mark.parametrize("line", LINES, ids=range(1, len(LINES) + 1))
def test_as_on_pytorch(line: str, torch: Any) -> None:
    ours, theirs = names("autograd_gpu"), names("torch")
    parsed = ast.parse(line, mode="eval").body
    for part in parsed.elts if isinstance(parsed, ast.Tuple) else [parsed]:
        expression = ast.unparse(part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = plain(eval(expression, theirs))
            try:
                same(plain(eval(expression, ours)), expected)
            except Exception as error:
                raise AssertionError(f"{expression}: {type(error).__name__}: {error}") from error
