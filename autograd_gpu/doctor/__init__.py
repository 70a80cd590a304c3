"""A doctor for the flow of gradients: watches a network in training, names what is wrong with it and what helps.

>>> import autograd_gpu as ag
>>> from autograd_gpu import doctor, nn, optim
>>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
>>> optimizer = optim.SGD(model.parameters(), lr=0.1)
>>> with doctor.watch(model, optimizer) as watching:
...     for _ in range(20):
...         loss = (model(ag.randn(16, 4)) - 1.0).square().mean()
...         optimizer.zero_grad()
...         loss.backward()
...         optimizer.step()
>>> watching.report().healthy
True
"""

from .collect import Watch, watch
from .diagnose import ADVICE, LIMITS, Finding, findings_of
from .report import Report

__all__ = ["ADVICE", "LIMITS", "Finding", "Report", "Watch", "findings_of", "watch"]
