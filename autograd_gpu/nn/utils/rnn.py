"""Sequences of different lengths in one tensor: padded, or packed step after step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ...core.graph import words
from ...core.tensor import Tensor
from ...ops.create import full, tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences, the longest first, packed: the first elements of all, then the second elements of those that have one, and so
    on.

    data               (sum of lengths, *)
    batch_sizes        int64, on the CPU: how many sequences have an element at each step
    sorted_indices     int64: which sequence of the batch each of the packed ones was; None if they are in their order
    unsorted_indices   the inverse of that
    Made by `pack_padded_sequence` and `pack_sequence`.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2, 3]), ag.tensor([4])]).data
    tensor([1, 4, 2, 3])
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. They should "
                "be instantiated by functions like pack_sequence and pack_padded_sequence in nn.utils.rnn."
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        if data is self.data:
            return self
        moved = [i if i is None else i.to(data.device) for i in self[2:]]
        return type(self)(data, self.batch_sizes, *moved)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data moved or converted as by `Tensor.to`; itself if nothing changes."""
        return self._with(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """With the data on the CPU."""
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data on a CUDA device."""
        return self._with(self.data.cuda(*args, **kwargs))

    def double(self) -> PackedSequence:
        """With the data as float64."""
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        """With the data as float32."""
        return self._with(self.data.float())

    def half(self) -> PackedSequence:
        """With the data as float16."""
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        """With the data as int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """With the data as int32."""
        return self._with(self.data.int())

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a CUDA device."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one; None for None.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.rnn.invert_permutation(ag.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else words.argsort(permutation, axis=0, descending=False)


def _numbers(lengths: Any) -> list[Any]:
    return lengths.tolist() if isinstance(lengths, Tensor) else [int(n) for n in lengths]


def _sizes(lengths: Sequence[int]) -> list[int]:
    """How many sequences have an element at each step."""
    sizes, n = [], len(lengths)
    for t in range(lengths[0]):
        while lengths[n - 1] <= t:
            n -= 1
        sizes.append(n)
    return sizes


def _offsets(sizes: Sequence[int]) -> list[int]:
    return [0, *accumulate(sizes)]


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences: (T, B, *), or with batch_first (B, T, *), of which sequence b has lengths[b] elements.

    With enforce_sorted lengths must not grow; without, sequences are sorted by length.
    Raises RuntimeError for lengths that are not as they must be.

    >>> import autograd_gpu as ag
    >>> x = ag.tensor([[1, 2, 0], [3, 4, 5]])
    >>> ag.nn.utils.rnn.pack_padded_sequence(x, [2, 3], batch_first=True, enforce_sorted=False)[:2]
    (tensor([3, 1, 4, 2, 5]), tensor([2, 2, 1]))
    """
    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got 1D {lengths.device} Long tensor")
    lengths = _numbers(lengths)
    steps, batch = input.shape[:2][::-1] if batch_first else input.shape[:2]
    if len(lengths) != batch:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={batch})")
    if not lengths or min(lengths) <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if max(lengths) > steps:
        raise RuntimeError(f"a sequence of length {max(lengths)} does not fit in the {steps} steps of {list(input.shape)}")
    order = sorted(range(batch), key=lambda b: -lengths[b])
    if enforce_sorted and any(a < b for a, b in zip(lengths, lengths[1:])):  # noqa: B905 (each with its next)
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need "
            "ONNX exportability."
        )
    sizes = _sizes([lengths[b] for b in order])
    # the place of each packed element in the input with its first two dimensions made one
    places = [order[k] * steps + t if batch_first else t * batch + order[k] for t, n in enumerate(sizes) for k in range(n)]
    flat = words.reshape(input, shape=(steps * batch, *input.shape[2:]))
    data = words.index(flat, tensor(places, device=input.device), axes=(0,))
    return PackedSequence(data, tensor(sizes), None if enforce_sorted else tensor(order, device=input.device))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The packed sequences padded, (T, B, *) or (B, T, *), and their lengths, in the order that they had before packing.

    total_length   T, if it shall be more than the longest length
    Raises ValueError if it is less.

    >>> import autograd_gpu as ag
    >>> packed = ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2]), ag.tensor([3, 4, 5])], enforce_sorted=False)
    >>> ag.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 0],
            [3, 4, 5]]), tensor([2, 3]))
    """
    data, sizes = sequence.data, sequence.batch_sizes.tolist()
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    batch, starts = sizes[0], _offsets(sizes)
    order = range(batch) if sequence.unsorted_indices is None else sequence.unsorted_indices.tolist()
    lengths = [sum(n > k for n in sizes) for k in range(batch)]
    nowhere = starts[-1]  # a row of padding behind the data

    def place(b: int, t: int) -> int:
        return starts[t] + order[b] if t < lengths[order[b]] else nowhere

    if batch_first:
        places = [[place(b, t) for t in range(steps)] for b in range(batch)]
    else:
        places = [[place(b, t) for b in range(batch)] for t in range(steps)]
    padding = full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    padded = words.index(words.cat(data, padding, axis=0), tensor(places, device=data.device), axes=(0,))
    return padded, tensor([lengths[k] for k in order])


def pad_sequence(
    sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences (L, *) of different lengths in one tensor, (T, B, *) or with batch_first (B, T, *), filled up with
    padding_value at their end, or with padding_side="left" at their beginning.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.rnn.pad_sequence([ag.tensor([1, 2, 3]), ag.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    longest, rest = max(len(s) for s in sequences), sequences[0].shape[1:]
    padded = []
    for s in sequences:
        if s.shape[1:] != rest:
            raise RuntimeError(f"sequences differ in more than their length: {list(sequences[0].shape)} and {list(s.shape)}")
        if len(s) < longest:
            padding = full((longest - len(s), *rest), padding_value, dtype=s.dtype, device=s.device)
            s = words.cat(*((s, padding) if padding_side == "right" else (padding, s)), axis=0)
        padded.append(s)
    return words.stack(*padded, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False) -> list[Tensor]:
    """The sequences in a padded tensor, each with its length.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.rnn.unpad_sequence(ag.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    [tensor([1, 2, 3]), tensor([4])]
    """
    sequences = words.unbind(padded_sequences, axis=0 if batch_first else 1)
    return [s[:n] for s, n in zip(sequences, _numbers(lengths), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, *), which must be sorted by length, the longest first, unless enforce_sorted=False.

    >>> import autograd_gpu as ag
    >>> ag.nn.utils.rnn.pack_sequence([ag.tensor([1, 2, 3]), ag.tensor([4])]).batch_sizes
    tensor([2, 1, 1])
    """
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences in a packed one, in the order that they had before packing.

    >>> import autograd_gpu as ag
    >>> rnn = ag.nn.utils.rnn
    >>> rnn.unpack_sequence(rnn.pack_sequence([ag.tensor([1, 2, 3]), ag.tensor([4])]))
    [tensor([1, 2, 3]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
