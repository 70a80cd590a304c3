"""autograd_gpu: PyTorch's names on a Tensor that computes with NumPy on the CPU and with CuPy and CUDA kernels on the GPU.

>>> import autograd_gpu as ag
>>> x = ag.tensor([3.0], requires_grad=True)
>>> (x * x).backward()
>>> x.grad
tensor([6.])
"""

from __future__ import annotations

import importlib
from math import e, inf, nan, pi

from . import (
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cuda,
    data,
    io,
    linalg,
    nn,
    ops,
    optim,
    random,
    special,
    utils,
)
from .amp import GradScaler, autocast, get_autocast_dtype, is_autocast_available, is_autocast_enabled
from .autograd import (
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .backend import Device as device
from .backend.cpu.threads import get_num_threads, set_num_threads
from .backend.memory import OutOfMemoryError
from .backends import (
    are_deterministic_algorithms_enabled,
    get_float32_matmul_precision,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from .compiler import compile
from .core.format import get_printoptions, printoptions, set_printoptions
from .core.tensor import Size, Tensor
from .dtypes import *
from .io import load, save
from .ops.activation import *
from .ops.adaptive import *
from .ops.arithmetic import *
from .ops.asking import *
from .ops.attention import *
from .ops.comparison import *
from .ops.conv import *
from .ops.convert import *
from .ops.create import *
from .ops.ctc import *
from .ops.decompositions import *
from .ops.distance import *
from .ops.dropouts import *
from .ops.elementwise import *
from .ops.embeddings import *
from .ops.extremum import *
from .ops.forms import *
from .ops.functions import *
from .ops.gathering import *
from .ops.generator import *
from .ops.grid import *
from .ops.gumbel import *
from .ops.index import *
from .ops.join import *
from .ops.layout import *
from .ops.legacy import *
from .ops.limits import *
from .ops.linalg import *
from .ops.lookup import *
from .ops.loss import *
from .ops.margin import *
from .ops.matrices import *
from .ops.normalization import *
from .ops.order import *
from .ops.overwriting import *
from .ops.padding import *
from .ops.parts import *
from .ops.pool import *
from .ops.random import *
from .ops.reduce import *
from .ops.reforming import *
from .ops.regression import *
from .ops.resample import *
from .ops.rnn import *
from .ops.sampling import *
from .ops.scan import *
from .ops.shape import *
from .ops.softmaxes import *
from .ops.sorting import *
from .ops.trigonometry import *
from .ops.unpooling import *
from .ops.vectors import *

newaxis = None  # x[newaxis] has one dimension more

__version__ = "0.1.0"

_WHEN_ASKED_FOR = ("distributions", "doctor")  # most programs do without, and a fifth of the time that the import takes


def __getattr__(name: str) -> object:
    if name in _WHEN_ASKED_FOR:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHEN_ASKED_FOR})
