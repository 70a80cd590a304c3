"""Settings of matrix products on CUDA."""

from __future__ import annotations

from ..cuda import is_available


class _MatrixProducts:
    """What `backends.cuda.matmul` is."""

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 may be rounded to TF32 in matrix products and convolutions, which is faster and less exact."""
        from ..backend import gemm

        return gemm.allow_tf32[0]

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        from ..backend import gemm

        gemm.allow_tf32[0] = bool(value)


matmul = _MatrixProducts()


def is_built() -> bool:
    """Whether CUDA can be used: nothing here is built for it or not, so as `cuda.is_available`."""
    return is_available()
