"""Anomaly detection, as PyTorch has it, and what the doctor takes from it."""

from __future__ import annotations

import pytest

import autograd_gpu as ag
from autograd_gpu import anomaly
from autograd_gpu.core.between import slot


def bad_sqrt(lib):
    x = lib.tensor([0.0, 4.0], requires_grad=True)
    return (x.sqrt() * x).sum()


def bad_after_good(lib):
    x = lib.tensor([1.0, 0.0], requires_grad=True)
    return (x.exp() * 0 / x).sum()


def sound(lib):
    x = lib.tensor([1.0, 4.0], requires_grad=True)
    return (x.log() * x.sqrt()).sum()


def infinite(lib):
    """Infinity is no NaN."""
    x = lib.tensor([0.0, 4.0], requires_grad=True)
    return x.sqrt().sum()


@pytest.mark.parametrize("case", [bad_sqrt, bad_after_good, sound, infinite])
@pytest.mark.parametrize("check_nan", [True, False])
def test_raises_where_pytorch_raises(case, check_nan: bool, torch) -> None:
    def outcome(lib) -> str | None:
        try:
            with lib.autograd.set_detect_anomaly(True, check_nan):
                case(lib).backward()
        except RuntimeError as error:
            return str(error).partition(" in its")[0]
        return None

    assert outcome(ag) == outcome(torch)


def test_names_the_line() -> None:
    with ag.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"test_anomaly\.py:14$"):
        bad_sqrt(ag).backward()


def test_under_create_graph_and_grad() -> None:
    x = ag.tensor([0.0], requires_grad=True)
    with ag.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan"):
        ag.autograd.grad((x.sqrt() * x).sum(), x, create_graph=True)


def test_state_comes_back() -> None:
    with ag.autograd.set_detect_anomaly(True):
        with ag.autograd.set_detect_anomaly(False):
            assert not ag.is_anomaly_enabled() and slot.call is None
        with ag.autograd.set_detect_anomaly(True, check_nan=False):
            assert not ag.is_anomaly_check_nan_enabled()
        assert ag.is_anomaly_enabled() and ag.is_anomaly_check_nan_enabled()
    assert not ag.is_anomaly_enabled() and slot.call is None
    one = ag.autograd.detect_anomaly()
    with one, one:
        pass
    assert not ag.is_anomaly_enabled() and slot.call is None


def test_each_output_sees_ops_and_lines_and_lets_go() -> None:
    seen = []
    x = ag.tensor([2.0])
    with anomaly.each_output(lambda op, place, inputs, out: seen.append((op, place[0].co_filename, float(out[0])))):
        (x * x).exp()
    x.exp()
    assert [(op, value) for op, _, value in seen] == [("mul", 4.0), ("exp", pytest.approx(54.598, rel=1e-4))]
    assert {name for _, name, _ in seen} == {__file__}
