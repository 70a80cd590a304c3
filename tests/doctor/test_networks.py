"""Ill networks are told from sound ones, and the remedy that the doctor names helps."""

from __future__ import annotations

import math

import pytest

from tests.doctor.networks import ILL, REMEDIES, SOUND, Net, train

SEEDS = range(2)
ROUNDS = 5  # of treatment


def treated(net: Net, report, seed: int) -> tuple[float, list[str]]:
    """The loss after the remedies that the doctor names, one at a time until it is content. A remedy that changes nothing more
    leaves its place to the next."""
    loss, taken = math.inf, []
    for _ in range(ROUNDS):
        offered = [f.remedy for f in report.findings if f.remedy in REMEDIES]
        remedy = next((r for r in offered if REMEDIES[r](net) != net), None)
        if remedy is None:
            break
        net = REMEDIES[remedy](net)
        taken.append(remedy)
        loss, report = train(net, seed=seed)
    return loss, taken


def test_precision_and_recall(capsys: pytest.CaptureFixture[str]) -> None:
    """Over all networks: of what was named, how much was so, and of what was so, how much was named."""
    right = wrong = missed = 0
    mistakes = []
    for seed in SEEDS:
        for name, ill in ILL.items():
            kinds = {f.kind for f in train(ill.net, seed=seed)[1].findings}
            strange = kinds - {ill.named, *ill.also}
            right += ill.named in kinds
            missed += ill.named not in kinds
            wrong += len(strange)
            if strange or ill.named not in kinds:
                mistakes.append((name, seed, sorted(kinds)))
        for name, net in SOUND.items():
            kinds = {f.kind for f in train(net, seed=seed)[1].findings}
            wrong += len(kinds)
            if kinds:
                mistakes.append((name, seed, sorted(kinds)))
    precision, recall = right / (right + wrong), right / (right + missed)
    with capsys.disabled():
        print(f"\ndoctor: {len(ILL)} ill and {len(SOUND)} sound networks: precision {precision:.3f}, recall {recall:.3f}")
    assert len(ILL) >= 20 and len(SOUND) >= 10
    assert precision >= 0.95 and recall >= 0.95, mistakes


@pytest.mark.parametrize("name", ILL)
def test_remedies_lower_the_loss(name: str) -> None:
    net = ILL[name].net
    for seed in SEEDS:
        loss, report = train(net, seed=seed)
        better, taken = treated(net, report, seed)
        assert taken and better < (loss if math.isfinite(loss) else math.inf), (seed, loss, better, taken)


@pytest.mark.parametrize("name", ["deep sigmoid", "large negative bias", "large weights, tanh", "log of zero", "zero weights"])
def test_every_step_names_the_same(name: str) -> None:
    assert ILL[name].named in {f.kind for f in train(ILL[name].net, every=1)[1].findings}
