"""python tests/check_wheel.py FILE: whether a wheel carries what it must and nothing that it must not."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
WANTED = ["cli.py", "py.typed", "examples/digits.npz", "examples/DIGITS.md", "core/engine.py"]
WANTED += [f"kernels/{path.name}" for path in sorted(KERNELS.iterdir())]


def main(path: str) -> None:
    names = zipfile.ZipFile(path).namelist()
    missing = [name for name in WANTED if f"autograd_gpu/{name}" not in names]
    stray = [name for name in names if not name.startswith(("autograd_gpu/", "autograd_gpu-"))]
    if missing or stray:
        raise SystemExit(f"{path}: missing {missing}, stray {stray}")
    print(f"{path}: {len(names)} files, all that is needed")


if __name__ == "__main__":
    main(sys.argv[1])
