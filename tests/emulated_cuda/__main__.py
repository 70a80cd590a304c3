"""``python -m tests.emulated_cuda [--profile] SCRIPT [ARGS]``, or ``-m MODULE [ARGS]``: run it with the emulated CUDA device.

--profile runs each kernel under the checker and prints, at the end, how well its accesses to memory fit together (profile.py).

SCRIPT may be any program: if it is not Python, the Python processes that it starts get the device. It finds the name of this
interpreter in PYTHON, where nothing else was put there.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

from . import install


def main(arguments: list[str]) -> int:
    profiled = arguments[:1] == ["--profile"]
    arguments = arguments[profiled:]
    if not arguments or arguments == ["-m"]:
        print(__doc__, file=sys.stderr)
        return 2
    install()
    if profiled:
        from .profile import at_exit

        at_exit()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    script = Path(arguments[0])
    first = script.open("rb").readline()
    if first.startswith(b"#!") and b"python" not in first:
        os.environ.setdefault("PYTHON", sys.executable)  # the python3 on the PATH may have no CuPy
        return subprocess.run([str(script.resolve()), *arguments[1:]]).returncode
    sys.argv = arguments
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
