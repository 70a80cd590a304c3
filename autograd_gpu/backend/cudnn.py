"""Convolutions through cuDNN, where NVIDIA's Python frontend for it is installed: pip install autograd_gpu[cudnn13], or [cudnn12]
beside [cuda12].

NOTE [cuDNN]
    1. A convolution, or one of its two gradients, is described to cuDNN as a graph of one node. Of the plans that its heuristics
       propose, those are struck out that do not repeat bit for bit and those that round what they are given; for float32 also
       those on tensor cores, which compute in TF32, unless `gemm.allow_tf32` is set. The first that is left is built.
    2. Building takes longer than running, so a plan is kept for each kind of convolution: what is computed, dtype, shapes,
       strides, options. A kind that cuDNN has no plan for is remembered too, and is then computed in `backend.gpu.conv`.
    3. Before a dtype is first computed so, small convolutions are compared with those of `backend.gpu.conv`. If they differ, or
       if anything in the frontend fails, a warning says so, and cuDNN is not asked again for that dtype.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from . import gemm
from .promotion import bfloat16, float16, float32, float64

__all__ = ["convolve"]

# the names of cuDNN's types: of elements, and of what is computed in
_TYPES = {float16: ("HALF", "FLOAT"), bfloat16: ("BFLOAT16", "FLOAT"), float32: ("FLOAT", "FLOAT"), float64: ("DOUBLE", "DOUBLE")}
_MOST_PLANS = 4096

_Sizes = tuple[int, ...]


def convolve(what: str, a: Any, b: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes, compare: Callable) -> bool:
    """Compute a convolution into `out`, on the current stream; False if that is left to the caller.

    what      "output": of an input a and a weight b; "input": of an output's gradient a and a weight b; "weight": of an output's
              gradient a and an input b
    compare   `compare(what, a, b, out, stride, padding, dilation)` does the same: see rule 3 of the NOTE"""
    if out.dtype not in _TYPES or not (a.size and b.size and out.size):
        return False
    run = _convolutions(gemm._current_device())
    return run is not None and run(what, a, b, out, stride, padding, dilation, compare)


@cache
def _convolutions(device: int) -> _Convolutions | None:
    """What computes convolutions on a device, the current one; None where there is no cuDNN."""
    if os.environ.get("AUTOGRAD_GPU_CUDNN", "1") == "0":
        return None
    try:
        import cudnn
        from cupy_backends.cuda.libs import cublas
    except Exception:  # not installed, or its library is missing or of another version
        return None
    if (getattr(cublas, "__file__", None) is None) != (getattr(cudnn, "__file__", None) is None):
        return None  # something stands in for the device, and it is no device that this cuDNN could compute on
    try:
        return _Convolutions(cudnn)
    except Exception as error:
        _distrust(repr(error))
        return None


def _distrust(reason: str) -> None:
    warnings.warn(f"convolutions are not computed by cuDNN: {reason}", RuntimeWarning, stacklevel=3)


class _Plan:
    """A convolution that is ready to run: the graph, its tensors and the bytes of workspace it needs."""

    __slots__ = ("graph", "tensors", "workspace")

    def __init__(self, graph: Any, tensors: tuple[Any, Any, Any], workspace: int):
        self.graph, self.tensors, self.workspace = graph, tensors, workspace


class _Convolutions:
    """The convolutions of one device. See NOTE [cuDNN]."""

    def __init__(self, cudnn: Any):
        self.cudnn = cudnn
        self.handle = cudnn.create_handle()
        self.plans: dict[tuple, _Plan | None] = {}
        self.trusted: dict[np.dtype, bool] = {}
        self.lock = threading.RLock()  # the stream is set and used in two steps

    def __call__(
        self, what: str, a: Any, b: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes, compare: Callable
    ) -> bool:
        with self.lock:
            known = self.trusted.get(out.dtype)
            if known is None:
                known = self.trusted[out.dtype] = True  # the check itself runs convolutions
                known = self.trusted[out.dtype] = self.check(out.dtype, compare)
            return known and self.run(what, a, b, out, stride, padding, dilation)

    def run(self, what: str, a: Any, b: Any, out: Any, stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> bool:
        """Compute, if there is a plan for it."""
        import cupy

        arrays = [_of_two_dimensions(_dense(x)) for x in (a, b)] + [_of_two_dimensions(out)]
        if len(stride) == 1:
            stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
        layouts = tuple((x.shape, x.strides, _alignment(x)) for x in arrays)
        kind = (what, out.dtype, layouts, stride, padding, dilation, gemm.allow_tf32[0])
        if kind not in self.plans:
            if len(self.plans) >= _MOST_PLANS:  # shapes that never come again
                self.plans.clear()
            self.plans[kind] = self.plan(what, arrays, stride, padding, dilation)
        plan = self.plans[kind]
        if plan is None:
            return False
        workspace = cupy.empty(max(plan.workspace, 1), np.uint8)
        try:
            self.cudnn.set_stream(handle=self.handle, stream=cupy.cuda.get_current_stream().ptr)
            pointers = {t: x.data.ptr for t, x in zip(plan.tensors, arrays, strict=True)}
            plan.graph.execute(pointers, workspace.data.ptr, handle=self.handle)
        except Exception as error:
            self.trusted[out.dtype] = False
            _distrust(repr(error))
            return False
        return True

    def plan(self, what: str, arrays: list[Any], stride: _Sizes, padding: _Sizes, dilation: _Sizes) -> _Plan | None:
        """The plan for a kind of convolution, None if cuDNN has none. See rule 1."""
        cudnn, dtype = self.cudnn, arrays[2].dtype
        element, computed = (getattr(cudnn.data_type, name) for name in _TYPES[dtype])
        try:
            graph = cudnn.pygraph(
                io_data_type=element, intermediate_data_type=computed, compute_data_type=computed, handle=self.handle
            )
            a, b = (
                graph.tensor(name=name, dim=list(x.shape), stride=_strides(x), data_type=element)
                for name, x in zip("ab", arrays[:2], strict=True)
            )
            options = {"padding": list(padding), "stride": list(stride), "dilation": list(dilation)}
            if what == "output":
                out = graph.conv_fprop(image=a, weight=b, **options)
            elif what == "input":
                out = graph.conv_dgrad(loss=a, filter=b, **options)
            else:
                out = graph.conv_wgrad(image=b, loss=a, **options)
            out.set_output(True).set_dim(list(arrays[2].shape)).set_stride(_strides(arrays[2])).set_data_type(element)
            graph.validate()
            graph.build_operation_graph()
            graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
            notes = ["NONDETERMINISTIC", "DOWN_CONVERT_INPUTS"]
            if dtype == float32 and not gemm.allow_tf32[0]:
                notes.append("TENSOR_CORE")
            graph.deselect_numeric_notes([getattr(cudnn.numerical_note, note) for note in notes])
            graph.check_support()
            graph.build_plans()
            return _Plan(graph, (a, b, out), graph.get_workspace_size())
        except Exception:  # its own kinds of errors for what is not supported, and RuntimeError
            return None

    # -- the check of rule 3 -----------------------------------------------------------------------------------------------

    def check(self, dtype: np.dtype, compare: Callable) -> bool:
        """Whether convolutions of a dtype come out right."""
        import cupy

        if cupy.cuda.runtime.streamIsCapturing(cupy.cuda.get_current_stream().ptr):
            return True  # nothing can be compared now
        rng = np.random.default_rng(0)
        x, weight, y = (cupy.asarray(rng.standard_normal(s).astype(dtype)) for s in ((2, 4, 7, 6), (6, 2, 3, 2), (2, 6, 4, 3)))
        options = (2, 2), (1, 0), (1, 1)
        digits = {float64: 1e-11, float32: 1e-2 if gemm.allow_tf32[0] else 1e-4, float16: 2e-2, bfloat16: 1e-1}[dtype]
        for what, a, b, like in (("output", x, weight, y), ("input", y, weight, x), ("weight", y, x, weight)):
            ours, theirs = cupy.zeros(like.shape, dtype), cupy.zeros(like.shape, dtype)
            if not self.run(what, a, b, theirs, *options):
                continue  # nothing that could be wrong
            compare(what, a, b, ours, *options)
            if not np.allclose(theirs.get().astype(float64), ours.get().astype(float64), rtol=digits, atol=digits):
                _distrust(f"its {what} for {dtype} is wrong")
                return False
        return self.trusted[dtype]


def _dense(x: Any) -> Any:
    """x, or a copy without gaps or repetitions: channels before the sizes, or last."""
    import cupy

    last = x.transpose(0, *range(2, x.ndim), 1)
    return x if x.flags.c_contiguous or last.flags.c_contiguous else cupy.ascontiguousarray(x)


def _of_two_dimensions(x: Any) -> Any:
    """A view of (n, channels, length) with a height of 1: cuDNN knows images and volumes."""
    return x[:, :, None] if x.ndim == 3 else x


def _strides(x: Any) -> list[int]:
    """How many elements apart, in each dimension."""
    return [s // x.itemsize for s in x.strides]


def _alignment(x: Any) -> int:
    return min(x.data.ptr & -x.data.ptr, 16)
