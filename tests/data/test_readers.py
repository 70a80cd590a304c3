"""Readers give what is in a file, and say which file is damaged and how."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

import autograd_gpu as ag
from autograd_gpu import data


def idx(array, code=None):
    """The bytes of an idx file."""
    array = np.asarray(array)
    codes = {"u1": 8, "i1": 9, "i2": 0xB, "i4": 0xC, "f4": 0xD, "f8": 0xE}
    head = bytes([0, 0, codes[array.dtype.str[1:]] if code is None else code, array.ndim])
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path


# -- idx and MNIST ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx(tmp_path, dtype, zipped):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx(array)
    found = data.read_idx(write(tmp_path / "x", gzip.compress(content, mtime=0) if zipped else content))
    assert found.dtype == array.dtype and found.dtype.isnative and np.array_equal(found, array)


BYTES = idx(np.arange(12, dtype="u1").reshape(3, 4))
GZIP = gzip.compress(BYTES, mtime=0)


@pytest.mark.parametrize(
    "content, match",
    [
        (b"", "magic"),
        (b"\0\0", "magic"),
        (b"PK\3\4 and so on", "begins with 50 4b 03 04"),
        (b"\0\0\x07\1\0\0\0\1\0", "no idx file"),
        (BYTES[:9], "ends too early.*2 dimensions need 12"),
        (BYTES[:-1], r"ends too early: it has 23 bytes, where shape \(3, 4\) of uint8 needs 24"),
        (BYTES + b"\0", "too long"),
        (b"\0\0\x08\3" + b"\xff" * 8 + bytes(4), "is damaged: there is no array of 3 dimensions"),
        (b"\0\0\x08\x41" + b"\0\0\0\1" * 65 + b"\7", "is damaged: there is no array of 65 dimensions"),
        (GZIP[:-9], "gzip"),
        (GZIP[:15] + b"\xff\xff" + GZIP[17:], "gzip"),
    ],
    ids=str,
)
def test_damaged_idx(tmp_path, content, match):
    path = write(tmp_path / "some-file", content)
    with pytest.raises(ValueError, match=f"some-file.*{match}"):
        data.read_idx(path)


def test_missing_files_are_named(tmp_path):
    for read in (data.read_idx, data.read_cifar, data.read_csv, data.read_text):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(tmp_path / "nowhere")
    for reader in (data.MNIST, data.CIFAR10, data.CIFAR100):
        with pytest.raises(FileNotFoundError, match=str(tmp_path)):
            reader(tmp_path)


def mnist(folder, part, images, labels, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        content = idx(array)
        write(folder / (f"{name}.gz" if zipped else name), gzip.compress(content, mtime=0) if zipped else content)


def test_mnist(tmp_path, torch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (7, 28, 28)).astype("u1"), np.array([3, 1, 4, 1, 5, 9, 2], "u1")
    mnist(tmp_path / "MNIST" / "raw", "train", images, labels, zipped=True)
    mnist(tmp_path, "t10k", images[:2], labels[:2])
    train, test = data.MNIST(tmp_path), data.MNIST(tmp_path, train=False)
    assert len(train) == 7 and len(test) == 2 and train.classes[3] == "3"
    image, label = train[2]
    assert label == 4 and image.shape == (1, 28, 28) and image.dtype == ag.float32
    scaled = torch.tensor(images).float().div(255).numpy()
    assert np.array_equal(image.numpy()[0], scaled[2])  # what torchvision's ToTensor gives
    for loader in (data.DataLoader(train, 3), data.DataLoader(train, 3, collate_fn=lambda s: data.default_collate(s))):
        batches = list(loader)
        assert [b[1].tolist() for b in batches] == [[3, 1, 4], [1, 5, 9], [2]] and batches[0][1].dtype == ag.int64
        assert np.array_equal(np.concatenate([b[0].numpy() for b in batches])[:, 0], scaled)
    changed = data.MNIST(tmp_path, transform=lambda x: x - 1, target_transform=str)
    x, y = next(iter(data.DataLoader(changed, 2)))
    assert y == ("3", "1") and np.array_equal(x.numpy()[:, 0], scaled[:2] - 1)


@pytest.mark.parametrize(
    "images, labels, match",
    [
        (np.zeros((2, 28, 28), "u1"), np.zeros(3, "u1"), "2 images and .*labels.* 3 labels"),
        (np.zeros((1, 28, 28), "u1"), np.array([10], "u1"), "labels-idx1-ubyte is damaged: label 0 is 10"),
        (np.zeros((1, 28), "u1"), np.array([1], "u1"), "holds no images"),
        (np.zeros((1, 28, 28), "f4"), np.array([1], "u1"), "holds no images: float32"),
    ],
)
def test_mnist_that_does_not_fit(tmp_path, images, labels, match):
    mnist(tmp_path, "train", images, labels)
    with pytest.raises(ValueError, match=match):
        data.MNIST(tmp_path)


# -- CIFAR -----------------------------------------------------------------------------------------------------------------


def test_cifar(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 3, 32, 32)).astype("u1")
    labels = rng.integers(0, 10, (10, 1)).astype("u1")
    table = np.concatenate([labels, images.reshape(10, -1)], 1)
    for i in range(5):
        write(tmp_path / f"data_batch_{i + 1}.bin", table[2 * i : 2 * i + 2].tobytes())
    write(tmp_path / "test_batch.bin", table.tobytes())
    found, given = data.read_cifar(tmp_path / "test_batch.bin")
    assert np.array_equal(found, images) and np.array_equal(given, labels)
    with pytest.raises(ValueError, match="data_batch_1.bin.*6146 bytes, where 10000 records.*30730000"):
        data.CIFAR10(tmp_path)
    monkeypatch.setattr(data.CIFAR10, "records", {True: 2, False: 10})
    train, test = data.CIFAR10(tmp_path), data.CIFAR10(tmp_path, train=False)
    assert ag.equal(train.data, test.data) and train.targets.tolist() == labels[:, 0].tolist() == [test[i][1] for i in range(10)]
    image, _ = train[3]
    assert image.shape == (3, 32, 32) and np.array_equal(image.numpy() * 255 + 0.5, images[3] + np.float32(0.5))
    assert train.classes[0] == "airplane" and len(train.classes) == 10

    write(tmp_path / "data_batch_3.bin", table[:2].tobytes()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_3.bin.*6145 bytes"):
        data.CIFAR10(tmp_path)
    table[4, 0] = 11
    write(tmp_path / "data_batch_3.bin", table[4:6].tobytes())
    with pytest.raises(ValueError, match=r"data_batch_3.bin is damaged: label 0 is 11"):
        data.CIFAR10(tmp_path)
    with pytest.raises(ValueError, match="whole records of 3073"):
        data.read_cifar(write(tmp_path / "x", b"1234"))


def test_cifar100(tmp_path, monkeypatch):
    monkeypatch.setattr(data.CIFAR100, "records", {True: 1, False: 1})
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    write(folder / "train.bin", bytes([11, 99]) + bytes(range(256)) * 12)
    write(folder / "fine_label_names.txt", "\n".join(f"name{i}" for i in range(100)))
    dataset = data.CIFAR100(tmp_path)
    assert dataset[0][1] == 99 and dataset.classes[99] == "name99" and dataset.data[0, 0, 0, :3].tolist() == [0, 1, 2]


# -- CSV -------------------------------------------------------------------------------------------------------------------


def test_csv(tmp_path):
    path = write(tmp_path / "a.csv", "\ufeffname, x ,y\r\na,1,2.5\r\nb,-3e2,4\r\n\r\n")
    table = data.read_csv(path, ["y", 1])
    assert table.names == ["y", "x"] and table.data.tolist() == [[2.5, 1], [4, -300]] and table.data.dtype == ag.float32
    assert data.read_csv(path, ["x"], dtype=ag.int64).data.tolist() == [[1], [-300]]
    plain = data.read_csv(write(tmp_path / "b.csv", "1;2\n3;4\n"), delimiter=";", dtype=ag.float64)
    assert plain.names == ["0", "1"] and plain.data.tolist() == [[1, 2], [3, 4]] and plain.data.dtype == ag.float64
    assert data.read_csv(tmp_path / "b.csv", delimiter=";", header=True).names == ["1", "2"]
    assert data.read_csv(write(tmp_path / "c.csv", '"a","b, c"\n"1","2"\n'), ["b, c"]).data.tolist() == [[2]]
    assert data.read_csv(write(tmp_path / "d.csv.gz", gzip.compress(b"1,2\n", mtime=0))).data.tolist() == [[1, 2]]
    assert data.read_csv(write(tmp_path / "e.csv", "x\n")).data.shape == (0, 1)


def test_whole_numbers_are_not_rounded(tmp_path):
    """2 ** 53 + 1 is the first that no float64 is."""
    path = write(tmp_path / "w.csv", "a,b\n9007199254740993, 1\n-9223372036854775808,1e2\n9223372036854775807,\n")
    found = data.read_csv(path, missing=7, dtype=ag.int64).data
    assert found.tolist() == [[2**53 + 1, 1], [-(2**63), 100], [2**63 - 1, 7]] and found.dtype == ag.int64
    small = write(tmp_path / "s.csv", "1,0\n,1\n3,1.0\n")
    assert data.read_csv(small, missing="mean", dtype=ag.uint8).data.tolist() == [[1, 0], [2, 1], [3, 1]]
    assert data.read_csv(small, [1], dtype=ag.bool).data.tolist() == [[False], [True], [True]]
    assert data.read_csv(write(tmp_path / "e.csv", "x\n"), dtype=ag.int64).data.shape == (0, 1)


def test_missing_values(tmp_path):
    path = write(tmp_path / "m.csv", "a,b\n1,\n,4\nNA,6\n3,nan\n5,8\n")
    read = lambda missing: data.read_csv(path, missing=missing).data.nan_to_num(nan=-1.0).tolist()  # noqa: E731
    assert read("nan") == [[1, -1], [-1, 4], [-1, 6], [3, -1], [5, 8]]
    assert read("drop") == [[5, 8]] and read(7) == [[1, 7], [7, 4], [7, 6], [3, 7], [5, 8]]
    assert read("mean") == [[1, 6], [3, 4], [3, 6], [3, 6], [5, 8]]
    with pytest.raises(ValueError, match=r"m.csv, line 2, column 'b': the value is missing"):
        read("error")
    with pytest.raises(ValueError, match="missing should be"):
        read("maybe")
    with pytest.raises(ValueError, match="no value at all"):
        data.read_csv(write(tmp_path / "n.csv", "a\nNA\n\n?\n"), missing="mean", header=True)


@pytest.mark.parametrize(
    "content, options, match",
    [
        ("", {}, "is empty"),
        ("a,b\n1,2\n3\n", {}, "line 3: 1 fields, where 2"),
        ("a,b\n1,2\n3,x\n", {}, "line 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,1_0\n", {}, "line 3.*'1_0' is not a number"),
        ('a,b\n"1\n', {}, "line"),
        (b"a,b\n\xff,1\n", {}, "not utf-8: byte 4 is 0xff"),
        ("a,b\n1,2\n", {"columns": ["c"]}, r"no column named 'c': its columns are \['a', 'b'\]"),
        ("a,a\n1,2\n", {"columns": ["a"]}, "2 columns named 'a'"),
        ("a,b\n1,2\n", {"columns": [2]}, "no column 2"),
        ("1.5\n", {"dtype": "int64"}, "1.5 is no whole number"),
        ("inf\n", {"dtype": "int64"}, "inf is no whole number"),
        ("a\n?\n", {"dtype": "int64", "missing": "nan"}, "nan is no whole number"),
        ("9" * 5000 + "\n", {"dtype": "int64"}, "inf is no whole number"),
        ("1\n300\n", {"dtype": "uint8"}, "300 is too large or too small for uint8, 0 to 255: row 1"),
        ("-1\n", {"dtype": "uint8"}, "-1 is too large or too small for uint8"),
        ("1e20\n", {"dtype": "int64"}, "too large or too small for int64"),
        ("9223372036854775808\n", {"dtype": "int64"}, "9223372036854775808 is too large"),
        ("2\n", {"dtype": "bool"}, "2 is too large or too small for bool, 0 to 1"),
        ("1\n", {"delimiter": ", "}, "one character"),
    ],
)
def test_csv_that_cannot_be_read(tmp_path, content, options, match):
    with pytest.raises(ValueError, match=match) as caught:
        data.read_csv(write(tmp_path / "bad.csv", content), **options)
    assert "bad.csv" in str(caught.value) or "delimiter" in options


# -- text ------------------------------------------------------------------------------------------------------------------


def test_text_and_vocabulary(tmp_path):
    text = "to be, or not to be – 𝄞\n"
    assert data.read_text(write(tmp_path / "t.txt", text.replace("\n", "\r\n").encode())) == text
    assert data.read_text(write(tmp_path / "l.txt", "é".encode("latin-1")), "latin-1") == "é"
    vocabulary = data.CharVocabulary(text)
    assert vocabulary.characters == "".join(sorted(set(text))) and len(vocabulary) == len(set(text)) and "𝄞" in vocabulary
    tokens = vocabulary.encode(text)
    assert tokens.dtype == ag.int64 and tokens.tolist() == [vocabulary.characters.index(c) for c in text]
    assert vocabulary.decode(tokens) == text == vocabulary.decode(tokens.tolist()) and vocabulary.decode([]) == ""
    assert data.CharVocabulary(vocabulary.characters).encode("be").tolist() == vocabulary.encode("be").tolist()
    with pytest.raises(ValueError, match=r"'x' \(U\+0078\), number 2 "):
        vocabulary.encode("tox")
    assert data.CharVocabulary("ab", unknown="?").encode("axb").tolist() == [1, 0, 2]
    for wrong in ([len(vocabulary)], [-1]):
        with pytest.raises(ValueError, match="from 0 to"):
            vocabulary.decode(wrong)
    with pytest.raises(ValueError, match="at least one"):
        data.CharVocabulary("")
    with pytest.raises(ValueError, match=r"u.txt is not utf-8: byte 3, in line 2, is 0xff"):
        data.read_text(write(tmp_path / "u.txt", b"ab\n\xff"))
    with pytest.raises(ValueError, match="v.txt is empty"):
        data.read_text(write(tmp_path / "v.txt", b""))


def test_blocks():
    tokens = ag.arange(23)
    for length, stride in ((4, None), (4, 1), (22, None), (3, 5)):
        blocks = data.Blocks(tokens, length, stride)
        starts = list(range(0, 23 - length, stride or length))
        assert len(blocks) == len(starts)
        for i, start in enumerate(starts):
            x, y = blocks[i]
            assert x.tolist() == list(range(start, start + length)) and y.tolist() == (x + 1).tolist()
        slow = data.DataLoader(blocks, 2, collate_fn=lambda s: data.default_collate(s))
        for a, b in zip(data.DataLoader(blocks, 2), slow, strict=True):
            assert ag.equal(a[0], b[0]) and ag.equal(a[1], b[1])
    assert blocks[-1][0].tolist() == blocks[len(blocks) - 1][0].tolist()
    with pytest.raises(IndexError):
        blocks[len(blocks)]
    for wrong in (lambda: data.Blocks(tokens, 23), lambda: data.random_blocks(ag.arange(3), 3, 1)):
        with pytest.raises(ValueError, match="too few"):
            wrong()


def test_random_blocks():
    g = ag.Generator().manual_seed(0)
    x, y = data.random_blocks(ag.arange(10), 4, 300, generator=g)
    assert x.shape == (300, 4) and ag.equal(x + 1, y) and set(x[:, 0].tolist()) == set(range(6))
    again, _ = data.random_blocks(ag.arange(10), 4, 300, generator=g.manual_seed(0))
    assert ag.equal(x, again)


def test_split_tokens():
    train, validation = data.split_tokens(ag.arange(10), 0.9)
    assert train.tolist() == list(range(9)) and validation.tolist() == [9]
    with pytest.raises(ValueError, match="between 0 and 1"):
        data.split_tokens(ag.arange(3), 2)
