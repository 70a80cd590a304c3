"""The examples learn, in a few steps each; `autograd-gpu examples --check` sees whether they reach their targets."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import cli, io
from autograd_gpu.data import CIFAR10
from autograd_gpu.examples import EXAMPLES, common, dcgan, gpt, lstm, pinn, reinforce, resnet, wgan

NAMES = list(EXAMPLES)

# how much of each example is enough to see that it learns, in a second or so
SHORT = {
    "digits": {"epochs": 3},
    "cnn": {"epochs": 2},
    "depth": {"epochs": 2},
    "resnet": {"epochs": 3, "batch": 8, "lr": 0.02},
    "lstm": {"steps": 30},
    "vae": {"epochs": 3},
    "dcgan": {"epochs": 3},
    "gpt": {"steps": 30, "batch": 4},
    "reinforce": {"steps": 8, "carts": 16},
    "pinn": {"steps": 2, "points": 64},
    "wgan": {"steps": 20, "batch": 64},
}
NO_MEASURE = ("dcgan", "wgan", "reinforce")  # their losses are no measure of what they have learned


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Fewer images, shorter attempts, and a quicker judge, so that a run takes a second."""
    drawn = resnet.drawn
    monkeypatch.setattr(resnet, "drawn", lambda n, seed: drawn(n // 40, seed))
    monkeypatch.setattr(dcgan, "READER_EPOCHS", 2)
    monkeypatch.setattr(reinforce, "LIMIT", 100)


def run(name, seed=0):
    """A short run of an example: its result, and what it reported: (epoch or step, loss, score)."""
    reported = []
    result = EXAMPLES[name].module.train(seed=seed, report=lambda *said: reported.append(said), **SHORT[name])
    return result, reported


@pytest.fixture(scope="module")
def results():
    """The short runs, each made once."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = run(name)
        return made[name]

    return of


@pytest.mark.parametrize("name", NAMES)
def test_learns(name, results):
    result, reported = results(name)
    example = EXAMPLES[name]
    assert [done for done, _, _ in reported] == sorted(done for done, _, _ in reported)
    assert reported[-1][0] == SHORT[name][example.unit]
    assert all(np.isfinite(loss) for _, loss, _ in reported) and np.isfinite(result.score)
    if name not in NO_MEASURE:
        assert reported[-1][1] < reported[0][1]
    elif name == "dcgan":
        assert result.score < 1.0  # better than an image that is always the same
    else:
        first, last = reported[0][2], reported[-1][2]
        assert last < first if example.lower else last > first


@pytest.mark.parametrize("name", NAMES)
def test_pictures(name, results, tmp_path):
    pytest.importorskip("matplotlib")
    before = "matplotlib.pyplot" in sys.modules
    EXAMPLES[name].module.picture(results(name)[0], tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert before or "matplotlib.pyplot" not in sys.modules  # no window, no state that others share


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name, results):
    first, second = results(name)[0], run(name)[0]
    assert first.loss == second.loss and first.score == second.score
    for (key, a), (_, b) in zip(first.model.state_dict().items(), second.model.state_dict().items(), strict=True):
        assert ag.equal(a, b), key


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_an_example_holds(name):
    example = EXAMPLES[name]
    parameters = inspect.signature(inspect.unwrap(example.module.train)).parameters
    assert parameters[example.unit].default == example.length
    assert {"seed", "device", "report"} <= parameters.keys()
    assert example.file is None or example.file[0] in parameters
    said = inspect.getdoc(example.module)
    assert f"Takes about {example.seconds} s on two cores." in " ".join(said.split())
    assert "Target: " in said and f"{name}.train({example.unit}={example.length}, seed=0)" in said
    assert example.reached(example.target) and not example.reached(float("nan"))


def test_all_take_less_than_five_minutes():
    assert sum(example.seconds for example in EXAMPLES.values()) < 300


# -- the command line ------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch, tmp_path, results):
    """Training gives the results of the short runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("vae", "wgan"):
        result, reported = results(name)

        def train(report=None, result=result, reported=reported, **options):
            for said in reported if report else ():
                report(*said)
            return result

        monkeypatch.setattr(EXAMPLES[name].module, "train", train)


def test_list(capsys):
    assert cli.main(["examples"]) == 0
    said = capsys.readouterr().out
    for example in EXAMPLES.values():
        assert f"\n{example.name} " in "\n" + said and f"{example.measure} {example.target_text}" in said
    assert cli.main(["examples", "nobody"]) == 2
    assert "no example is called 'nobody'" in capsys.readouterr().err


def test_check_compares_with_targets(quick, capsys, monkeypatch, results):
    good = common.Result(results("vae")[0].model, 1.0, EXAMPLES["vae"].target, 1.0)
    monkeypatch.setattr(EXAMPLES["vae"].module, "train", lambda **options: good)
    assert cli.main(["examples", "--check", "vae"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["example", "target", "reached", "seconds", "ok"]
    assert said[1].split()[0] == "vae" and said[1].split()[-1] == "yes"
    assert cli.main(["examples", "--check", "vae", "wgan"]) == 1
    said = capsys.readouterr().out
    assert " NO\n" in said and "1 of 2 missed their targets" in said


def test_train_saves_the_model_and_a_picture(quick, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    for ending in ("", "-2"):
        assert cli.main(["train", "vae", "--epochs", "3", "--device", "cpu"]) == 0
        said = capsys.readouterr().out
        assert "Training on cpu: a variational autoencoder" in said and "epoch 3/60" not in said and "Bound -" in said
        assert f"Picture in {tmp_path / f'vae{ending}.png'}." in said
        assert (tmp_path / f"vae{ending}.png").exists()
    assert cli.main(["train", "wgan", "--save", "w.npz", "--picture", "w.svg"]) == 0
    assert "generator.0.weight" in io.load("w.npz") and (tmp_path / "w.svg").read_text().startswith("<?xml")
    for arguments, message in (
        (["--picture", "w.svg"], "that file exists"),
        (["--picture", "w.txt"], "must end in .png"),
        (["--picture", "."], "that is a directory"),
    ):
        assert cli.main(["train", "wgan", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_without_matplotlib(quick, capsys, monkeypatch, tmp_path):
    find = cli.importlib.util.find_spec
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert cli.main(["train", "vae", "--save", "v.npz"]) == 0
    assert "pip install 'autograd_gpu[viz]'" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["v.npz"]


def test_files_that_are_not_there(quick, capsys, tmp_path):
    assert cli.main(["train", "resnet", "--data", "nowhere"]) == 2
    assert "--data nowhere: there is no such file or folder" in capsys.readouterr().err
    assert cli.main(["train", "resnet", "--data", "."]) == 2
    assert "data_batch_1.bin" in capsys.readouterr().err
    (tmp_path / "short.txt").write_text("ab" * 300)
    assert cli.main(["train", "gpt", "--text", "short.txt"]) == 2
    assert "--text short.txt: a text of 600 characters is too short" in capsys.readouterr().err


def test_importing_the_package_imports_no_example():
    code = (
        "import sys, autograd_gpu; print([m for m in sys.modules if m.startswith(('autograd_gpu.examples', 'autograd_gpu.cli'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


# -- parts -----------------------------------------------------------------------------------------------------------------


def test_resnet_20_has_the_papers_parameters():
    assert sum(p.numel() for p in resnet.ResNet().parameters()) == 269_722
    assert resnet.ResNet()(ag.rand(2, 3, 32, 32)).shape == (2, 10)


def test_resnet_reads_cifar(tmp_path, monkeypatch):
    monkeypatch.setattr(CIFAR10, "records", {True: 8, False: 8})
    random = np.random.default_rng(0)
    for name in (*CIFAR10.files[True], *CIFAR10.files[False]):
        records = random.integers(0, 256, (8, 3073), np.uint8)
        records[:, 0] = np.arange(8)
        (tmp_path / name).write_bytes(records.tobytes())
    result = resnet.train(epochs=1, data=tmp_path)
    assert 0 <= result.score <= 1 and result.shown["classes"][0] == "airplane"


def test_gpt_reads_a_file_and_looks_only_back(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the same again. " * 400, encoding="utf-8")
    result = gpt.train(steps=40, text=path)
    assert result.loss < 2.0 and set(result.shown["sample"]) <= set("the same again. ")
    with ag.no_grad():
        x = ag.randint(5, (1, 10))
        changed = x.clone()
        changed[0, 6:] = (changed[0, 6:] + 1) % 5
        a, b = result.model(x), result.model(changed)
    assert ag.allclose(a[:, :6], b[:, :6], atol=1e-6) and not ag.allclose(a[:, 6:], b[:, 6:], atol=1e-3)


def test_burgers_solution_solves_the_equation():
    t, x = np.meshgrid(np.linspace(0.2, 1, 5), np.linspace(-0.95, 0.95, 41), indexing="ij")
    h, u = 1e-3, pinn.exact
    u_t, u_x = (u(t + h, x) - u(t - h, x)) / (2 * h), (u(t, x + h) - u(t, x - h)) / (2 * h)
    u_xx = (u(t, x + h) - 2 * u(t, x) + u(t, x - h)) / h**2
    assert abs(u_t + u(t, x) * u_x - pinn.VISCOSITY * u_xx).max() < 1e-3
    np.testing.assert_allclose(
        u(np.full(9, 1e-6), np.linspace(-0.9, 0.9, 9)), -np.sin(np.pi * np.linspace(-0.9, 0.9, 9)), atol=1e-4
    )


def test_frechet_distance():
    random = np.random.default_rng(0)
    a = random.normal(size=(4000, 6))
    assert abs(dcgan.frechet_distance(a, a)) < 1e-9
    assert dcgan.frechet_distance(a, random.normal(size=(4000, 6))) < 0.01
    assert dcgan.frechet_distance(a, a + 1.0) == pytest.approx(6 / np.trace(np.cov(a, rowvar=False)))
    still = a.mean(0) + 1e-6 * random.normal(size=(100, 6))
    assert dcgan.frechet_distance(a, still) == pytest.approx(1.0, abs=1e-3)


def test_distance_of_point_sets():
    ag.manual_seed(0)
    assert wgan.distance(lambda noise: wgan.draw(len(noise)), "cpu") < 0.1
    assert wgan.distance(lambda noise: ag.zeros(len(noise), 2), "cpu") > 1.0


def test_cart_falls_without_a_policy_and_stands_with_one():
    ag.manual_seed(0)
    for policy, stands in ((lambda s: ag.stack([s[:, 0] * 0, s[:, 0] * 0 + 1], 1), False),
                           (lambda s: ag.stack([s[:, 2] * 0, s[:, 2] + 0.5 * s[:, 3]], 1), True)):  # fmt: skip
        _, _, standing = reinforce.attempts(policy, 20, "cpu", greedy=True)
        assert (standing.float().sum(0).mean().item() > 99) == stands


def test_mackey_glass_is_the_series():
    x = lstm.mackey_glass(500)
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3 and x.dtype == np.float32
    # about 50 time units a turn: near 17 samples later it looks most like itself
    likeness = [float((x[:-lag] * x[lag:]).mean()) for lag in range(5, 25)]
    assert 15 <= 5 + int(np.argmax(likeness)) <= 19
