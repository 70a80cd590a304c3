"""The loader of kernels: sources found, signatures read, arguments checked, modules shared."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from autograd_gpu.backend import kernels

SOFTMAX = ("softmax.cu", "softmax_forward<float,false>")


# -- sources and signatures, which need no device ------------------------------------------------------------------------------


def test_sources_are_found_beside_the_package_and_inside_it(tmp_path, monkeypatch):
    assert "softmax.cu" in kernels.files()
    package = tmp_path / "autograd_gpu"
    for place in (package / "kernels", tmp_path / "kernels"):
        place.mkdir(parents=True)
    monkeypatch.setattr(kernels, "__file__", str(package / "backend" / "kernels.py"))
    with pytest.raises(FileNotFoundError, match="install autograd_gpu again"):
        kernels.folder.__wrapped__()
    for place in (tmp_path / "kernels", package / "kernels"):  # as in a checkout, then as in a wheel
        (place / "common.cuh").touch()
        assert kernels.folder.__wrapped__() == place


def test_headers_are_part_of_the_text_once():
    for file in kernels.files():
        text = kernels.source(file)
        assert '#include "' not in text and text.count("struct Computed {") == 1, file


def test_every_kernel_has_a_signature():
    example = {"T": "half_t", "U": "float", "A": "double", "S": "half_t", "F": "Relu", "I": "byte_t", "D": "64"}
    for file in kernels.files():
        assert kernels.templates(file), file
        for name, template in kernels.templates(file).items():
            arguments = ",".join(example.get(p, "true") for p, _ in template.parameters)
            signature = kernels.signature(file, f"{name}<{arguments}>" if arguments else name)
            assert len(signature) == template.body.count(",") - template.body.count(", S>") + 1, name


def test_a_signature_in_full():
    found = kernels.signature("softmax.cu", "cross_entropy_backward<bfloat_t>")
    assert [(p.name, p.dtype.name, p.pointer) for p in found] == [
        ("x", "bfloat16", True), ("target", "int64", True), ("norm", "float32", True), ("scale", "float32", True),
        ("dx", "bfloat16", True), ("rows", "int64", False), ("columns", "int32", False), ("x_stride", "int64", False),
        ("scale_stride", "int32", False), ("ignored", "int64", False), ("threads", "int32", False),
    ]  # fmt: skip
    assert kernels.signature("optim.cu", "adam<double>")[1].dtype == np.float64
    assert kernels.signature("random.cu", "dropout<half_t>")[6].dtype == np.uint32


@pytest.mark.parametrize(
    ("name", "error"),
    [("none<float>", "has no kernel none"), ("cast<float>", "lacks the template argument U"), ("cast<int,int,int>", "takes 2")],
)
def test_a_kernel_that_there_is_not(name, error):
    with pytest.raises(TypeError, match=error):
        kernels.signature("cast.cu", name)


def test_structs_are_laid_out_as_in_c():
    pointers = ctypes.c_void_p * 64

    class Table(ctypes.Structure):
        _fields_ = [
            *((name, pointers) for name in ("p", "g", "m", "v", "most")),
            ("size", ctypes.c_int64 * 64), ("first_block", ctypes.c_int32 * 65), ("count", ctypes.c_int32),
        ]  # fmt: skip

    for name in ("Table<float>", "Table<half_t,half_t>"):
        dtype = kernels.struct("optim.cu", name)
        assert dtype.itemsize == ctypes.sizeof(Table) <= 4096  # which is what may be handed to a kernel
        assert {n: dtype.fields[n][1] for n in dtype.names} == {n: getattr(Table, n).offset for n, _ in Table._fields_}
    assert kernels.struct("pool.cu", "Window").itemsize == 48
    with pytest.raises(TypeError, match="no type Nothing"):
        kernels.struct("pool.cu", "Nothing")


# -- launches --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cupy(cuda_device):
    return pytest.importorskip("cupy")


def arguments(cupy: Any, rows: int = 3, columns: int = 5) -> dict[str, Any]:
    x = cupy.arange(rows * columns, dtype="float32").reshape(rows, columns)
    numbers = {"rows": np.int64(rows), "columns": np.int32(columns), "x_stride": np.int64(columns), "threads": np.int32(32)}
    return {"x": x, "y": cupy.empty_like(x), **numbers}


def test_a_launch(cupy):
    given = arguments(cupy)
    kernels.kernel(*SOFTMAX)((1,), (64,), *given.values())
    e = np.exp(given["x"].get())
    np.testing.assert_allclose(given["y"].get(), e / e.sum(1, keepdims=True), 1e-6)


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("columns", lambda v, cupy: 5, r"'columns' is a int and takes np.int32, not int"),
        ("columns", lambda v, cupy: np.int64(5), r"takes np.int32, not numpy.int64"),
        ("y", lambda v, cupy: v.astype("float64"), r"'y' is a pointer to float32 \(float\*\), the array holds float64"),
        ("y", lambda v, cupy: v.get(), r"takes a cupy.ndarray or None, not numpy.ndarray"),
        ("x", lambda v, cupy: v.data.ptr, r"takes a cupy.ndarray or None, not int"),
    ],
)
def test_arguments_are_checked(cupy, name, change, error):
    given = arguments(cupy)
    given[name] = change(given[name], cupy)
    with pytest.raises(TypeError, match=error) as raised:
        kernels.kernel(*SOFTMAX)((1,), (64,), *given.values())
    assert str(raised.value).startswith("softmax.cu: softmax_forward<float,false>: ")


def test_a_python_float_is_refused(cupy):
    x = cupy.ones(8, "float32")
    launch = kernels.kernel("random.cu", "dropout<float>")
    words = [np.int64(8), np.uint64(1), np.uint64(0), np.uint64(0), np.uint32(0)]
    with pytest.raises(TypeError, match=r"'scale' is a float and takes np.float32, not float"):
        launch((1,), (32,), x, cupy.empty_like(x), *words, 2.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'scale'"):
        launch((1,), (32,), x, cupy.empty_like(x), *words)


def test_a_struct_is_checked(cupy):
    launch = kernels.kernel("optim.cu", "rescale<float>")
    one = cupy.ones(1, "float32")
    for wrong in (np.zeros((), "float32"), np.zeros((), kernels.struct("pool.cu", "Window")), one, None):
        with pytest.raises(TypeError, match="'t' is a Table<float>"):
            launch((1,), (32,), wrong, one)


def test_bfloat16_and_equal_dtypes(cupy):
    x = cupy.ones(5, ml_dtypes.bfloat16)
    y = cupy.empty(5, np.dtype("float64").newbyteorder("="))
    kernels.kernel("cast.cu", "cast<bfloat_t,double>")((1,), (32,), x, y, np.int64(5))
    assert y.get().tolist() == [1.0] * 5


def test_kernels_of_the_same_template_arguments_share_a_module(cupy):
    before = kernels._module.cache_info().misses
    launch = kernels.kernel("softmax.cu", "softmax_forward<double,true>")
    assert kernels.kernel("softmax.cu", "softmax_forward<double, true>") is launch
    kernels.kernel("softmax.cu", "softmax_backward<double,true>")
    assert kernels._module.cache_info().misses - before <= 1


def test_blocking_names_the_kernel(cupy, monkeypatch):
    def fails() -> None:
        raise cupy.cuda.runtime.CUDARuntimeError(700)

    class Stream:
        synchronize = staticmethod(fails)

    monkeypatch.setattr(kernels, "BLOCKING", True)
    monkeypatch.setattr(cupy.cuda, "get_current_stream", Stream)
    launch = kernels._launcher("cast.cu: cast", kernels.signature("cast.cu", "cast<float,float>"), lambda *a, **k: None)
    x = cupy.ones(4, "float32")
    with pytest.raises(RuntimeError, match="cast.cu: cast: cudaErrorIllegalAddress"):
        launch((1,), (32,), x, x, np.int64(4))


def test_a_checked_launch_costs_little(cupy):
    """At most 3 us over what CuPy's own launch takes, here none."""
    given = tuple(arguments(cupy).values())
    launch = kernels._launcher("softmax", kernels.signature(*SOFTMAX), lambda *a, **k: None)

    def best() -> float:
        start = time.perf_counter()
        for _ in range(1000):
            launch((1,), (64,), *given)
        return (time.perf_counter() - start) / 1000

    assert min(best() for _ in range(20)) < 3e-6


def test_shapes_of_launches(cupy):
    assert kernels.elementwise(1) == ((1,), (256,))
    assert kernels.elementwise(257) == ((2,), (256,))
    assert kernels.elementwise(2**40)[0][0] == kernels._blocks(cupy.cuda.runtime.getDevice())
    assert kernels.rows_of(9, 10) == ((2,), (256,), 32)
    assert kernels.rows_of(9, 1025) == ((9,), (256,), 256)
