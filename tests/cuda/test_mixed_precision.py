"""Mixed precision and clipping on a CUDA device: the same steps as on the CPU."""

from __future__ import annotations

import numpy as np

import autograd_gpu as ag
from autograd_gpu import nn


def train(device):
    """Losses, scales and parameters of a few steps in float16, of which the second overflows."""
    ag.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    rng = np.random.default_rng(0)
    with ag.no_grad():
        for p in net.parameters():
            p.copy_(ag.tensor(rng.normal(size=p.shape).astype("float32") * 0.5))
    net.to(device)
    x, y = ag.tensor(rng.normal(size=(6, 4)).astype("float32"), device=device), ag.tensor(rng.integers(0, 3, 6), device=device)
    optimizer = ag.optim.SGD(net.named_parameters(), lr=0.5)
    scaler = ag.amp.GradScaler(device, init_scale=1024.0, growth_interval=2)
    trace = []
    for step in range(4):
        optimizer.zero_grad()
        with ag.autocast(device, dtype=ag.float16):
            out = net(x)
            loss = nn.functional.cross_entropy(out, y)
        assert out.dtype == ag.float16 and loss.dtype == ag.float32
        loss = loss * (1e38 if step == 1 else 1.0)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        nn.utils.clip_grad_value_(net.parameters(), 0.25)
        scaler.step(optimizer)
        scaler.update()
        trace.append((float(loss), scaler.get_scale(), float(norm) if step != 1 else None))
    return trace, scaler.overflow, [p.detach().cpu().numpy() for p in net.parameters()]


def test_steps_are_the_cpus():
    (theirs, overflow, weights), (ours, found, values) = train("cpu"), train("cuda")
    assert [scale for _, scale, _ in ours] == [scale for _, scale, _ in theirs] == [1024.0, 512.0, 512.0, 1024.0]
    assert found.name == overflow.name == "2.weight" and found.of == overflow.of
    for (a, _, m), (b, _, n) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, 5e-3)
        assert (m is None) == (n is None) and (m is None or abs(m - n) < 5e-3)
    for a, b in zip(values, weights, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-3)


def test_autocast_concerns_one_kind_of_device():
    a, b = ag.ones(2, 2), ag.ones(2, 2, device="cuda")
    with ag.autocast("cuda"):
        assert (a @ a).dtype == ag.float32 and (b @ b).dtype == ag.float16 and ag.is_autocast_enabled("cuda")
        with ag.autocast("cpu"):
            assert (a @ a).dtype == ag.bfloat16 and (b @ b).dtype == ag.float16
    assert (b @ b).dtype == ag.float32


def test_modules_move():
    net = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    x = ag.ones(1, 3)
    here = net(x)
    net.to("cuda")
    xc = x.cuda().requires_grad_()
    there = net(xc)
    there.sum().backward()
    np.testing.assert_allclose(here.detach().numpy(), there.detach().cpu().numpy(), rtol=1e-6)
    np.testing.assert_allclose(xc.grad.cpu().numpy(), 2 * net.weight.detach().cpu().numpy().sum(0, keepdims=True), rtol=1e-6)
    state = {name: t.cpu() for name, t in net.state_dict().items()}
    other = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)).cuda()
    other.load_state_dict(state)
    assert all(p.is_cuda for p in other.parameters())
    assert ag.equal(other.weight, net.weight)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.is_cuda and nn.utils.get_total_norm([vector], 1.0).is_cuda
    w = nn.init.orthogonal_(ag.empty(3, 3, device="cuda"))
    np.testing.assert_allclose((w @ w.T).cpu().numpy(), np.eye(3), atol=1e-5)
    assert bool((nn.init.trunc_normal_(w).abs() <= 2).all())
