"""Folding a batch normalisation, as it is in evaluation, into the layer before it."""

from __future__ import annotations

import copy
from typing import Any

from ...core.tensor import Tensor
from ..module import Module
from ..parameter import Parameter


def _folded(weight: Tensor, bias: Any, mean: Tensor, var: Tensor, eps: float, gain: Any, shift: Any, out: int) -> Any:
    """Weight and bias of the two together; `out` is the dimension of the weight that has the outputs."""
    scale = (var + eps).rsqrt()
    scale = scale if gain is None else gain * scale
    bias = -mean * scale if bias is None else (bias - mean) * scale
    shape = [1] * weight.ndim
    shape[out] = -1
    folded = weight * scale.reshape(shape).to(weight.dtype)
    learned = isinstance(weight, Parameter) and weight.requires_grad
    return tuple(Parameter(t.detach(), learned) for t in (folded, bias if shift is None else bias + shift))


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None, bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of a convolution and a batch normalisation together.

    >>> import autograd_gpu as ag
    >>> w, b = ag.nn.utils.fusion.fuse_conv_bn_weights(ag.ones(2, 1, 1), None, ag.ones(2), ag.ones(2), 0.0, None, None)
    >>> b.tolist()
    [-1.0, -1.0]
    """
    return _folded(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor, bn_b: Tensor
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer and a batch normalisation together."""
    return _folded(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fuse(layer: Module, bn: Any, out: int) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused: Any = copy.deepcopy(layer)
    given = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    fused.weight, fused.bias = _folded(fused.weight, fused.bias, *given, out)
    return fused


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """A convolution that does what `conv` and then `bn` do, both in evaluation mode.

    >>> import autograd_gpu as ag
    >>> conv, bn = ag.nn.Conv2d(1, 2, 3).eval(), ag.nn.BatchNorm2d(2).eval()
    >>> x = ag.randn(1, 1, 5, 5)
    >>> ag.allclose(ag.nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-5)
    True
    """
    return _fuse(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """A linear layer that does what `linear` and then `bn` do, both in evaluation mode.

    >>> import autograd_gpu as ag
    >>> linear, bn = ag.nn.Linear(3, 2).eval(), ag.nn.BatchNorm1d(2).eval()
    >>> x = ag.randn(4, 3)
    >>> ag.allclose(ag.nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-5)
    True
    """
    return _fuse(linear, bn, 0)
