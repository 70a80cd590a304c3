"""One-line idioms of public programs: each expression gives on autograd_gpu what it gives on PyTorch."""

from __future__ import annotations

import copy
import importlib
import math
import pickle
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

# what the expressions may name: x (3, 4) floats that need a gradient, y (3, 4) floats, v (4,), k (3,) ints below 4, m (3, 4) bools,
# image (2, 3, 6, 6), lin a Linear(4, 2), net a small Sequential, opt its SGD
IDIOMS = """
x.view(-1, 2).size(0)
x.view(x.size(0), -1).shape
x.shape[1:].numel()
list(x.shape)
tuple(x.size())
x.size()[-2:]
x.size(-1)
len(x)
x.dim(), x.ndimension(), x.nelement(), x.numel(), x.element_size()
x.stride(), x.t().stride(), x.storage_offset(), x[1].storage_offset()
x.is_contiguous(), x.t().is_contiguous(), x.t().contiguous().is_contiguous()
x.is_leaf, x.requires_grad, (x * 2).is_leaf
x.type(), y.int().type(), k.type()
x.dtype == torch.float32, k.dtype == torch.long, m.dtype == torch.bool
torch.float32 == torch.float, torch.int64 == torch.long, torch.half == torch.float16
str(x.device), x.device.type, x.device.index
x.device == torch.device("cpu")
torch.finfo(torch.float32).eps, torch.finfo(x.dtype).max, torch.iinfo(torch.int32).max
torch.is_tensor(x), torch.is_floating_point(x), x.is_floating_point(), k.is_floating_point(), x.is_complex()
x.data_ptr() == x.detach().data_ptr()
x.detach().numpy()
x.detach().cpu().numpy().transpose(1, 0)
np.asarray(y), np.array(y.tolist())
np.mean(y.numpy()), np.sqrt(y.abs().numpy())
y.numpy().astype(np.uint8).dtype.name
float(x.sum()), int(k.sum()), bool(m.any())
f"{x.sum():.3f}", f"{x.mean().item():>8.2f}", "%.3f" % x.sum(), "%d" % k[0]
"{:.4f}".format(y.max())
round(y.sum().item(), 3), math.exp(y.mean()), math.sqrt(y.abs().sum())
[i for i in k], [int(i) for i in k], [t.shape for t in y]
max(k), min(k), sum(k), sorted(k.tolist())
range(k[0] + 2), [0, 1, 2, 3, 4][k[0]]
k.tolist(), x.tolist(), y[0, 0].tolist()
2 in k, k[0] in k
x == x, x != y, (x > y) & m, (x > y) | ~m, m ^ m, ~m
-x, +x, abs(y), 1 / y, 2**y, y**2, y // 0.7, y % 0.7, 7 % y, 1 - y, 2 // y.abs()
x @ y.t(), y.T @ x, v @ v, x @ v
x[:, None], x[None], x[..., 0], x[..., None, :].shape, x[[0, 2]], x[k, k], x[:, k.tolist()], x[m], x[m & (x > 0)]
x[-1], x[1:, ::2], x[:, -2:], x[torch.tensor(1)], x[0][1], x[(0, 1)], x[range(2)]
x[torch.arange(3), k], x[np.array([0, 1])], x[:, torch.tensor([True, False, True, True])]
x[k > 1], x[(k > 1).nonzero().squeeze(1)], x[k.argsort()], x[None, :, None].shape
torch.arange(5), torch.arange(1, 5), torch.arange(0, 1, 0.25), torch.arange(5.0), torch.arange(3, dtype=torch.float32)
torch.linspace(0, 1, 5), torch.linspace(-1, 1, steps=3), torch.logspace(0, 2, 3)
torch.eye(3), torch.eye(2, 3), torch.zeros(2, 3), torch.zeros((2, 3)), torch.ones([2]), torch.full((2,), 3), torch.full([2], 3.0)
torch.zeros_like(x), torch.ones_like(k), torch.full_like(x, 2), torch.empty_like(x).shape, torch.rand_like(x).shape
torch.zeros(2, device="cpu"), torch.zeros(2, device=x.device, dtype=x.dtype), torch.tensor(3.0), torch.tensor([1, 2.5])
torch.tensor(np.arange(3)), torch.tensor(np.float64(2.0)), torch.tensor([True]), torch.tensor([[1], [2]]), torch.tensor([])
torch.from_numpy(np.arange(3.0)), torch.as_tensor([1, 2]), torch.as_tensor(np.ones(2, dtype=np.float32)), torch.Tensor([1, 2])
torch.tensor([np.float32(1), np.float32(2)]).dtype, torch.tensor(np.ones((2, 2), np.uint8))
torch.tensor(k[0].item()), torch.tensor(list(range(3))), torch.tensor((1, 2)), torch.tensor(range(3))
torch.cat([x, y]), torch.cat((x, y), 1), torch.cat([x, y], dim=-1), torch.stack([x, y]), torch.stack((v, v), 1), torch.hstack((v, v))
torch.vstack([v, v]), torch.concat([v, v]), torch.cat([torch.tensor([]), v]), torch.column_stack((v, v))
torch.cat([x, k.unsqueeze(1)], 1)
x.chunk(2, dim=1), x.split(3, 1), torch.split(x, [1, 2]), x.unbind(1), torch.chunk(x, 2, -1), torch.unbind(x)
x.permute(1, 0), x.transpose(0, 1), x.t(), x.T, x.mT, torch.transpose(x, 0, 1), x.permute((1, 0)), torch.permute(x, (1, 0))
x.unsqueeze(0).expand(2, -1, -1), x.expand(2, 3, 4), v.expand_as(x), v.repeat(2, 1), x.repeat(1, 2), v.tile((2,)), v.repeat_interleave(2)
x.reshape(2, 6), x.reshape(-1), x.flatten(), x.view(4, 3), x.view_as(y.t().contiguous()), x.ravel(), image.flatten(1).shape, image.flatten(2, 3).shape
x.unsqueeze(-1).squeeze(-1), x[None].squeeze(), image.unsqueeze(2).shape, torch.squeeze(x[None], 0), torch.unsqueeze(x, 1).shape
image.movedim(1, -1).shape, image.permute(0, 2, 3, 1).shape, image.unflatten(1, (1, 3)).shape, image.swapaxes(1, 2).shape
x.flip(0), x.flip([0, 1]), torch.flip(x, dims=[1]), x.roll(1, 0), x.rot90(), torch.rot90(x, 1, [0, 1])
x.sum(), x.sum(0), x.sum(dim=1, keepdim=True), x.sum((0, 1)), x.sum(axis=0), x.mean(-1), x.mean([0, 1]), x.prod(), x.prod(1)
x.max(), x.max(1), x.max(dim=1)[0], x.max(1).indices, x.min(0).values, torch.max(x, 1)[1], torch.max(x, y), torch.min(x, dim=0)[0]
x.argmax(), x.argmax(1), x.argmax(dim=1, keepdim=True), torch.argmin(x, -1), x.amax(1), x.amin((0, 1)), torch.aminmax(x)
x.std(), x.std(0), x.var(1, unbiased=False), x.std(dim=1, keepdim=True), torch.std_mean(x), torch.var_mean(x, 0), x.median(), x.median(1)
x.norm(), x.norm(2, 1), x.norm(p=1), x.norm(dim=1, keepdim=True), torch.norm(x), torch.linalg.norm(x, dim=-1), x.norm(p=float("inf"))
x.sort(), x.sort(1, descending=True), x.argsort(-1), x.topk(2), torch.topk(x, 2, dim=1, largest=False), x.kthvalue(2), v.msort(), x.sort(dim=0)[1]
x.cumsum(1), x.cumprod(-1), x.cummax(0), x.logcumsumexp(1), x.diff(), torch.trapz(v), x.logsumexp(1), torch.cumsum(k, 0)
m.all(), m.any(1), m.all(dim=0), m.sum(), m.float().mean(), m.long(), m.nonzero(), m.nonzero(as_tuple=True), torch.nonzero(m), torch.where(m)
k.unique(), k.unique(return_counts=True), torch.unique(k, return_inverse=True), k.bincount(), torch.bincount(k, minlength=6)
torch.histc(v, bins=4, min=-2, max=2), torch.bucketize(v, torch.tensor([-1.0, 0.0, 1.0])), torch.searchsorted(torch.tensor([0.0, 1.0]), v)
torch.where(m, x, y), torch.where(m, x, 0.0), x.where(m, torch.zeros_like(x)), torch.where(x > 0, 1, 0), torch.where(m, 1.0, -1.0)
x.masked_fill(m, 0), x.masked_fill(m == 0, float("-inf")), x.masked_fill(~m, -1e9), x.masked_select(m), torch.masked_select(x, m)
x.gather(1, k.view(-1, 1)), x.gather(1, k.unsqueeze(1)).squeeze(1), torch.gather(x, 0, torch.zeros(1, 4).long()), x.take(k), x.index_select(1, k)
torch.zeros(3, 4).scatter_(1, k.view(-1, 1), 1), torch.zeros(3, 4).scatter(1, k[:, None], 2.0), torch.zeros(4).scatter_add_(0, k, torch.ones(3))
torch.zeros(4).index_add_(0, k, torch.ones(3)), torch.zeros(4).index_add(0, k, y[:, 0]), torch.zeros(3, 4).index_fill_(1, k, 1.0)
torch.zeros(4).index_put_((k,), torch.tensor(1.0)), torch.zeros(4).index_put((k,), torch.ones(3), accumulate=True), y.clone().index_copy_(0, torch.tensor([0]), v[None])
y.clone().masked_fill_(m, 0), y.clone().fill_(1), y.clone().zero_(), y.clone().clamp_(0, 1), y.clone().add_(1).mul_(2), y.clone().copy_(x.detach())
y.clone().add_(y, alpha=2), y.add(y, alpha=-1), torch.add(x, y, alpha=0.5), y.clone().addcmul_(y, y, value=0.5), y.clone().addcdiv_(y, y + 3, value=2)
y.clone().lerp_(x.detach(), 0.1), y.lerp(y * 2, 0.5), y.clone().sub_(y), y.clone().div_(2), y.clone().pow_(2), y.clone().sqrt_().isnan(), y.clone().neg_()
y.abs().sqrt(), y.exp(), y.abs().log(), y.abs().log1p(), y.sigmoid(), y.tanh(), y.sin(), y.cos(), y.abs().rsqrt(), y.square(), y.reciprocal(), y.erf()
y.floor(), y.ceil(), y.round(), y.trunc(), y.frac(), y.sign(), y.neg(), y.clamp(-1, 1), y.clamp(min=0), torch.clamp(y, max=0.5), y.clip(0, 1), y.relu()
torch.sigmoid(x), torch.tanh(x), torch.relu(x), torch.softmax(x, 1), torch.log_softmax(x, dim=-1), x.softmax(-1), x.log_softmax(1), torch.exp(-x)
torch.pow(x, 2), torch.square(x), torch.abs(x), torch.sign(x), torch.sqrt(x.abs()), torch.maximum(x, y), torch.minimum(x, y), torch.fmod(x, 0.5), torch.atan2(x, y)
torch.mm(x, y.t()), torch.matmul(x, v), x.mv(v), torch.dot(v, v), v.outer(v), torch.outer(v, v), torch.ger(v, v), x.addmm(y, torch.eye(4)), torch.bmm(x[None], y.t()[None])
torch.baddbmm(torch.zeros(1, 3, 3), x[None], y.t()[None]), torch.addmv(torch.zeros(3), x, v), torch.einsum("ij,kj->ik", x, y), torch.einsum("bij,bjk->bik", x[None], y.t()[None])
torch.tensordot(x, y, dims=([1], [1])), torch.kron(torch.eye(2), x), torch.cross(x[:, :3], y[:, :3], dim=1), torch.cdist(x, y), torch.cosine_similarity(x, y)
torch.tril(torch.ones(3, 3)), torch.triu(torch.ones(3, 3), diagonal=1).bool(), y.tril(-1), torch.diag(v), torch.diag(y), y.diagonal(), torch.trace(y), torch.tril_indices(3, 3)
torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"), torch.cartesian_prod(torch.arange(2), torch.arange(2)), torch.combinations(torch.arange(3))
torch.allclose(x, x + 1e-9), torch.equal(x, x), x.equal(y), torch.isclose(x, y).any(), torch.isnan(x).any(), torch.isinf(y), torch.isfinite(x).all(), x.isnan().sum().item()
torch.nan_to_num(torch.tensor([float("nan"), float("inf")])), torch.numel(x), torch.logical_and(m, m), torch.logical_not(m), torch.logical_xor(m, ~m), m.logical_or(m)
torch.eq(k, 1), k.eq(1).sum(), k.ne(2), x.gt(0), x.le(0.5), x.ge(y), torch.lt(x, y), k.eq(k.view_as(k)).sum().item()
torch.broadcast_tensors(v, x)[0], torch.broadcast_to(v, (3, 4)), torch.atleast_2d(v), torch.clone(x), torch.numel(k), torch.count_nonzero(k)
x.half().dtype == torch.float16, x.double().sum(), x.long(), y.int(), y.bool(), y.byte().dtype == torch.uint8, y.to(torch.float64), y.to("cpu"), y.to(x), y.type_as(k), y.bfloat16().float()
y.to(device="cpu", dtype=torch.float64, non_blocking=True), y.cpu().double(), y.float() is y, k.float() / 2, k / 2, k // 2, k * 2.5, k + 1, k > 1
(k / 2).dtype == torch.float32, (k * 1.0).dtype == x.dtype, (x.double() + x).dtype == torch.float64, (k + m[:, 0]).dtype == torch.int64, torch.result_type(k, 1.0) == torch.float32
F.one_hot(k, 4), F.one_hot(k).shape, F.one_hot(k, num_classes=5).float(), F.pad(x, (1, 1)), F.pad(x, (1, 0, 0, 2), value=3.0), F.pad(image, (1, 1, 1, 1), mode="reflect").shape
F.softmax(x, dim=-1), F.log_softmax(x, -1), F.relu(x), F.gelu(x), F.silu(x), F.elu(x), F.leaky_relu(x, 0.2), F.softplus(x), F.sigmoid(x), F.tanh(x), F.hardtanh(x), F.mish(x)
F.logsigmoid(x), F.glu(x), F.normalize(x), F.normalize(x, p=1, dim=0), F.layer_norm(x, (4,)), F.layer_norm(x, x.shape[-1:]), F.dropout(x, 0.5, training=False), F.dropout(x, p=0.0)
F.cross_entropy(x, k), F.cross_entropy(x, k, reduction="none"), F.cross_entropy(x, F.softmax(y, 1)), F.nll_loss(F.log_softmax(x, 1), k), F.mse_loss(x, y), F.l1_loss(x, y, reduction="sum")
F.binary_cross_entropy(x.sigmoid(), m.float()), F.binary_cross_entropy_with_logits(x, m.float()), F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), F.smooth_l1_loss(x, y), F.huber_loss(x, y)
F.cosine_similarity(x, y), F.cosine_similarity(x[None], y[:, None], dim=-1), F.pairwise_distance(x, y), F.triplet_margin_loss(x, y, -y), F.hinge_embedding_loss(x, 2 * m.float() - 1)
F.conv2d(image, torch.ones(1, 3, 3, 3), padding=1), F.conv1d(x[None], torch.ones(2, 3, 2)), F.max_pool2d(image, 2), F.avg_pool2d(image, kernel_size=2, stride=2), F.adaptive_avg_pool2d(image, 1), F.adaptive_avg_pool2d(image, (1, 1)).squeeze()
F.interpolate(image, scale_factor=2), F.interpolate(image, size=(4, 4), mode="bilinear", align_corners=False), F.interpolate(image, size=3, mode="area"), F.grid_sample(image, F.affine_grid(torch.eye(2, 3)[None].repeat(2, 1, 1), image.size(), align_corners=False), align_corners=False)
F.unfold(image, 3).shape, F.fold(F.unfold(image, 3), (6, 6), 3), F.pixel_shuffle(torch.arange(16.0).view(1, 4, 2, 2), 2), F.embedding(k, y.t().contiguous()), F.linear(x, y), F.linear(x, y, torch.ones(3))
F.scaled_dot_product_attention(x[None], y[None], y[None]), F.softmin(x, 1), F.threshold(x, 0.1, 20), F.hardsigmoid(x), F.relu6(x), F.celu(x), F.selu(x), F.softsign(x), F.tanhshrink(x), F.prelu(x, torch.tensor([0.25]))
F.gumbel_softmax(x, hard=True).sum(1), F.cosine_embedding_loss(x, y, torch.ones(3)), F.margin_ranking_loss(v, -v, torch.ones(4)), F.poisson_nll_loss(x, y.abs()), F.gaussian_nll_loss(x, y, y.abs() + 1)
lin(x), lin(x).shape, lin.weight.shape, lin.in_features, lin.out_features, lin.bias.requires_grad, isinstance(lin.weight, nn.Parameter), isinstance(lin.weight, torch.Tensor)
lin.weight.data.norm(), lin.weight.detach().abs().max(), lin.weight.grad is None, lin.weight.is_leaf, lin.weight.data.clone().fill_(0.5)
net(x), net[0](x), net[-1], net[:2], len(net), list(net.children())[0], [n for n, _ in net.named_modules()], [n for n, _ in net.named_parameters()], next(net.parameters()).device.type, next(net.parameters()).dtype == torch.float32
str(net), repr(lin), str(nn.Conv2d(1, 2, 3, padding=1, bias=False)), str(nn.BatchNorm2d(3)), str(nn.LSTM(3, 4, 2, batch_first=True)), str(nn.Embedding(3, 4, padding_idx=0)), str(nn.Dropout(0.3)), str(nn.MaxPool2d(2)), str(nn.Softmax(dim=1))
str(nn.TransformerEncoderLayer(4, 2)), str(nn.ModuleDict({"a": nn.ReLU()})), str(nn.ModuleList([nn.Linear(1, 1) for _ in range(2)])), str(nn.Upsample(scale_factor=2)), str(nn.LayerNorm(4)), str(nn.GroupNorm(2, 4)), str(nn.ConvTranspose2d(1, 1, 2, 2)), str(nn.Identity()), str(nn.Sequential(OrderedDict(a=nn.Tanh())))
str(nn.ParameterList([nn.Parameter(torch.zeros(2))])), str(nn.CrossEntropyLoss()), str(nn.GRUCell(2, 3)), str(nn.MultiheadAttention(4, 2)), str(nn.PReLU()), str(nn.LeakyReLU(0.2, inplace=True)), str(nn.Flatten()), str(nn.AdaptiveAvgPool2d((1, 1))), str(nn.ZeroPad2d(1)), str(nn.Unflatten(1, (2, 2)))
list(net.state_dict().keys()), net.training, net.eval().training, net.train() is net, sum(p.numel() for p in net.parameters()), sum(p.numel() for p in net.parameters() if p.requires_grad)
[p.requires_grad_(False).requires_grad for p in net.parameters()], net.requires_grad_(True) is net, net.double()(x.double()), net.float().to("cpu") is net, net.zero_grad(), net.zero_grad(set_to_none=True)
net.load_state_dict(net.state_dict()), copy.deepcopy(net)(x), net.apply(lambda m: None) is net, hasattr(net, "training"), net._modules.keys() == net.state_dict().keys(), len(list(net.modules())), len(list(net.buffers()))
net.get_submodule("0").weight.shape, net.get_parameter("0.weight").shape, isinstance(net[0], nn.Linear), type(net[0]).__name__, net[0].__class__.__name__, net._get_name()
pickle.loads(pickle.dumps(y)), copy.deepcopy(y), copy.copy(y), pickle.loads(pickle.dumps(lin))(x), y.clone().detach().requires_grad_(True).requires_grad
opt.param_groups[0]["lr"], opt.state_dict()["param_groups"][0]["momentum"], len(opt.param_groups), opt.zero_grad(), opt.step(), sorted(opt.state_dict()), opt.defaults["lr"], len(opt.state)
str(opt), str(torch.optim.Adam(net.parameters())), str(torch.optim.AdamW(net.parameters(), lr=0.1)), str(torch.optim.RMSprop(net.parameters())), isinstance(opt, torch.optim.Optimizer)
torch.autograd.grad(x.pow(2).sum(), x)[0], torch.autograd.grad((x * y).sum(), [x], retain_graph=True), torch.autograd.grad(x.sum(), [x], create_graph=True)[0].requires_grad
x.pow(3).sum().backward(), x.grad, x.grad.zero_(), x.grad.data.norm(2), x.grad.detach_()
(x * 2).mean().backward(), x.grad.norm(), torch.nn.utils.clip_grad_norm_([x], 0.1), x.grad
(x * y).sum(1).backward(torch.ones(3)), x.grad, (x * y).backward(gradient=torch.ones_like(x)), x.grad
(lambda z: (z.retain_grad(), z.sum().backward(), z.grad))(x * 3)[2]
torch.is_grad_enabled(), torch.get_default_dtype() == torch.float32, torch.initial_seed() >= 0, torch.get_num_threads() >= 1, torch.cuda.is_available() in (True, False), torch.cuda.device_count() >= 0
torch.rand(2, 3).shape, torch.randn((2, 3)).shape, torch.randint(0, 5, (2,)).dtype == torch.int64, torch.randint(5, size=(2, 2)).shape, torch.randperm(5).sort()[0], torch.rand(3, device="cpu").max() < 1
torch.normal(0, 1, size=(2,)).shape, torch.normal(torch.zeros(2), torch.ones(2)).shape, torch.bernoulli(torch.ones(2)), torch.multinomial(torch.tensor([0.0, 1.0]), 1), torch.empty(2).normal_().shape, torch.empty(2, 2).uniform_(0, 1).max() < 1, torch.randn(2, requires_grad=True).requires_grad, torch.zeros(3).bernoulli_(1.0), torch.empty(2).exponential_().min() >= 0
torch.manual_seed(0) is not None, torch.Generator().manual_seed(3).initial_seed(), torch.randn(2, generator=torch.Generator().manual_seed(1)).shape, torch.get_rng_state() is not None
torch.stack([torch.tensor(float(i)) for i in range(3)]), torch.tensor([t.item() for t in v]), sum([v, v]), sum(t.sum() for t in (x, y)), torch.stack(list(map(torch.sum, [x, y])))
v.numpy().tolist() == v.tolist(), torch.mean(x, dim=0), torch.mean(torch.stack([v, v]), 0), torch.sum(x * y, dim=-1), torch.prod(torch.tensor(x.shape)), torch.std(x, 0, unbiased=True), torch.var(x)
x.data[0, 0], x.data.max(1, keepdim=True)[1], x.data.cpu().numpy().argmax(), x.detach().clone(), x.new_zeros(2), x.new_ones(2, 2), x.new_full((2,), 3.0), x.new_tensor([1.0]), x.new_empty(0), x.new(2, 3).shape, x.new([1.0])
k.unsqueeze(1).expand(3, 2), k.view(-1, 1).repeat(1, 2), k.to(torch.uint8), k.clamp(max=2), k.float().mean(), k.max().item(), k.cumsum(0), k.flip(0), k.abs(), k.sum().float(), k.double()
torch.bitwise_and(k, 1), k & 1, k | 2, k << 1, k ^ k, k.bool(), torch.floor_divide(k, 2), torch.remainder(k, 2), torch.div(k, 2, rounding_mode="floor"), k.remainder(2), torch.true_divide(k, 2)
torch.renorm(y, 2, 0, 1.0), torch.logit(y.sigmoid()), torch.heaviside(y, torch.tensor(0.5)), torch.hypot(x, y), torch.special.expit(y), torch.special.gammaln(y.abs()), torch.lgamma(y.abs()), torch.digamma(y.abs()), torch.erfinv(y.tanh()), torch.polygamma(1, y.abs())
torch.nn.init.zeros_(torch.empty(2)), torch.nn.init.constant_(torch.empty(2), 3), nn.init.eye_(torch.empty(2, 2)), nn.init.calculate_gain("relu"), nn.init.calculate_gain("leaky_relu", 0.2), nn.init.kaiming_uniform_(torch.empty(2, 2), a=math.sqrt(5)).shape, nn.init.xavier_normal_(torch.empty(2, 2)).shape, nn.init.orthogonal_(torch.empty(2, 2)).det().abs()
torch.linalg.det(torch.eye(2) * 2), torch.linalg.inv(torch.eye(2) * 2), torch.inverse(torch.eye(2) * 2), torch.linalg.solve(torch.eye(2) * 2, torch.ones(2, 1)), torch.slogdet(torch.eye(2)), torch.linalg.cholesky(torch.eye(2) * 4)
torch.linalg.svd(torch.eye(2))[1], torch.linalg.eigh(torch.eye(2))[0], torch.linalg.qr(torch.eye(2))[1].abs(), torch.linalg.pinv(torch.eye(2)), torch.linalg.matrix_norm(y), torch.linalg.vector_norm(y), torch.linalg.matrix_power(torch.eye(2), 2), torch.linalg.multi_dot([x, y.t(), x])
y.as_strided((2, 2), (1, 2)), torch.view_as_real(torch.complex(v, v)), torch.complex(v, v).real, torch.complex(v, v).abs(), torch.view_as_complex(torch.stack([v, v], -1)), torch.fft.fft(v).abs(), torch.hann_window(4), torch.poisson(torch.zeros(2)), torch.cov(y), torch.corrcoef(y)
torch.nn.functional.multi_head_attention_forward, torch.nn.modules.loss._Loss, torch.nn.modules.conv._ConvNd, torch.nn.modules.batchnorm._BatchNorm, torch.optim.lr_scheduler._LRScheduler, torch.nn.Module.__call__, torch.nn.modules.utils._pair(3)
nn.DataParallel(lin)(x), nn.DataParallel(lin).module is lin, list(nn.DataParallel(lin).state_dict())
nn.LazyLinear(3)(x).shape, nn.LazyConv2d(2, 3)(image).shape, nn.init.xavier_uniform, torch.nn.utils.clip_grad_norm
torch.compile(lin)(x), torch.jit.script(lin)(x), torch.func.functional_call(lin, dict(lin.named_parameters()), (x,)), torch.vmap(torch.sum)(y)
torch.distributions.Categorical(logits=y).log_prob(k), torch.distributions.Normal(y, 1.0).log_prob(x), torch.distributions.Bernoulli(probs=y.sigmoid()).entropy()
torch.distributions.kl_divergence(torch.distributions.Normal(y, 1.0), torch.distributions.Normal(0.0, 1.0)), torch.distributions.Categorical(probs=y.softmax(-1)).entropy()
torch.set_default_tensor_type, torch.set_default_device, torch.save, torch.load, torch.utils.data.DataLoader, torch.get_default_device
torch.channels_last, torch.contiguous_format, torch.preserve_format, image.to(memory_format=torch.channels_last).shape, image.contiguous(memory_format=torch.contiguous_format).shape
x.dtype.is_floating_point, k.dtype.is_floating_point
torch.exp_(y.clone()), torch.relu_(y.clone()), torch.sigmoid_(y.clone()), torch.clamp_(y.clone(), 0, 1), torch.zero_(y.clone()), torch.fill_(y.clone(), 1)
torch.gradient(v), torch.unravel_index(torch.tensor(5), (2, 3)), torch.logdet(torch.eye(2)), torch.det(torch.eye(2)), torch.dist(v, v + 1), torch.frexp(v)[0], torch.ldexp(v, torch.tensor(2)), torch.gcd(k, k), torch.lcm(k, k), torch.nextafter(v, v + 1), torch.i0(v), torch.igamma(v.abs(), v.abs()), torch.range(1, 3), torch.chain_matmul(x, y.t())
""".strip().splitlines()
