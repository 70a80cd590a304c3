"""Every kernel of the project on the emulated device, checked, against float64 arithmetic on NumPy."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import build, cases, kernel

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))

CASES = cases.all_cases()


def load(case: cases.Case) -> kernel.Module:
    """The kernels of the case's file for its type, compiled together."""
    return kernel.load(cases.KERNELS / case.file, cases.names_of(case.file, (case.type,)), checked=True)


@pytest.fixture(scope="module", autouse=True)
def _compile_all_at_once() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # the workers are many already
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # threads: the work is done by compilers
        for job in [
            pool.submit(build.build_file, cases.KERNELS / file, cases.names_of(file, (t,)), checked=True)
            for file, t in sorted({(c.file, c.type) for c in CASES})
        ]:
            job.result()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel(case: cases.Case) -> None:
    case.run(load(case).__getitem__)


@pytest.mark.parametrize("order", [kernel.ASCENDING, kernel.DESCENDING], ids=["ascending", "descending"])
@pytest.mark.parametrize("case", [c for c in CASES if c.type == "float" and c.file != "activation.cu"], ids=str)
def test_kernel_in_another_order(case: cases.Case, order: int) -> None:
    before = kernel.configure(order=order)
    try:
        case.run(load(case).__getitem__)
    finally:
        kernel.configure(**vars(before))


def test_every_kernel_has_a_case() -> None:
    used = {re.split("<", n)[0] for c in CASES for n in c.names}
    for path in sorted(cases.KERNELS.glob("*.cu")):
        defined = set(re.findall(r"__global__\s+void\s+(?:__launch_bounds__\(\w+\)\s+)?(\w+)\s*\(", path.read_text()))
        assert defined, path
        assert defined <= used, f"{path.name}: no case for {defined - used}"
