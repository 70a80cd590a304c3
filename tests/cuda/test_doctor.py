"""The doctor watches networks on a CUDA device as it watches those on the CPU."""

from __future__ import annotations

import pytest

import autograd_gpu as ag
from autograd_gpu import doctor, nn, optim

pytest.importorskip("cupy")


def watched(device: str, bias: float, poison: bool) -> doctor.Report:
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    nn.init.constant_(model[0].bias, bias)
    x = ag.randn(16, 4).to(device)
    model.to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with doctor.watch(model, optimizer) as watching:
        for _ in range(12):
            out = model(x)
            loss = (out * 0).sqrt().sum() if poison else out.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watching.report()


@pytest.mark.parametrize("bias, poison", [(0.0, False), (-20.0, False), (0.0, True)])
def test_as_on_the_cpu(bias: float, poison: bool) -> None:
    here, there = watched("cpu", bias, poison), watched("cuda", bias, poison)
    assert [(f.kind, f.layer, f.remedy) for f in here.findings] == [(f.kind, f.layer, f.remedy) for f in there.findings]
    assert [f.evidence.get("line") for f in here.findings] == [f.evidence.get("line") for f in there.findings]
    for a, b in zip(here.layers, there.layers, strict=True):
        assert {k: v for k, v in a.items() if isinstance(v, float)} == pytest.approx(
            {k: v for k, v in b.items() if isinstance(v, float)}, rel=1e-3, abs=1e-5, nan_ok=True
        )
