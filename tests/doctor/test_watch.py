"""What the doctor collects, how it finds the first non-finite number, and that it leaves everything as it was."""

from __future__ import annotations

import builtins
import copy
import json
import math
import pickle
import sys
import threading

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import doctor, nn, optim
from autograd_gpu.core.between import slot
from autograd_gpu.doctor import parts
from autograd_gpu.nn import functional as F


def line_of(text: str) -> int:
    """The number of the only line of this file that has `text` and a mark behind it."""
    with open(__file__, encoding="utf-8") as file:
        (found,) = [n for n, line in enumerate(file, 1) if f"{text}  # here" in line]
    return found


def small() -> nn.Sequential:
    ag.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def run(model: nn.Module, steps: int, every: int = 10, lr: float = 0.1) -> doctor.Watch:
    optimizer = optim.SGD(model.parameters(), lr=lr)
    with doctor.watch(model, optimizer, every) as watching:
        for _ in range(steps):
            loss = model(ag.randn(16, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watching


def test_lazy_modules_find_their_sizes_while_they_are_watched():
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))
    with doctor.watch(model, every=1):
        for _ in range(3):
            model(ag.randn(16, 4)).square().mean().backward()
    assert type(model[0]) is nn.Linear and model[0].in_features == 4 and "forward" not in vars(model[0])


# -- the numbers -----------------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_layer() -> None:
    model, x = small(), ag.randn(16, 4)
    before = model[0].weight.detach().clone()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    watching = doctor.watch(model, optimizer)
    hidden = model[0](x).detach()
    model(x).square().mean().backward()
    gradients = [p.grad.array.copy() for p in model[0].parameters()]
    optimizer.step()
    watching.stop()
    layer, last = watching.record().layers  # the ReLU is one with the layer before it
    look = layer.looks[0]
    assert (layer.name, layer.kind, layer.activation, last.activation) == ("0", "Linear", "relu", None)
    assert look.gradient == pytest.approx(sum((g**2).sum() for g in gradients), rel=1e-5)
    assert look.update == pytest.approx(((model[0].weight - before) ** 2).sum().item(), rel=1e-4)
    assert look.weight == pytest.approx((before**2).sum().item(), rel=1e-5)
    assert look.sum / look.count == pytest.approx(hidden.mean().item(), rel=1e-4)
    assert look.idle == (hidden.array <= 0).sum()
    assert layer.dead == (hidden.array <= 0).all(0).mean()
    row = watching.report().layers[0]
    assert row["std"] == pytest.approx(hidden.array.std(), rel=1e-4) and row["zero"] == look.idle / look.count


def test_which_steps_are_looked_at() -> None:
    looks = run(small(), 41).record().layers[0].looks
    assert {0, 1, 2} < {look.step for look in looks} <= {0, 1, 2, 10, 20, 30, 40}
    assert {look.step for look in run(small(), 90).record().layers[0].looks} <= {0, 1, 2, *range(10, 90, 10)}
    assert [look.step for look in run(small(), 5, every=1).record().layers[0].looks] == [0, 1, 2, 3, 4]


def test_all_is_looked_at_in_turn() -> None:
    for layer in run(small(), 85).record().layers:
        later = [look for look in layer.looks if look.step > 2]
        for name in ("gradient", "update", "sum"):
            assert any(getattr(look, name) is not None for look in later), name


def test_gradients_of_some_tensors_are_no_step() -> None:
    model = small()
    with doctor.watch(model) as watching:
        (ag.ones(1, requires_grad=True) * 2).backward()  # of something else than the model
        ag.autograd.grad(model(ag.randn(3, 4)).sum(), list(model.parameters()))
        assert watching.record().steps == 0
        model(ag.randn(3, 4)).sum().backward()
        assert watching.record().steps == 1


def test_large_arrays_are_estimated() -> None:
    a = np.random.default_rng(0).standard_normal((1024, 64)).astype("float32")
    assert parts.square_of(a) == pytest.approx((a**2).sum(), rel=0.05)
    assert parts.some_of(a).size <= parts.LARGE and parts.some_of(a, 256).size <= 256


def test_convolutions_and_recurrent_layers() -> None:
    ag.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )
    layers = {layer.name: layer for layer in run(model, 3).record().layers}
    assert layers["2"].activation == "relu" and layers["2"].units == 6

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.last = nn.GRU(1, 5, batch_first=True), nn.Linear(5, 1)

        def forward(self, x: ag.Tensor) -> ag.Tensor:
            return self.last(self.rnn(x.unsqueeze(-1))[0][:, -1])

    assert [look.count for look in run(Last(), 3).record().layers[0].looks] == [16 * 4 * 5] * 3


# -- everything is left as it was --------------------------------------------------------------------------------------------


def test_watching_leaves_training_alone() -> None:
    finals = []
    for watched in (True, False):
        model, x = small(), ag.randn(16, 4)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        watching = doctor.watch(model, optimizer) if watched else None
        for _ in range(40):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        if watching is not None:
            watching.stop()
        finals.append(model[0].weight.array.copy())
    assert np.array_equal(*finals)


def test_stop_takes_everything_away() -> None:
    model = small()
    watching = doctor.watch(model)
    assert "forward" in model[0].__dict__ and slot.call is not None
    watching.stop()
    watching.stop()
    assert not any("forward" in m.__dict__ for m in model.modules()) and slot.call is None


def test_nothing_is_installed_between_looks() -> None:
    model = small()
    with doctor.watch(model):
        for step in range(12):
            model(ag.randn(3, 4)).sum().backward()
            tapped = any("forward" in m.__dict__ for m in model.modules())
            assert tapped <= (step < 2 or step % 10 == 9), step
            assert not any(m._hooked for m in model.modules())


def test_a_copy_is_not_watched() -> None:
    model = small()
    with doctor.watch(model) as watching:
        twin = copy.deepcopy(model)
        with ag.no_grad():
            twin[0].weight.zero_()
            twin[0].bias.fill_(1.0)
        assert twin[0](ag.ones(1, 4)).tolist() == [[1.0] * 8]
        assert watching._parts[0].tap.out is None


def test_a_pickled_copy_is_not_watched() -> None:
    model = small()
    with doctor.watch(model):
        model(ag.randn(3, 4))
        twin = pickle.loads(pickle.dumps(model))
    x = ag.randn(2, 4)
    assert ag.equal(twin(x), model(x)) and not any(isinstance(m.forward, parts.Tap) for m in twin.modules())


@pytest.mark.parametrize("backwards", [2, 4, 10])
def test_a_step_of_the_optimizer_after_several_backwards(backwards: int) -> None:
    model = small()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with doctor.watch(model, optimizer) as watching:
        for step in range(1, 101):
            (model(ag.randn(16, 4)).square().mean() / backwards).backward()
            if step % backwards == 0:
                before = model[0].weight.array.copy()
                optimizer.step()
                optimizer.zero_grad()
                if step == backwards:
                    first = ((model[0].weight.array - before) ** 2).sum()
    assert watching.report().healthy
    assert watching.record().layers[0].looks[0].update == pytest.approx(first, rel=1e-5)


def test_two_networks_in_turns() -> None:
    """The backward after a look may be that of the other one, before the optimizer has made its step."""
    ag.manual_seed(0)
    maker, judge = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4)), small()
    optimizers = [optim.Adam(m.parameters(), lr=1e-3) for m in (maker, judge)]
    with doctor.watch(maker, optimizers[0]) as first, doctor.watch(judge, optimizers[1]) as second:
        for _ in range(40):
            z = ag.randn(16, 4)
            for turn, optimizer in enumerate(optimizers):
                optimizer.zero_grad()
                if turn == 0:
                    loss = F.softplus(-judge(maker(z))).mean()
                else:
                    loss = (F.softplus(-judge(ag.randn(16, 4))) + F.softplus(judge(maker(z).detach()))).mean()
                loss.backward()
                optimizer.step()
    assert first.report().healthy and second.report().healthy


def test_what_another_thread_trains_is_no_step() -> None:
    def other() -> None:
        twin = small()
        for _ in range(7):
            twin(ag.randn(8, 4)).sum().backward()

    model = small()
    with doctor.watch(model) as watching:
        for _ in range(3):
            model(ag.randn(8, 4)).sum().backward()
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
    assert watching.record().steps == 3


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("scale", [2.0**12, 2.0**26])
def test_a_scaled_loss(scale: float, given: bool) -> None:
    """Gradients are what they would be without the scale, and a step that the scaler leaves out is no trouble. The scaler is
    noticed if it is not given."""
    model = small()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    scaler = ag.amp.GradScaler("cpu", init_scale=scale)
    ag.amp.GradScaler("cpu").scale(ag.ones((), requires_grad=True))  # another, of something else
    with doctor.watch(model, optimizer, scaler=scaler if given else None) as watching:
        for _ in range(60):
            optimizer.zero_grad()
            with ag.autocast("cpu", dtype=ag.float16):
                loss = model(ag.randn(16, 4)).float().square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert watching.report().healthy and scaler.get_scale() < 2.0**26


def test_a_number_is_no_optimizer() -> None:
    with pytest.raises(TypeError, match="not int"):
        doctor.watch(small(), 3)


def test_a_report_of_nothing() -> None:
    with doctor.watch(small()) as watching:
        assert "Nothing was seen" in str(watching.report())


def test_two_watches_at_once() -> None:
    model = small()
    first, second = doctor.watch(model), doctor.watch(model, every=1)
    for _ in range(4):
        model(ag.randn(8, 4)).sum().backward()
    first.stop()
    model(ag.randn(8, 4)).sum().backward()
    second.stop()
    assert (first.record().steps, second.record().steps) == (4, 5)
    assert not any("forward" in m.__dict__ for m in model.modules())


def test_between_looks_the_engine_only_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    passing = doctor.Watch._pass
    monkeypatch.setattr(doctor.Watch, "_pass", lambda self, *rest: called.append(self._step) or passing(self, *rest))
    watching = run(small(), 90)
    assert watching.record().steps == 90
    # once a look, once to find the update after it, and once to make ready for a look at outputs
    assert called == [0, 1, 2, 10, 10, 20, 30, 30, 30, 40, 50, 60, 70, 80]


def test_who_comes_in_between_later_takes_no_step_away() -> None:
    """A watch that is not alone counts by itself, from where the engine had come to."""
    model, x = small(), ag.randn(8, 4)

    def train(steps: int) -> None:
        for _ in range(steps):
            model.zero_grad()
            model(x).sum().backward()

    with doctor.watch(model) as watching:
        train(14)
        with doctor.watch(model) as second:
            train(12)
        with ag.autograd.detect_anomaly():
            train(7)
        train(8)
    assert (watching.record().steps, second.record().steps) == (41, 12)
    assert [look.step for look in watching.record().layers[0].looks] == [0, 1, 2, 10, 20, 30]
    assert slot.call is None


def test_weights_are_those_of_the_whole_layer_however_many_are_looked_at() -> None:
    """The steepness compares them with the gradients of all."""
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = (model[0].weight.array ** 2).sum()
    with doctor.watch(model, optimizer) as watching:
        for _ in range(21):
            optimizer.zero_grad()
            model(ag.randn(16, 256)).square().mean().backward()
            optimizer.step()
    looks = {look.step: look for look in watching.record().layers[0].looks}
    assert looks[0].weight == pytest.approx(before, rel=0.1) and looks[20].weight == pytest.approx(before, rel=0.2)


def test_an_update_that_is_in_no_log() -> None:
    model = small()
    with doctor.watch(model) as watching:
        for _ in range(4):
            model.zero_grad()
            model(ag.randn(16, 4)).square().mean().backward()
            for p in model.parameters():
                p.array.reshape(-1)[:] -= 0.125
    assert [round(look.update, 4) for look in watching.record().layers[0].looks] == [0.5, 0.5, 0.5]  # of 32 weights


def test_a_first_layer_that_is_never_called() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.used = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: ag.Tensor) -> ag.Tensor:
            return self.used(x)

    watching = run(Odd(), 85)
    unused, used = watching.record().layers
    assert [look.step for look in used.looks if look.sum is not None] == [0, 1, 2, 30]
    assert ("disconnected", "unused") in {(f.kind, f.layer) for f in watching.report().findings}


def test_moved_to_another_dtype_while_watched() -> None:
    model = small()
    with doctor.watch(model) as watching:
        model(ag.randn(16, 4)).sum().backward()
        model.double()
        model.zero_grad()
        model(ag.randn(16, 4, dtype=ag.float64)).sum().backward()
    assert watching.record().steps == 2


def test_autocast_meets_a_watch() -> None:
    """Both stand between, and in either order both let go again."""
    model = small()
    with doctor.watch(model), ag.autocast("cpu", dtype=ag.bfloat16):
        model(ag.randn(8, 4)).float().sum().backward()
    with ag.autocast("cpu", dtype=ag.bfloat16):
        watching = doctor.watch(model)
    watching.stop()
    assert slot.call is None and model(ag.randn(8, 4)).dtype == ag.float32


@pytest.mark.parametrize(
    "wrong", [lambda: doctor.watch(3), lambda: doctor.watch(small(), every=0), lambda: doctor.watch(nn.Identity())]
)
def test_wrong_use(wrong) -> None:
    with pytest.raises((TypeError, ValueError)):
        wrong()


# -- the first non-finite number ------------------------------------------------------------------------------------------------


class Careless(nn.Module):
    """Divides by zero, or takes a root of zero, in its forward."""

    def __init__(self, what: str):
        super().__init__()
        self.first, self.drop, self.norm, self.last = nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.what = what

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        h = self.norm(self.drop(F.relu(self.first(x))))
        if self.what == "log":
            h = (h * 0).log()  # here
        elif self.what == "exp":
            h = (h.abs() * 1e4).exp()  # here
        elif self.what == "sqrt":
            h = (h * 0).sqrt()  # here
        return self.last(h)


@pytest.mark.parametrize(
    "what, phase, line",
    [
        ("log", "forward", "h = (h * 0).log()"),
        ("exp", "forward", "h = (h.abs() * 1e4).exp()"),
        ("sqrt", "backward", "h = (h * 0).sqrt()"),
    ],
)
def test_the_line_in_the_model(what: str, phase: str, line: str) -> None:
    ag.manual_seed(0)
    model = Careless(what)
    x = ag.randn(16, 4)
    with doctor.watch(model) as watching:
        loss = model(x).sum()
        random, running = ag.get_rng_state(), model.norm.running_mean.tolist()
        loss.backward()
    assert model.norm.running_mean.tolist() == running and bool((ag.get_rng_state() == random).all())
    (finding,) = [f for f in watching.report().findings if f.kind == "nonfinite"]
    assert finding.evidence["op"] == what and finding.evidence["phase"] == phase and finding.remedy == "numerics"
    assert finding.evidence["line"] == f"{__file__}:{line_of(line)}"


def test_the_line_in_the_loss() -> None:
    model = small()
    with doctor.watch(model) as watching:
        p = F.relu(model(ag.randn(16, 4)) - 1)
        shares = p / p.sum(1, keepdim=True)  # here
        (shares - 1).square().mean().backward()
    evidence = watching.report().findings[0].evidence
    assert (evidence["op"], evidence["phase"]) == ("div", "forward")
    assert evidence["line"] == f"{__file__}:{line_of('shares = p / p.sum(1, keepdim=True)')}"


def test_a_loss_that_is_not_finite_though_its_gradients_are() -> None:
    model = small()
    with doctor.watch(model) as watching:
        out = model(ag.randn(16, 4)) - 100
        out.log().mean().backward()  # here
    (finding,) = watching.report().findings
    assert (finding.kind, finding.evidence["op"], finding.evidence["phase"]) == ("nonfinite", "log", "forward")
    assert finding.evidence["line"] == f"{__file__}:{line_of('out.log().mean().backward()')}"


def test_late_and_not_looked_at() -> None:
    """With every=1 a late one is found with its line; else the next look finds spoilt parameters, and says how to look closer."""
    for every, phase in ((1, "backward"), (10, "parameters")):
        model = small()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        with doctor.watch(model, optimizer, every) as watching:
            for step in range(24):
                out = model(ag.randn(16, 4)).square().mean()
                loss = (out * (step != 14)).sqrt()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        finding = watching.report().findings[0]
        assert (finding.kind, finding.evidence["phase"]) == ("nonfinite", phase)
        assert finding.evidence["step"] == (14 if every == 1 else 20)
        assert finding.remedy == ("numerics" if every == 1 else "closer look")


# -- the report ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ill() -> doctor.Report:
    ag.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    nn.init.constant_(model[0].bias, -20.0)
    return run(model, 5).report()


def test_report_is_plain_data(ill: doctor.Report) -> None:
    (finding,) = ill.findings
    assert (finding.kind, finding.layer, finding.remedy, finding.evidence["dead"]) == ("dead", "0", "initialisation", 1.0)
    assert finding.advice == doctor.ADVICE["initialisation"] and not ill.healthy
    again = json.loads(json.dumps(ill.as_dict()))
    assert again["findings"][0]["kind"] == "dead" and [row["layer"] for row in again["layers"]] == ["0", "2"]
    assert doctor.findings_of(ill.record) == ill.findings


@pytest.mark.parametrize("rich", [True, False])
def test_report_prints_a_table(ill: doctor.Report, rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if rich:
        pytest.importorskip("rich")
    else:
        for name in [n for n in sys.modules if n.partition(".")[0] == "rich"]:
            monkeypatch.delitem(sys.modules, name)
        plain = builtins.__import__
        monkeypatch.setattr(
            builtins,
            "__import__",
            lambda name, *a: (_ for _ in ()).throw(ImportError()) if name.startswith("rich") else plain(name, *a),
        )
    text = str(ill)
    assert all(word in text for word in ("gradient", "update/weight", "dead", "initialisation", "kaiming_normal_"))
    assert "Nothing is wrong" in str(run(small(), 5).report())


def test_plot(ill: doctor.Report, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    path = ill.plot(tmp_path / "flow.png")
    assert path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size > 10_000


def test_plot_without_matplotlib(ill: doctor.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"autograd_gpu\[viz\]"):
        ill.plot("flow.png")


def test_limits_say_why() -> None:
    assert all(limit.why and math.isfinite(limit.value) for limit in doctor.LIMITS.values())
