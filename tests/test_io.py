"""Files: what comes back is what was saved, what is damaged is refused, and nothing is ever unpickled."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import pickle
import threading
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import nn
from autograd_gpu.io import load, read_metadata, save

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(
        [str(Path(ag.__file__).parents[1]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ),
}


def same(a, b):
    """Assert that two structures are equal: kinds, dtypes, bits."""
    if isinstance(a, (ag.Tensor, np.ndarray, np.generic)):
        assert isinstance(b, ag.Tensor if isinstance(a, ag.Tensor) else type(a))
        x, y = (np.asarray(v.detach().array if isinstance(v, ag.Tensor) else v) for v in (a, b))
        assert x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    elif isinstance(a, dict):
        assert list(a) == list(b) and [type(k) for k in a] == [type(k) for k in b] and isinstance(b, dict)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert isinstance(b, list if isinstance(a, list) else tuple) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert type(a) is type(b) and repr(a) == repr(b)


DTYPES = [ag.float16, ag.bfloat16, ag.float32, ag.float64, ag.int8, ag.int16, ag.int32, ag.int64, ag.uint8, ag.bool]

STRUCTURES = {
    "flat": {"a.weight": ag.randn(2, 3), "b/c": ag.tensor(3), "": ag.zeros(0, 2)},
    "dtypes": {str(i): ag.ones(2, 3).to(d) for i, d in enumerate(DTYPES)},
    "complex": {"z": ag.tensor([1 + 2j])},
    "strided": [ag.arange(6).view(2, 3).T, ag.arange(6)[::2], ag.ones(1).expand(3)],
    "numbers": [1, -(2**80), 1.5, float("nan"), -float("inf"), 0.1, True, False, None, 2 - 1j, "text é 𝄞", b"\0\xff", ""],
    "NumPy": [np.float32(0.1), np.int64(7), np.arange(3, dtype=np.int16), np.array(["a", "bc"]), np.bool_(True), np.float64(1.5)],
    "keys": {1: "a", "1": "b", None: "c", (1, "x"): "d", 2.5: [ag.ones(1)]} | {("a", 2): {}},
    "nested": {"a": {"b": [ag.ones(1), (ag.zeros(2), {"c": None})]}, "a/b": ag.ones(3), "a~2": {}},
    "names": {"a/b": ag.ones(1), "a": {"b": ag.zeros(1)}, "../x": ag.ones(2), "\\": ag.ones(3), "nul\0": ag.ones(4), "\ud800": 1},
    "dtypes and devices": [ag.float32, ag.bfloat16, ag.device("cuda:1")],
    "empty": [{}, [], ()],
    "tensor": ag.ones(2),
    "counter": Counter({3: 2, 5: 1}),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(tmp_path, name):
    path = save(STRUCTURES[name], tmp_path / "x.npz")
    assert path == tmp_path / "x.npz" and os.listdir(tmp_path) == ["x.npz"]
    same(STRUCTURES[name], load(path))


def test_dicts_of_other_kinds_are_dicts(tmp_path):
    found = load(save(OrderedDict(b=1, a=2), tmp_path / "x.npz"))
    assert type(found) is dict and list(found) == ["b", "a"]


def test_what_is_shared_is_saved_once(tmp_path):
    w = ag.randn(100, 100)
    found = load(save({"a": w, "b": w.detach(), "c": [w]}, tmp_path / "x.npz"))
    assert os.path.getsize(tmp_path / "x.npz") < 50_000
    found["a"].zero_()
    assert found["b"].sum() == 0 and found["c"][0].sum() == 0


def test_leaves_stay_leaves(tmp_path):
    found = load(save([ag.ones(2, requires_grad=True), ag.ones(2), nn.Parameter(ag.ones(1))], tmp_path / "x.npz"))
    assert [t.requires_grad for t in found] == [True, False, True] and all(t.is_leaf for t in found)


def test_numpy_reads_our_files_and_we_read_its(tmp_path):
    save({"a": ag.ones(2), "b": {"c": ag.zeros(3)}}, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as file:
        assert file["a"].tolist() == [1, 1] and file["b/c"].tolist() == [0, 0, 0]
    np.savez_compressed(tmp_path / "theirs.npz", x=np.arange(3), y=np.arange(3, dtype=">f4"))
    found = load(tmp_path / "theirs.npz")
    assert found["x"].dtype == ag.int64 and (found["y"] + ag.ones(3)).tolist() == [1, 2, 3]


def test_the_same_is_the_same_bytes(tmp_path):
    value = {"a": ag.ones(3), "b": [1, "x"]}
    for ending in ("npz", "safetensors"):
        if ending == "safetensors":
            pytest.importorskip("safetensors")
            value = {"a": ag.ones(3), "b": ag.zeros(2)}
        one, two = (save(value, tmp_path / f"{i}.{ending}", metadata={"x": "1", "y": "2"}).read_bytes() for i in range(2))
        assert one == two and read_metadata(tmp_path / f"0.{ending}") == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    "value, place",
    [
        ({"a": [object()]}, r"\['a'\]\['0'\], of type object"),
        ({"f": print}, r"\['f'\]"),
        ({1, 2}, "the value"),
        ([np.array([object()])], "objects"),
        (nn.Linear(1, 1), "state_dict"),
    ],
)
def test_what_cannot_be_saved(tmp_path, value, place):
    with pytest.raises(TypeError, match=place):
        save(value, tmp_path / "x.npz")
    assert not os.listdir(tmp_path)


def test_structures_that_have_no_end(tmp_path):
    cycle: list = [1]
    cycle.append({"again": cycle})
    with pytest.raises(ValueError, match=r"\['1'\]\['again'\]: it contains itself"):
        save(cycle, tmp_path / "x.npz")
    options = argparse.Namespace()
    options.own = options
    with pytest.raises(ValueError, match="contains itself"):
        save(options, tmp_path / "x.npz")
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: {1: x}, lambda x: argparse.Namespace(a=x)):
        deep = 0
        for _ in range(200):
            deep = wrap(deep)
        assert repr(load(save(deep, tmp_path / "deep.npz"))) == repr(deep)
        with pytest.raises(ValueError, match="200 levels"):
            save(wrap(deep), tmp_path / "x.npz")
    twice = [1]
    assert load(save([twice, twice], tmp_path / "deep.npz")) == [[1], [1]] and os.listdir(tmp_path) == ["deep.npz"]


def test_names_that_a_format_has_no_room_for(tmp_path):
    key = "k" * 65_531
    assert list(load(save({key: ag.ones(1)}, tmp_path / "x.npz"))) == [key]
    with pytest.raises(ValueError, match=r"the item \['kkkkk.*\.\.\.\]: keys .* at most 65,535 bytes") as caught:
        save({key + "k": ag.ones(1)}, tmp_path / "y.npz")
    assert len(str(caught.value)) < 300
    pytest.importorskip("safetensors")
    for file in (tmp_path / "x.safetensors", named := io.BytesIO()):
        named.name = "x.safetensors"
        with pytest.raises(ValueError, match="__metadata__"):
            save({"__metadata__": ag.ones(1)}, file)
        with pytest.raises(ValueError, match="cannot write these tensors.*str"):
            save({"a": np.array(["text"])}, file)
    assert os.listdir(tmp_path) == ["x.npz"]


# -- safetensors -----------------------------------------------------------------------------------------------------------


def test_safetensors_dtypes(tmp_path):
    pytest.importorskip("safetensors")
    tensors = {str(d): ag.arange(6).view(2, 3).T.to(d) for d in DTYPES} | {"0-d": ag.tensor(2.5), "none": ag.zeros(0, 3)}
    found = load(save(tensors, tmp_path / "x.safetensors"))
    assert found.keys() == tensors.keys()
    for name in tensors:
        same(tensors[name], found[name])
    for wrong in ([ag.ones(1)], {"a": {"b": ag.ones(1)}}, {"a": 1}, {1: ag.ones(1)}):
        with pytest.raises(TypeError, match="name the file .npz"):
            save(wrong, tmp_path / "y.safetensors")


def models(torch_nn):
    return torch_nn.Sequential(
        torch_nn.Conv2d(1, 4, 3), torch_nn.BatchNorm2d(4), torch_nn.ReLU(), torch_nn.Flatten(), torch_nn.Linear(4 * 4 * 4, 3)
    )


def test_weights_of_pytorch_load_by_name(tmp_path, torch):
    torch_files = pytest.importorskip("safetensors.torch")
    theirs, ours = models(torch.nn), models(nn)
    x = np.random.default_rng(0).normal(size=(5, 1, 6, 6)).astype(np.float32)
    theirs(torch.tensor(x))  # statistics
    theirs.eval(), ours.eval()
    torch_files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(load(tmp_path / "theirs.safetensors"))
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(ag.tensor(x)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    save(ours.state_dict(), tmp_path / "ours.safetensors")
    back = torch_files.load_file(tmp_path / "ours.safetensors")
    assert list(back) and all(torch.equal(back[name], t) for name, t in theirs.state_dict().items())
    b = {"b": torch.arange(5).to(torch.bfloat16), "h": torch.arange(5).to(torch.float16)}
    torch_files.save_file(b, tmp_path / "b.safetensors")
    found = load(tmp_path / "b.safetensors")
    assert found["b"].dtype == ag.bfloat16 and (found["b"] + found["b"]).float().tolist() == [0, 2, 4, 6, 8]
    torch_files.save_file({"f": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "f.safetensors")
    with pytest.raises(ValueError, match="f.safetensors"):
        load(tmp_path / "f.safetensors")


# -- devices ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_devices(tmp_path, device, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    path = save({"a": ag.ones(2, 3, device=device)}, tmp_path / f"x.{ending}")
    assert str(load(path)["a"].device) == "cpu"
    for found in (load(path, map_location=device), load(path, device=device), load(path, ag.device(device))):
        assert found["a"].device.type == device and found["a"].sum() == 6


def test_map_location(tmp_path, device):
    path = save({"a": ag.ones(2, device=device), "b": ag.zeros(1)}, tmp_path / "x.pt")
    was = str(load(path, map_location=device)["a"].device)

    def devices(map_location):
        return [str(t.device) for t in load(path, map_location).values()]

    assert devices(None) == devices({was: "cpu"}) == devices(ag.device("cpu")) == devices(lambda t, place: t) == ["cpu", "cpu"]
    assert devices({"cuda:7": "cpu"}) == devices(lambda t, place: None) == [was, "cpu"]
    assert devices({"cpu": device, ag.device("cuda", 7): "cpu"}) == devices(lambda t, place: t.to(device)) == [was, was]
    seen = []
    assert load(path, lambda t, place: seen.append(place) or t + 1)["a"].tolist() == [2, 2] and seen == [was, "cpu"]
    with pytest.raises(TypeError, match="map_location gave a str"):
        load(path, lambda t, place: place)


# -- open files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURES)
def test_bytes_in_memory(name):
    buffer = io.BytesIO()
    assert save(STRUCTURES[name], buffer) is None
    with pytest.raises(ValueError, match=r"seek\(0\) first"):
        load(buffer)
    buffer.seek(0)
    same(STRUCTURES[name], load(buffer))


def test_open_files(tmp_path):
    pytest.importorskip("safetensors")
    value = {"a": ag.ones(3, 2), "b": ag.arange(4).to(ag.bfloat16)}
    for ending, first in (("pt", b"PK"), ("safetensors", None)):
        with open(tmp_path / f"x.{ending}", "wb") as file:
            save(value, file, metadata={"k": "v"})
        assert first in (None, (tmp_path / f"x.{ending}").read_bytes()[:2])
        with open(tmp_path / f"x.{ending}", "rb") as file:
            same(load(file, map_location="cpu", weights_only=False), value)
        with gzip.open(tmp_path / "x.gz", "wb") as file:
            file.write((tmp_path / f"x.{ending}").read_bytes())
        with gzip.open(tmp_path / "x.gz", "rb") as file:
            assert read_metadata(file) == {"k": "v"}
    with open(tmp_path / "x.txt", "w+b") as file, pytest.raises(ValueError, match="x.txt: the file is empty"):
        load(file)
    with pytest.raises(ValueError, match="cannot load the open file: the file does not begin"):
        load(io.BytesIO(b"some text that is no file"))


def test_a_pipe(tmp_path):
    ends = os.pipe()
    with open(ends[1], "wb") as file:
        save([1, ag.ones(2)], file)
    with open(ends[0], "rb") as file:
        same(load(file), [1, ag.ones(2)])


def test_options_of_a_program(tmp_path):
    options = argparse.Namespace(lr=0.1, layers=[1, 2], name=None)
    assert load(save({"args": options, "epoch": 3}, tmp_path / "x.tar"))["args"] == options


# -- files that are something else -----------------------------------------------------------------------------------------


class Harmful:
    """What a malicious pickle does."""

    def __reduce__(self):
        return (os.mkdir, ("harm",))


def foreign(name, torch=None):
    """The bytes of a file of another kind."""
    buffer = io.BytesIO()
    if name == "pickle":
        pickle.dump(Harmful(), buffer)
    elif name == "torch":
        torch.save({"w": torch.ones(2)}, buffer)
    elif name == "objects":
        np.savez(buffer, x=np.array([Harmful()], dtype=object))
    elif name == "npy":
        np.save(buffer, np.ones(3))
    elif name == "text":
        buffer.write(b"hello, this is no file of tensors\n" * 3)
    elif name == "gzip":
        buffer.write(b"\x1f\x8b\x08\0 and so on")
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    "name, match",
    [
        ("pickle", "is a pickle.*never unpickled.*safetensors.torch.save_file"),
        ("torch", "torch.save.*safetensors.torch.save_file"),
        ("objects", "objects|npz archive"),
        ("npy", "single array"),
        ("text", "does not begin"),
        ("gzip", "gzip"),
        ("empty", "is empty"),
    ],
)
def test_foreign_files(tmp_path, monkeypatch, maybe_torch, ending, name, match):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    if name == "torch" and maybe_torch is None:
        pytest.skip("PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"model{ending}"
    path.write_bytes(foreign(name, maybe_torch))
    with pytest.raises(ValueError, match=match) as caught:
        load(path)
    assert str(path) in str(caught.value) and not (tmp_path / "harm").exists()


def test_the_first_bytes_say_what_a_file_is(tmp_path):
    """Whatever its name; names say how to write, and all but .safetensors say npz."""
    pytest.importorskip("safetensors")
    value = {"a": ag.ones(1)}
    for i, ending in enumerate([".npz", ".pt", ".pth", ".bin", ".tar", "", ".safetensors"]):
        path = save(value, tmp_path / f"model{ending}")
        assert (path.read_bytes()[:2] == b"PK") == (ending != ".safetensors") and path.name == f"model{ending}"
        os.rename(path, other := tmp_path / f"{i}.{'npz' if ending == '.safetensors' else 'safetensors'}")
        same(load(other, weights_only=i % 2 == 0), value)
    assert len(os.listdir(tmp_path)) == 7


def test_files_that_are_not_there(tmp_path):
    for ending in ("npz", "safetensors", "pt"):
        with pytest.raises(FileNotFoundError, match=f"nowhere.{ending}"):
            load(tmp_path / f"nowhere.{ending}")
    with pytest.raises(IsADirectoryError):
        (tmp_path / "dir.npz").mkdir()
        load(tmp_path / "dir.npz")
    with pytest.raises(FileNotFoundError, match="no such folder to save x.pt in"):
        save({}, tmp_path / "nowhere" / "x.pt")


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_damaged_files(tmp_path, ending):
    """Cut anywhere a file is refused by name; with any byte changed it is refused, or loads if it was a byte of no meaning."""
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    value = {"weight": ag.arange(40.0), "bias": ag.ones(3, dtype=ag.bfloat16)}
    whole = save(value, tmp_path / f"x.{ending}").read_bytes()
    path = tmp_path / f"damaged.{ending}"
    rng = np.random.default_rng(0)
    for cut in {*rng.integers(0, len(whole), 60).tolist(), 1, 2, 9, len(whole) - 1}:
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=f"damaged.{ending}"):
            load(path)
    path.write_bytes(whole + b"\0" * 7)
    if ending == "safetensors":
        with pytest.raises(ValueError, match="too long"):
            load(path)
    for place in rng.integers(0, len(whole), 150).tolist():
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            load(path)
        except ValueError as error:
            assert f"damaged.{ending}" in str(error)


def test_archives_of_a_later_version_and_odd_structures(tmp_path):
    for root, match in (({"tensor": "nothing"}, "does not fit"), ({"new": 1}, "does not fit")):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("structure.json", json.dumps({"version": 1, "metadata": {}, "bfloat16": [], "root": root}))
        with pytest.raises(ValueError, match=match):
            load(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("structure.json", json.dumps({"version": 99}))
    with pytest.raises(ValueError, match="later version"):
        load(tmp_path / "x.npz")


GOOD = {"version": 1, "metadata": {}, "bfloat16": [], "root": {"tensor": "a"}}
DAMAGED = {
    "list": [],
    "number": 3,
    "null": None,
    "version": {**GOOD, "version": "1"},
    "metadata": {**GOOD, "metadata": []},
    "bits": {**GOOD, "bfloat16": 3},
    "bits of names": {**GOOD, "bfloat16": [[]]},
    "float32 as bfloat16": {**GOOD, "bfloat16": ["a"]},
    "place": {**GOOD, "places": {"a": "gpu:x"}},
    "places": {**GOOD, "places": ["a"]},
    "deep": "[" * 100_000,
    "deep root": json.dumps(GOOD).replace('{"tensor": "a"}', "[" * 5_000 + "]" * 5_000),
} | {
    f"root {root}": {**GOOD, "root": root}
    for root in (
        {"tensor": "a", "array": "a"}, {}, {"bytes": "xyz"}, {"float": "x"}, {"device": "gpu:x"}, {"dtype": "no dtype"},
        {"complex": [1]}, {"dict": []}, {"pairs": [1]}, {"leaf": "i"}, {"tensor": "s"}, {"namespace": 1},
    )
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_structures(tmp_path, name):
    path, text = tmp_path / "x.npz", DAMAGED[name]
    np.savez(path, a=np.ones(2, np.float32), i=np.ones(1, np.int64), s=np.array(["text"]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("structure.json", text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(ValueError, match=r"x\.npz is damaged"):
        load(path)


@pytest.mark.parametrize(
    "shape", ["(1000000000000000,)", "(3,)", "(1,)", "(-1,)", "(10**9,)", "(" * 300, "'a'", f"({10**30}, 0)"]
)
def test_damaged_arrays(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + b"\0" * 8)
    with pytest.raises(ValueError, match=r"'a' in .*x\.npz is damaged"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize("long_header", [False, True])
def test_an_array_is_unpacked_only_if_it_is_as_long_as_it_says(tmp_path, long_header):
    """A small archive that unpacks to much is refused before that takes memory."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n"
    start = (
        b"\x93NUMPY\2\0" + (30_000_000).to_bytes(4, "little")
        if long_header
        else b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header
    )
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", start + bytes(30_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"'a' in .*x\.npz is damaged"):
            load(tmp_path / "x.npz")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_pipe_with_a_name(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    value = {"a": ag.arange(5000.0)}
    whole = save(value, tmp_path / f"x.{ending}").read_bytes()
    for content in (whole, whole[:100]):
        pipe = tmp_path / f"{len(content)}.{ending}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
        writer.start()
        if content is whole:
            same(load(pipe), value)
        else:
            with pytest.raises(ValueError, match=f"100.{ending}"):
                load(pipe)
        writer.join(30)
