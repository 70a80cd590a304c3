"""Indexing, gathering, scattering, sorting and searching. Where plain writes meet in one place the last one stays, and PyTorch
does not say which one does: there the indices are `distinct`."""

from __future__ import annotations

from . import S, b, f, i

FLOATS = ("float16", "bfloat16", "float32", "float64")
STEEP = ("float32", "float64")  # half precision would tie


SAMPLES = [
    # x[...]
    S("Tensor.__getitem__", f(3, 4), 1, ints=True),
    S("Tensor.__getitem__", f(3, 4), -1, ints=True, dtypes=FLOATS),
    S("Tensor.__getitem__", f(3, 4), (slice(1, None), slice(None, None, 2)), ints=True),
    S("Tensor.__getitem__", f(2, 3, 4), (..., None, slice(-3, -1), 0)),
    S("Tensor.__getitem__", f(3, 4), i(5, high=3), ints=True, dtypes=FLOATS),
    S("Tensor.__getitem__", f(3, 4), (i(2, 1, high=3), i(3, low=-4, high=4))),
    S("Tensor.__getitem__", f(3, 4, 5), (slice(None), i(2, 2, high=4))),
    S("Tensor.__getitem__", f(3, 4, 5), (i(2, high=3), slice(1, None), i(2, high=5))),
    S("Tensor.__getitem__", f(3, 4, 5), (0, slice(None), [0, 2, 2])),
    S("Tensor.__getitem__", f(3, 4), b(3, 4), ints=True),
    S("Tensor.__getitem__", f(3, 4), b(3)),
    S("Tensor.__getitem__", f(3, 4), (slice(None), b(4))),
    S("Tensor.__getitem__", f(3, 4), True),
    S("Tensor.__getitem__", f(3), (..., False)),
    S("Tensor.__getitem__", f(3), range(2)),
    # slices named by a vector
    S("index_select", f(3, 4), 0, i(5, high=3), ints=True, dtypes=FLOATS),
    S("index_select", f(3, 4), 1, i(2, high=4), ints=True),
    # PyTorch adds anything out of bounds to a tensor of no elements
    S("index_add", f(3, 4), 0, i(5, high=3), f(5, 4), ints=True, dtypes=FLOATS, skip=("zero_size",)),
    S("index_add", f(3, 4), -1, i(2, high=4), f(3, 2), alpha=2.5, skip=("zero_size",)),
    S("index_copy", f(6, 4), 0, i(3, high=6, distinct=True), f(3, 4), ints=True),
    S("index_fill", f(3, 4), 1, i(2, high=4), 2.5),
    S("index_fill", f(3, 4), 0, i(2, high=3), f(), ints=True),
    # gradients of index_reduce are not implemented twice in PyTorch
    S("index_reduce", f(3, 4), 0, i(5, high=3), f(5, 4), "mean", second=False),
    S("index_reduce", f(3, 4), 0, i(5, high=3), f(5, 4), "amax", second=False),
    S("index_reduce", f(3, 4), 0, i(5, high=3), f(5, 4), "amin", include_self=False, second=False),
    S("index_reduce", f(3, 4), 1, i(5, high=4), f(3, 5), "prod", second=False),
    S("index_put", f(3, 4), (i(5, high=3), i(5, high=4)), f(5), accumulate=True, ints=True, dtypes=FLOATS),
    S("index_put", f(12, 3), (i(5, high=12, distinct=True),), f(3)),
    S("index_put", f(3, 4), (b(3, 4),), f()),
    # elements along a dimension
    S("gather", f(3, 4), 1, i(3, 6, high=4), ints=True, dtypes=FLOATS),
    S("gather", f(3, 4), 0, i(2, 3, high=3), ints=True),
    S("gather", f(2, 3, 4), -2, i(1, 5, 4, high=3)),
    S("take_along_dim", f(3, 4), i(3, 2, high=4), 1),
    S("take_along_dim", f(3, 4), i(1, 4, high=3), dim=0),
    S("take_along_dim", f(3, 4), i(5, high=12)),
    S("scatter", f(3, 8), 1, i(2, 4, high=8, distinct=True), f(2, 4), ints=True),
    S("scatter", f(3, 4), 0, i(2, 4, high=3), 1.5, dtypes=FLOATS),
    S("scatter", f(3, 4), 0, i(2, 4, high=3), value=2.0),
    S("scatter", f(3, 4), 0, i(2, 4, high=3), f(2, 4), reduce="add", grad=False),  # PyTorch refuses gradients
    S("scatter", f(3, 4), 1, i(2, 4, high=3), f(2, 4), reduce="multiply", grad=False),
    S("scatter_add", f(3, 4), 0, i(5, 3, high=3), f(5, 3), ints=True, dtypes=FLOATS),
    S("scatter_add", f(3, 4, grad=False), 0, i(5, 3, high=3), f(6, 4, grad=False), grad=False),  # where PyTorch has no gradient
    S("scatter_add", f(3, 4), 1, i(2, 6, high=4), f(2, 6)),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=3), f(5, 3), "sum", ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=3), f(5, 3), "mean", ints=True),
    S("scatter_reduce", f(3, 4), 1, i(3, 6, high=4), f(3, 6), "prod", ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=3), f(5, 3), "amax", ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=3), f(5, 3), "amin", ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=2), f(5, 3), "sum", include_self=False, ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=2), f(5, 3), "mean", include_self=False, ints=True),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=2), f(5, 3), "prod", include_self=False),
    S("scatter_reduce", f(3, 4), 0, i(5, 3, high=2), f(5, 3), "amax", include_self=False, ints=True),
    # as if flat, and by masks
    S("take", f(3, 4), i(2, 5, low=-12, high=12), ints=True),
    S("put", f(3, 4), i(2, 3, high=12, distinct=True), f(6), ints=True),
    S("put", f(3, 4), i(2, 3, high=12), f(2, 3), accumulate=True, ints=True),
    S("masked_fill", f(3, 4), b(3, 4), 1.5, dtypes=FLOATS),
    S("masked_fill", f(3, 4), b(4), f()),
    S("masked_select", f(3, 4), b(3, 4), ints=True, dtypes=FLOATS),
    S("masked_select", f(3, 1), b(4)),
    S("masked_scatter", f(3, 4), b(3, 4), f(13), ints=True),
    S("masked_scatter", f(3, 4), b(4), f(3, 5)),
    # sorting
    S("sort", f(3, 7, gap=0.01), ints=True, dtypes=STEEP),
    S("sort", f(3, 7, gap=0.01), 0, True, dtypes=STEEP),
    S("sort", i(4, 9), dim=1, stable=True),
    S("sort", i(4, 9), descending=True, stable=True),
    S("argsort", f(3, 7, gap=0.01), 0, dtypes=STEEP),
    S("argsort", i(3, 7), descending=True, stable=True),
    S("msort", f(5, 3, gap=0.01), dtypes=STEEP),
    S("topk", f(3, 7, gap=0.01), 3, dtypes=STEEP),
    S("topk", f(400, gap=0.001), 5, largest=False, dtypes=STEEP),
    S("topk", f(7, 3, gap=0.01), 2, 0, False, dtypes=STEEP),
    S("kthvalue", f(3, 7, gap=0.01), 3, dtypes=STEEP),
    S("kthvalue", f(7, 3, gap=0.01), 2, 0, True, dtypes=STEEP),
    S("unique", f(3, 4, grad=False), grad=False, ints=True),
    S("unique", i(20), return_inverse=True, return_counts=True),
    S("unique", i(6, 2, high=2), return_inverse=True, return_counts=True, dim=0),
    S("unique", i(2, 6, high=2), return_counts=True, dim=1),
    S("unique_consecutive", i(20, high=2), return_inverse=True, return_counts=True),
    S("unique_consecutive", i(2, 9, high=2), dim=1),
    # searching
    S("nonzero", i(3, 4, high=2)),
    S("nonzero", b(3, 4), as_tuple=True),
    S("argwhere", b(2, 3, 2)),
    S("bincount", i(20)),
    S("bincount", i(20), f(20, grad=False), minlength=7, grad=False),
    S("bucketize", f(3, 4, grad=False), f(1, grad=False), grad=False),
    S("searchsorted", f(1, grad=False), f(3, 4, grad=False), right=True, grad=False),
    S("isin", i(3, 4), i(2)),
    S("isin", i(3, 4), 2, invert=True),
    S("histc", f(20, grad=False), 5, -1, 1, grad=False),
    S("histc", f(20, grad=False), bins=4, grad=False),
    S("tril_indices", 3, 4),
    S("tril_indices", 4, 3, -1),
    S("triu_indices", 3, 4, 1),
]
