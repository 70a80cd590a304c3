"""The vocabulary on CuPy arrays: what `xp` means on a CUDA device. Importing this imports CuPy.

Each file speaks of the family of words that the file of the same name in `backend.cpu` speaks of; names, keywords, result
types, ties and what becomes of NaN are the same there and here.

NOTE [Words on a device]
    1. A word launches kernels on the current stream and returns at once. Only words whose result has a shape that depends on
       the data wait for the device: `nonzero`, `unique`, `bincount` and what is built on them; and `to_host`.
    2. So what the CPU refuses after a look at the data is not refused here: integers divided by zero give 0, and an index out
       of bounds is taken modulo the size, as CuPy does. A class that does not exist makes a
       loss NaN, a row that does not exist a row of NaN. With AUTOGRAD_GPU_LAUNCH_BLOCKING=1 all of these are looked at.
    3. float16 and bfloat16 are computed in float32 and rounded once at the end of a word.
    4. Results repeat bit for bit: sums have a fixed order, and there are no float atomics.
    5. An array of the host is refused with a TypeError, which the dispatcher explains; only `from_host` takes one.
    6. Denormal float32 numbers may become zero: CuPy compiles with -ftz=true.
"""

from __future__ import annotations

from .activation import *
from .arrays import *
from .decompositions import *
from .dropouts import *
from .conv import *
from .elementwise import *
from .extremum import *
from .fusions import FUSED as fused  # name of an op -> (forward, backward), faster than its rule where they do not decline
from .fusions import Bucket, adam_, bucket_elements, bucket_scratch, drop_denormals_, sgd_
from .gradients import *
from .guard import *
from .indexing import *
from .linalg import *
from .optimizers import *
from .pool import *
from .recurrent import *
from .reduce import *
from .scan import *
from .shape import *
from .softmaxes import *
from .special import *
