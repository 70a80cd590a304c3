"""Attention with several heads, as a module."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from ..ops.create import empty
from . import init
from .linear import Linear
from .module import Module
from .multihead import multi_head_attention_forward
from .parameter import Parameter


class MultiheadAttention(Module):
    """Several attentions side by side, each over a part of the projected inputs, and a projection of what they give.

    Inputs are query (L, N, E), key (S, N, kdim) and value (S, N, vdim), the first two dimensions exchanged with batch_first, the
    batch N left out for single sequences. Called with them it returns the output, (L, N, E), and the weights, (N, L, S), or
    (N, heads, L, S) if they are not averaged, or None if need_weights=False, which takes less time and memory.

    key_padding_mask   (N, S), or (S): True hides a key from all queries; floats are added to the scores
    attn_mask          (L, S), or (N * heads, L, S): True hides a key from a query; floats are added to the scores
    is_causal          a hint that attn_mask, which must be given, hides what comes later
    add_bias_kv        one more key and value, which are learned; add_zero_attn: one more, of zeros
    Raises AssertionError or RuntimeError for shapes that do not fit.

    Vaswani et al., "Attention is all you need", 2017.

    >>> import autograd_gpu as ag
    >>> attention = ag.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> out, weights = attention(ag.rand(3, 5, 8), ag.rand(3, 7, 8), ag.rand(3, 7, 8))
    >>> out.shape, weights.shape
    (Size([3, 5, 8]), Size([3, 5, 7]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads: {embed_dim} is not by {num_heads}")

        def parameter(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        apart = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
        for name, size in apart.items():
            own = None if self._qkv_same_embed_dim else parameter(embed_dim, size)
            self.register_parameter(f"{name}_proj_weight", own)
        self.register_parameter("in_proj_weight", parameter(3 * embed_dim, embed_dim) if self._qkv_same_embed_dim else None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        return multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
        )
