"""Convolutions through cuDNN: what is asked of its frontend, for which a stand-in is given that computes what it is asked."""

from __future__ import annotations

import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu.backend import Device, cpu, cudnn, gemm, vocabulary

OPTIONS = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}


def gpu() -> Any:
    """The vocabulary on CUDA."""
    return vocabulary(Device("cuda"))


class Node:
    """A tensor of a stand-in's graph: what was said of it."""

    def __init__(self, **said: Any):
        self.said = said

    def __getattr__(self, name: str) -> Any:
        assert name.startswith("set_"), name

        def setter(value: Any) -> Node:
            self.said[name.removeprefix("set_")] = value
            return self

        return setter


class Graph:
    """A stand-in for cudnn.pygraph. It computes with the words of the device, and keeps a log of the calls."""

    def __init__(self, frontend: Frontend, **options: Any):
        self.frontend, self.options, self.nodes, self.calls = frontend, options, [], []
        frontend.graphs.append(self)

    def tensor(self, **said: Any) -> Node:
        self.nodes.append(Node(**said))
        return self.nodes[-1]

    def _node(self, what: str, first: Node, second: Node, options: dict) -> Node:
        self.what, self.order, self.said = what, (first, second), options
        self.nodes.append(Node())
        return self.nodes[-1]

    def conv_fprop(self, image: Node, weight: Node, **options: Any) -> Node:
        return self._node("output", image, weight, options)

    def conv_dgrad(self, loss: Node, filter: Node, **options: Any) -> Node:
        return self._node("input", loss, filter, options)

    def conv_wgrad(self, image: Node, loss: Node, **options: Any) -> Node:
        return self._node("weight", loss, image, options)

    def check_support(self) -> None:
        if self.frontend.unsupported:
            raise RuntimeError("no plan")

    def get_workspace_size(self) -> int:
        return 512

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, *args))

    def execute(self, pointers: dict, workspace: int, handle: Any) -> None:
        if self.frontend.broken:
            raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")
        assert handle == "handle" and workspace and all(isinstance(p, int) for p in pointers.values())
        self.frontend.executed.append(self.what)
        arrays = {node: self.frontend.array(p, node.said) for node, p in pointers.items()}
        a, b, out = (arrays[node] for node in (*self.order, self.nodes[-1]))
        options = [tuple(self.said[name]) for name in ("stride", "padding", "dilation")]
        import_module("autograd_gpu.backend.gpu.conv")._ours(self.what, a, b, out, *options)
        if self.frontend.wrong:
            out += 1


class Frontend(SimpleNamespace):
    """A stand-in for the module cudnn."""

    def __init__(self) -> None:
        super().__init__(graphs=[], executed=[], streams=[], unsupported=False, broken=False, wrong=False)
        self.data_type = SimpleNamespace(HALF="half", BFLOAT16="bfloat16", FLOAT="float", DOUBLE="double")
        self.heur_mode = SimpleNamespace(A="A", FALLBACK="fallback")
        names = ("NONDETERMINISTIC", "DOWN_CONVERT_INPUTS", "TENSOR_CORE")
        self.numerical_note = SimpleNamespace(**{n: n for n in names})

    def create_handle(self) -> str:
        return "handle"

    def set_stream(self, handle: str, stream: int) -> None:
        self.streams.append(stream)

    def pygraph(self, **options: Any) -> Graph:
        return Graph(self, **options)

    def array(self, pointer: int, said: dict) -> Any:
        """The array of the device at `pointer`, with the layout that the graph was told."""
        import cupy

        dtype = {"half": np.float16, "float": np.float32, "double": np.float64}[said["data_type"]]
        item = np.dtype(dtype).itemsize
        sizes = zip(said["dim"], said["stride"], strict=True)
        span = item * (1 + sum((n - 1) * s for n, s in sizes))
        memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(pointer, span, self), 0)
        return cupy.ndarray(tuple(said["dim"]), dtype, memory, tuple(item * s for s in said["stride"]))


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Any:
    from cupy_backends.cuda.libs import cublas

    if getattr(cublas, "__file__", None) is not None:
        pytest.skip("a stand-in for cuDNN needs a stand-in for the device")
    made = Frontend()
    monkeypatch.setitem(sys.modules, "cudnn", made)
    cudnn._convolutions.cache_clear()
    yield made
    cudnn._convolutions.cache_clear()


def arrays(dtype: Any = np.float32) -> list[Any]:
    """x, weight, y and bias."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=s).astype(dtype) for s in ((2, 4, 7, 6), (6, 2, 3, 2), (2, 6, 4, 4), (6,))]


def results(xp: Any, x: Any, weight: Any, y: Any, bias: Any) -> list[np.ndarray]:
    made = [
        xp.convolution(x, weight, bias, **OPTIONS),
        xp.convolution_input(y, weight, None, shape=x.shape, **OPTIONS),
        xp.convolution_weight(y, x, shape=weight.shape, **OPTIONS),
    ]
    return [xp.to_host(a) for a in made]


def on_device(made: list[np.ndarray]) -> list[Any]:
    import cupy

    return [cupy.asarray(a) for a in made]


def test_what_is_asked(frontend: Any) -> None:
    """All three go through cuDNN, with the layouts and options of the arrays, and only plans that repeat bit for bit."""
    made = arrays()
    for ours, theirs in zip(results(gpu(), *on_device(made)), results(cpu, *made), strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-4, 1e-4)
    assert frontend.executed == ["output", "input", "weight"] * 2  # the check of this dtype, and the three
    for graph, shape in zip(frontend.graphs[3:], ((2, 6, 4, 4), (2, 4, 7, 6), (6, 2, 3, 2)), strict=True):
        assert graph.said == {"padding": [1, 0], "stride": [2, 1], "dilation": [1, 2]}
        assert graph.options["compute_data_type"] == "float" and graph.options["io_data_type"] == "float"
        out = graph.nodes[-1].said
        assert out["output"] is True and out["dim"] == list(shape) and out["data_type"] == "float"
        assert ("deselect_numeric_notes", ["NONDETERMINISTIC", "DOWN_CONVERT_INPUTS", "TENSOR_CORE"]) in graph.calls
        assert [call[0] for call in graph.calls] == [
            "validate", "build_operation_graph", "create_execution_plans", "deselect_numeric_notes", "build_plans"
        ]  # fmt: skip


def test_plans_are_kept(frontend: Any) -> None:
    made = on_device(arrays())
    first = results(gpu(), *made)
    built = len(frontend.graphs)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(results(gpu(), *made), first, strict=True))
    assert len(frontend.graphs) == built and len(frontend.executed) == 9
    gpu().convolution(made[0][:1], made[1], **OPTIONS)
    assert len(frontend.graphs) == built + 1


def test_tensor_cores_if_they_are_allowed(frontend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "allow_tf32", [True])
    results(gpu(), *on_device(arrays()))
    assert ("deselect_numeric_notes", ["NONDETERMINISTIC", "DOWN_CONVERT_INPUTS"]) in frontend.graphs[-1].calls


def test_channels_last_and_one_dimension(frontend: Any) -> None:
    made = arrays(np.float64)
    x = on_device([np.ascontiguousarray(np.moveaxis(made[0], 1, -1))])[0].transpose(0, 3, 1, 2)
    ours = gpu().convolution(x, on_device(made)[1], **OPTIONS)
    np.testing.assert_allclose(gpu().to_host(ours), cpu.convolution(made[0], made[1], **OPTIONS), 1e-10, 1e-10)
    assert frontend.graphs[-1].nodes[0].said["stride"] == [7 * 6 * 4, 1, 6 * 4, 4]
    line = {"stride": (2,), "padding": (1,), "dilation": (1,), "groups": 1}
    x, weight = np.ones((2, 3, 9), np.float64), np.ones((4, 3, 3), np.float64)
    ours = gpu().convolution(*on_device([x, weight]), **line)
    np.testing.assert_allclose(gpu().to_host(ours), cpu.convolution(x, weight, **line))
    assert frontend.graphs[-1].nodes[0].said["dim"] == [2, 3, 1, 9]
    assert frontend.graphs[-1].said == {"padding": [0, 1], "stride": [1, 2], "dilation": [1, 1]}


def right(made: list[Any]) -> None:
    for ours, theirs in zip(results(gpu(), *on_device(made)), results(cpu, *made), strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-4, 1e-4)


def test_what_has_no_plan_is_computed_by_our_kernels(frontend: Any) -> None:
    frontend.unsupported = True
    right(arrays())
    built = len(frontend.graphs)
    right(arrays())
    assert not frontend.executed and len(frontend.graphs) == built  # it is remembered


@pytest.mark.parametrize(("fault", "says"), [("broken", "EXECUTION_FAILED"), ("wrong", "its output for float32 is wrong")])
def test_what_fails_is_not_asked_again(frontend: Any, fault: str, says: str) -> None:
    setattr(frontend, fault, True)
    with pytest.warns(RuntimeWarning, match=says):
        right(arrays())
    asked = len(frontend.graphs), len(frontend.executed)
    right(arrays())
    assert (len(frontend.graphs), len(frontend.executed)) == asked


def test_it_is_not_asked_if_not_wanted(frontend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGRAD_GPU_CUDNN", "0")
    right(arrays())
    assert not frontend.graphs


def test_gradients_without_it_are_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """First and second order through the ops, by our kernels."""
    monkeypatch.setattr(cudnn, "_convolutions", lambda device: None)
    found = []
    for device in ("cpu", "cuda"):
        x, weight, _, bias = (ag.tensor(a, device=device, requires_grad=True) for a in arrays(np.float64))
        out = ag.conv2d(x, weight, bias, **OPTIONS)
        back = ag.conv_transpose2d(out.tanh(), weight, **OPTIONS)
        first = ag.autograd.grad((back * back).sum(), [x, weight, bias], create_graph=True)
        second = ag.autograd.grad(sum((g * g).sum() for g in first), [x, weight, bias])
        found.append([t.detach().cpu().numpy() for t in (out, back, *first, *second)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-9, 1e-9)
