"""What a file is, by its first bytes, and what to do about one that is not ours."""

from __future__ import annotations

import os
from typing import Any

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


def kind_of(file: Any, name: str) -> tuple[str, str]:
    """(what a file is, what to say of it if that is neither). The first is "npz", "safetensors" or "". `file` is open for reading
    and can seek; it is left where it was, `name` is what messages call it."""
    here = file.tell()
    size = file.seek(0, os.SEEK_END) - here
    file.seek(here)
    first = file.read(16)
    file.seek(here)
    if not size:
        return "", "is empty" if not here else "has nothing after the place where it stands: seek(0) first"
    base = os.path.basename(name)
    convert = CONVERT.format(name=base, stem=os.path.splitext(base)[0])
    if first[:2] == b"PK":
        import zipfile  # here, for it is slow to import

        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, RuntimeError, OverflowError):  # what zipfile says of damaged ones
            return "", f"ends too early or is damaged: an archive of {size} bytes without a table of contents"
        finally:
            file.seek(here)
        if any(entry == "data.pkl" or entry.endswith("/data.pkl") for entry in names):
            return "", f"was written by torch.save: a pickle. {convert}"
        return "npz", ""
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "", f"is a pickle. {convert}"
    for magic, what in FIRST_BYTES.items():
        if first.startswith(magic):
            return "", what
    if len(first) > 8 and first[8:9] == b"{":
        return "safetensors", ""
    return "", "does not begin as an npz or a safetensors file does"
