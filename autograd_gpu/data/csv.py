"""Tables of numbers in CSV files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backend.promotion import float32
from ..core.tensor import Tensor
from .files import read_bytes

MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"))


class Table(NamedTuple):
    """The rows of a CSV file as a tensor (rows, columns), and the names of the columns."""

    data: Tensor
    names: list[str]


def read_csv(
    path: str | os.PathLike,
    columns: Sequence[str | int] | None = None,
    *,
    header: bool | None = None,
    delimiter: str = ",",
    missing: str | float = "error",
    dtype: Any = float32,
    encoding: str = "utf-8",
) -> Table:
    """The numbers in a CSV file, which may be compressed by gzip.

    columns    which, by name or by number, in this order; all if not given
    header     whether the first line has the names of the columns; if not given, it has if something in it is no number
    missing    what becomes of empty fields, NA, N/A, nan, null, None and ?: "error", "nan", "drop" (their row is left out),
               "mean" (of their column), or a number that takes their place

    Raises FileNotFoundError, or ValueError that names the file and the line.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "points.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("x,y,z\\n1,2,3\\n4,,6\\n")
    ...     read_csv(path, ["z", "y"], missing=0.0)
    Table(data=tensor([[3., 2.],
                       [6., 0.]]), names=['z', 'y'])
    """
    path = os.fspath(path)
    if isinstance(missing, str) and missing not in ("error", "nan", "drop", "mean"):
        raise ValueError(f"missing should be 'error', 'nan', 'drop', 'mean' or a number, not {missing!r}")
    if len(delimiter) != 1:
        raise ValueError(f"delimiter should be one character, not {delimiter!r}")
    try:
        text = read_bytes(path, "a CSV file").decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not {encoding}: byte {error.start} is {error.object[error.start]:#04x}") from None
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        numbered = [(lines.line_num, row) for row in lines if row and (len(row) > 1 or row[0].strip())]
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines.line_num}: {error}") from None
    if not numbered:
        raise ValueError(f"{path} is empty: it should be a CSV file")
    width = len(numbered[0][1])
    if header is None:
        header = any(_number(field) is None for field in numbered[0][1] if field.strip() not in MISSING)
    names = [field.strip() for field in numbered.pop(0)[1]] if header else [str(i) for i in range(width)]
    chosen = list(range(width)) if columns is None else [_column(c, names, path) for c in columns]
    dtype = np.dtype(dtype)
    whole = dtype.kind in "iub"  # then they stay Python's integers, of which none is rounded
    reader = _Reader(path, names, chosen, missing, whole)
    rows = [row for line, fields in numbered if (row := reader.row(line, fields)) is not None]
    values = np.array(rows, object if whole else np.float64).reshape(len(rows), len(chosen))
    if missing == "mean":
        _fill_with_means(values, path, [names[c] for c in chosen])
    if whole:
        _check_fit(values, dtype, path)
    return Table(Tensor(values.astype(dtype)), [names[c] for c in chosen])


class _Reader:
    """Makes numbers of the fields of rows."""

    def __init__(self, path: str, names: list[str], chosen: list[int], missing: str | float, whole: bool):
        self.path, self.names, self.chosen, self.missing, self.whole = path, names, chosen, missing, whole
        self.instead = float("nan") if missing in ("nan", "mean") else missing

    def row(self, line: int, fields: list[str]) -> list[float] | None:
        """The chosen numbers of a row, None if it is to be left out."""
        if len(fields) != len(self.names):
            raise ValueError(f"{self.path}, line {line}: {len(fields)} fields, where {len(self.names)} are expected")
        row = []
        for c in self.chosen:
            field = fields[c]
            try:
                value = float(field)
                if value == value and "_" not in field:
                    row.append(_exact(field, value) if self.whole else value)
                    continue
            except ValueError:
                pass
            if field.strip() not in MISSING:
                raise ValueError(f"{self.path}, line {line}, column {self.names[c]!r}: {field!r} is not a number")
            if self.missing == "drop":
                return None
            if self.missing == "error":
                raise ValueError(
                    f"{self.path}, line {line}, column {self.names[c]!r}: the value is missing ({field!r}). Say what to do "
                    'about it with missing="drop", "nan", "mean" or a number'
                )
            row.append(float(self.instead))
        return row


def _exact(field: str, value: float) -> float:
    """The number in a field, as an int if it is written as one."""
    try:
        return int(field)
    except ValueError:
        return value


def _number(field: str) -> float | None:
    try:
        return None if "_" in field else float(field)
    except ValueError:
        return None


def _column(column: str | int, names: list[str], path: str) -> int:
    if isinstance(column, int):
        if -len(names) <= column < len(names):
            return column % len(names)
        raise ValueError(f"{path} has no column {column}: it has {len(names)}")
    if names.count(column) != 1:
        how = "no column" if column not in names else f"{names.count(column)} columns"
        raise ValueError(f"{path} has {how} named {column!r}: its columns are {names}")
    return names.index(column)


def _fill_with_means(values: np.ndarray, path: str, names: list[str]) -> None:
    for c, name in enumerate(names):
        column = values[:, c]
        absent = (column != column).astype(bool)  # NaN, in a column of any objects
        if absent.all() and absent.size:
            raise ValueError(f"{path}: column {name!r} has no value at all, so there is no mean to fill it with")
        if absent.any():
            column[absent] = column[~absent].sum() / (~absent).sum()


def _check_fit(values: np.ndarray, dtype: np.dtype, path: str) -> None:
    """Raise ValueError if an integer dtype does not hold one of the values."""
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for (row, _), value in np.ndenumerate(values):
        try:
            whole = int(value) == value
        except (ValueError, OverflowError):  # NaN, infinity
            whole = False
        if not whole:
            raise ValueError(f"{path}: {value} is no whole number, as {dtype} needs: row {row} of the data")
        if not low <= value <= high:
            raise ValueError(f"{path}: {value} is too large or too small for {dtype}, {low} to {high}: row {row} of the data")
