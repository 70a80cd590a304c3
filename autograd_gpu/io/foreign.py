"""What is wrong with a file that is not what its name says, and what to do about it."""

from __future__ import annotations

import os

CONVERT = (
    "It is never unpickled here, for that may run whatever its maker wrote. Where PyTorch is, convert it: "
    "safetensors.torch.save_file(torch.load('{name}', weights_only=True), '{stem}.safetensors'), for a dict of tensors"
)
FIRST_BYTES = {
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"\x89HDF": "is an HDF5 file: open it with h5py and give its arrays to autograd_gpu.io.save",
    b"\x93NUMPY": "is a single array: read it with numpy.load(..., allow_pickle=False)",
    b"GGUF": "is a GGUF file, which this package does not read",
}


def kind_of(path: str) -> tuple[str, str]:
    """(what a file is, what to say of it if something else is wanted). The first is "npz", "safetensors" or "".

    Raises FileNotFoundError that names the file."""
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            first = file.read(16)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path} is a folder") from None
    if not size:
        return "", "is empty"
    convert = CONVERT.format(name=os.path.basename(path), stem=os.path.splitext(os.path.basename(path))[0])
    if first[:2] == b"PK":
        import zipfile  # here, for it is slow to import

        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile:
            return "", f"ends too early or is damaged: an archive of {size} bytes without a table of contents"
        if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
            return "", f"was written by torch.save: a pickle. {convert}"
        return "npz", "is an npz archive: name it .npz"
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "", f"is a pickle. {convert}"
    for magic, what in FIRST_BYTES.items():
        if first.startswith(magic):
            return "", what
    if len(first) > 8 and first[8:9] == b"{":
        return "safetensors", "is a safetensors file: name it .safetensors"
    return "", "does not begin as an npz or a safetensors file does"


def checked(path: str, wanted: str) -> None:
    """Raise ValueError, naming the file, unless it begins as a file of the kind that is wanted."""
    kind, what = kind_of(path)
    if kind != wanted:
        raise ValueError(f"cannot load {path} as {wanted}: the file {what}")
