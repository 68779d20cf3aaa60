"""Sums over rows that come in parts, as the library keeps them, and what a PCA makes of rows and of sums."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, TypeVar

import numpy

from . import _library
from ._handle import Handle
from ._lock import Lock
from .error import InputError
from .estimator import matrix

if TYPE_CHECKING:
    from .estimator import Array

COLUMNS_MAX = 16384  # of which the library makes a covariance matrix

S = TypeVar("S", bound="Sums")


class Sums:
    """What :class:`coulis.Moments` does but for making a PCA, which itself is made of sums."""

    def __init__(self, columns: int, *, first_row: int = 0, threads: int | None = None) -> None:
        self._begin(threads)
        options = self._options()
        options.first_row = first_row
        _library.call("coulis_moments_create", columns, ctypes.byref(options), self._handle.out)

    def _begin(self, threads: int | None) -> None:
        self.threads = threads
        self._handle = Handle("coulis_moments_free")
        self._lock = Lock()  # the library's accumulator is used by one caller at a time

    def _options(self) -> Any:
        options = _library.new(_library.MomentsOptions)
        options.threads = _library.threads_number(self.threads)
        return options

    @staticmethod
    def leaf_rows(columns: int) -> int:
        """Rows in a leaf of the sums: at least 1,024, and a power of two."""
        rows = _library.library().coulis_moments_leaf_rows(columns)
        if rows == 0:
            raise InputError(f"columns must be from 1 to {COLUMNS_MAX}, not {columns}")
        return rows

    @property
    def rows(self) -> int:
        """Rows added so far."""
        return _library.library().coulis_moments_rows(self._handle)

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return _library.library().coulis_moments_columns(self._handle)

    def update(self: S, X: Any) -> S:
        """Add rows that follow the last one; (n, columns), taken as float32. Returns this object.

        Raises
        ------
        Error
            ``numeric`` on NaN or infinity; no row was added then.
        """
        x = matrix(X, "Moments")
        if x.shape[1] != self.columns:
            raise InputError(f"X has {x.shape[1]} features, but Moments is expecting {self.columns} features as input")
        with self._lock:
            _library.call("coulis_moments_update", self._handle, _library.pointer(x, ctypes.c_float), x.shape[0])
        return self

    def merge(self: S, other: Sums) -> S:
        """Add the rows of `other`, which may lie before, after or between these. Returns this object.

        Raises
        ------
        Error
            ``invalid_argument`` when both have the same row, or a part that something follows ends within a leaf.
        """
        if not isinstance(other, Sums):
            raise TypeError(f"other must be Moments, not {type(other).__name__}")
        both: list[Sums] = [self, other]
        first, second = sorted(both, key=id)  # one order for all, so that nobody waits for somebody waiting
        with first._lock, second._lock:
            _library.call("coulis_moments_merge", self._handle, other._handle)
        return self

    def _fit(self, options: Any) -> Any:
        handle = Handle("coulis_pca_free")
        with self._lock:
            _library.call("coulis_moments_finish", self._handle, ctypes.byref(options), handle.out)
        return handle

    def to_bytes(self) -> bytes:
        """All of it as bytes, for another process; equal sums give equal bytes."""
        address, size = ctypes.c_void_p(), ctypes.c_size_t()
        with self._lock:
            _library.call("coulis_moments_save", self._handle, ctypes.byref(address), ctypes.byref(size))
        try:
            return ctypes.string_at(address, size.value)
        finally:
            _library.library().coulis_bytes_free(address)

    @classmethod
    def from_bytes(cls: type[S], data: bytes, *, threads: int | None = None) -> S:
        """What :meth:`to_bytes` gave.

        Raises
        ------
        Error
            ``bad_data`` when the bytes are not such.
        """
        moments = cls.__new__(cls)
        moments._begin(threads)
        keep: list[Any] = []
        address, size = _library.buffer_address(data, keep)
        _library.call("coulis_moments_load", address, size, ctypes.byref(moments._options()), moments._handle.out)
        return moments

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.to_bytes(), self.threads)


def _restore(kind: type[S], data: bytes, threads: int | None) -> S:
    return kind.from_bytes(data, threads=threads)


class Parts:
    """What `partial_fit` was given so far, so that :meth:`fit` gives what `PCA.fit` would of all of it.

    Where that would be the covariance matrix, rows are summed as they come. Else they are kept: those of
    fewer rows than columns, as the Gram matrix needs them, or of more columns than a covariance matrix may have.
    """

    def __init__(self, columns: int, solver: str, threads: int | None) -> None:
        self.columns, self.threads, self.rows = columns, threads, 0
        self.blocks: list[Array] = []
        self.sums: Sums | None = None
        from_rows = {"covariance_eigh": 0, "auto": columns, "full": columns}  # from so many rows on
        self.sum_from = from_rows.get(solver, float("inf")) if columns <= COLUMNS_MAX else float("inf")

    def add(self, x: Array) -> None:
        """Adds the rows of a float32 matrix, or none when it raises."""
        _refuse_not_finite(x)
        if self.sums is None and self.rows + len(x) >= self.sum_from:
            sums = Sums(self.columns, threads=self.threads)
            for block in self.blocks:
                sums.update(block)
            self.blocks, self.sums = [], sums
        if self.sums is not None:
            self.sums.update(x)
        else:
            self.blocks.append(x.copy())  # the caller may use its array again
        self.rows += len(x)

    def fit(self, options: Any) -> Any:
        """A fitted model of the library."""
        if self.sums is not None:
            return self.sums._fit(options)
        if len(self.blocks) > 1:
            self.blocks = [numpy.concatenate(self.blocks)]
        return fit_rows(self.blocks[0], options)


def fit_rows(x: Array, options: Any) -> Any:
    """A fitted model of the library of a float32 matrix."""
    handle = Handle("coulis_pca_free")
    _library.call("coulis_pca_fit", _library.pointer(x, ctypes.c_float), *x.shape, ctypes.byref(options), handle.out)
    return handle


def _refuse_not_finite(x: Array) -> None:
    finite = numpy.isfinite(x)
    if not finite.all():
        row, column = numpy.argwhere(~finite)[0]
        what = "not a number (NaN)" if numpy.isnan(x[row, column]) else "infinite"
        raise InputError(f"row {row}, column {column} of the input (counted from 0) is {what}", "numeric", 15)
