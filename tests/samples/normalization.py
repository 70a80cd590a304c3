"""Normalization."""

from __future__ import annotations

from . import S, f

F = "nn.functional."


def n(name, *args, **kw):
    """A sample of a function that PyTorch has in nn.functional."""
    return S(name, *args, torch=F + name, **kw)


w = {"low": 0.5}


# Where there is nothing to average PyTorch refuses some layouts and gives others zeros or NaN for the gradients of weights.
OF_NOTHING = {"skip": ("zero_size",)}

SAMPLES = [
    n("layer_norm", f(5, 6), (6,), skip=("zero_size",)),  # normalized_shape does not shrink with the shape
    n("layer_norm", f(5, 6), (6,), f(6, **w), f(6)),
    n("layer_norm", f(5, 6), (6,), f(6, **w)),
    n("layer_norm", f(5, 6), [6], bias=f(6)),
    n("layer_norm", f(2, 3, 4), (3, 4), f(3, 4, **w), f(3, 4), eps=0.1),
    n("layer_norm", f(7), (7,), f(7, **w), f(7)),
    n("layer_norm", f(5, 6, low=40.0, high=40.5), (6,), f(6, **w), f(6), tolerance=1e-6, dtypes=("float64",)),
    n("layer_norm", f(3, 200), (200,), f(200, **w), f(200)),
    n("rms_norm", f(5, 6), (6,)),
    n("rms_norm", f(5, 6), (6,), f(6, **w)),
    n("rms_norm", f(2, 3, 4), (3, 4), f(3, 4, **w), eps=0.1),
    n("batch_norm", f(6, 3), None, None, training=True, **OF_NOTHING),
    n("batch_norm", f(6, 3), None, None, f(3, **w), f(3), training=True, **OF_NOTHING),
    n("batch_norm", f(4, 3, 5), None, None, f(3, **w), training=True, eps=0.1, **OF_NOTHING),
    n("batch_norm", f(4, 3, 2, 5), None, None, f(3, **w), f(3), training=True, **OF_NOTHING),
    n("batch_norm", f(2, 3, 10, 10), None, None, f(3, **w), f(3), training=True, **OF_NOTHING),
    n("batch_norm", f(4, 3, 5, low=40.0, high=40.5), None, None, f(3, **w), f(3), training=True, tolerance=1e-6,
      dtypes=("float64",), **OF_NOTHING),
    n("batch_norm", f(6, 3), f(3, grad=False), f(3, **w, grad=False), f(3, **w), f(3), **OF_NOTHING),
    n("batch_norm", f(4, 3, 5), f(3, grad=False), f(3, **w, grad=False), **OF_NOTHING),
    n("batch_norm", f(4, 3, 2, 5), f(3, grad=False), f(3, **w, grad=False), None, f(3), **OF_NOTHING),
    n("group_norm", f(4, 6), 2, f(6, **w), f(6), **OF_NOTHING),
    n("group_norm", f(4, 6, 5), 3, **OF_NOTHING),
    n("group_norm", f(4, 6, 2, 3), 2, f(6, **w), f(6), **OF_NOTHING),
    n("group_norm", f(2, 4, 9, 8), 1, f(4, **w), f(4), eps=0.1, **OF_NOTHING),
    n("instance_norm", f(4, 3, 5), **OF_NOTHING),
    n("instance_norm", f(4, 3, 5), None, None, f(3, **w), f(3), **OF_NOTHING),
    n("instance_norm", f(2, 3, 4, 5), None, None, f(3, **w), f(3), eps=0.1, **OF_NOTHING),
    n("instance_norm", f(4, 3, 5), f(3, grad=False), f(3, **w, grad=False), use_input_stats=False, **OF_NOTHING),
    n("local_response_norm", f(2, 5, 3), 3, alpha=0.5),
    n("local_response_norm", f(2, 5, 3, 2), 4, alpha=0.5, beta=0.5, k=2.0),
    n("local_response_norm", f(2, 3, 3), 9, alpha=0.5),
    n("normalize", f(4, 5, low=0.2)),
    n("normalize", f(4, 5, low=0.2), p=3.0, dim=0),
    n("normalize", f(5, low=0.2), dim=-1, eps=3.0),
    n("normalize", f(2, 3, 4, low=0.2), dim=(1, 2)),
    n("normalize", f(2, 3, 4, low=0.2), p=1.0, dim=None),
]  # fmt: skip
