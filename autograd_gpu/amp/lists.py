"""Which functions autocast changes, and how: PyTorch's lists for CUDA, which hold here on the CPU too.

(PyTorch's lists for the CPU are others: there softmax, the norms and sums compute in bfloat16.)
A name is that of a word or of a public function, wherever it is; names that mean several functions mean all of them.
"""

from __future__ import annotations

# computed in autocast's dtype: products, which tensor cores do, and what is made of them
LOWER = """
    addbmm addmm addmv addr baddbmm bmm chain_matmul einsum linear matmul mlp mm mv prelu
    convolution convolution_input convolution_relu_pool
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    multi_dot vecdot scaled_dot_product_attention
    gru gru_cell gru_layer lstm lstm_cell lstm_layer rnn_layer rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell
""".split()

# computed in float32: what overflows, or loses too many digits, in 16 bits
FLOAT32 = """
    acos arccos arcsin asin cosh erfinv exp expm1 log log10 log1p log2 logsumexp pow power power_of reciprocal rsqrt sinh softplus
    tan
    cdist cosine_similarity matrix_norm norm pdist vector_norm
    group_norm layer_norm rms_norm
    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss
    kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss
    soft_margin_loss triplet_margin_loss
""".split()

# likewise, unless the caller says which dtype the result is to have
FLOAT32_UNLESS_ASKED = "cumprod cumsum log_softmax prod softmax softmin sum".split()

# computed in the widest dtype among the arguments
WIDEST = "addcdiv addcmul atan2 bilinear cross dot grid_sample index_put inner scatter_add tensordot vdot".split()

# left as they are, with autocast off inside: what takes its input in 16 bits with weights and statistics in 32, and gives its
# result in the dtype of the input
OFF = "batch_norm instance_norm".split()
