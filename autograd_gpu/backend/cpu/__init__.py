"""The vocabulary on NumPy arrays: what `xp` means on a CPU. Words are NumPy's where NumPy has them.

Each file here speaks of one family of words, as the files in `autograd_gpu.ops` do of ops."""

from __future__ import annotations

import ctypes
import os
import warnings

from .activation import *
from .activation import ACTIVATIONS
from .arrays import *
from .attention import ATTENTION
from .conv import *
from .conv import CONVOLUTIONS
from .conv_pool import POOLED
from .decompositions import *
from .dropouts import DROPOUTS, dropout
from .elementwise import *
from .embeddings import EMBEDDINGS
from .extremum import *
from .gradients import *
from .indexing import *
from .layouts import RECTIFIERS
from .linalg import *
from .linalg import PRODUCTS
from .loss import LOSSES
from .normalization import NORMS
from .optim import *
from .optimizers import *
from .pool import *
from .recurrent import *
from .reduce import *
from .scan import *
from .shape import *
from .softmaxes import *
from .softmaxes import SOFTMAXES
from .special import *

# NumPy warns where PyTorch is silent: 1/0, log(0), overflow. The filter is for calls made by this package's modules only.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"autograd_gpu\.")


def _keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks for the next step instead of returning them to the system and paying page
    faults for them again: 1.5 to 2 times faster training. Opt out with AUTOGRAD_GPU_MALLOPT=0."""
    if os.environ.get("AUTOGRAD_GPU_MALLOPT", "1") == "0":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    m_trim_threshold, m_mmap_threshold = -1, -3
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 2**31 - 1)


_keep_freed_memory()

fused: dict = {
    **ACTIVATIONS,
    **PRODUCTS,
    **CONVOLUTIONS,
    **POOLED,
    **RECTIFIERS,
    **LOSSES,
    **NORMS,
    **DROPOUTS,
    **EMBEDDINGS,
    **SOFTMAXES,
    **ATTENTION,
}  # name of an op -> (forward, backward), faster than its rule where they do not return NotImplemented
