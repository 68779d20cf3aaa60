"""Sums over rows that come in parts, from which a PCA can be made."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

from . import _library
from ._handle import Handle
from ._lock import Lock
from .error import InputError
from .estimator import matrix

if TYPE_CHECKING:
    from .estimator import Array
    from .pca import PCA

COLUMNS_MAX = 16384  # of which the library makes a covariance matrix


class Moments:
    """Number, mean and covariance of rows that come in parts: one machine's, or many's.

    Rows are numbered from 0. Whatever the pieces in which they are added, and whatever the order in which
    accumulators are merged, :meth:`finish` gives the same bytes, which are those of
    ``PCA(solver="covariance_eigh").fit`` of all rows at once. Can be pickled.

    Parameters
    ----------
    columns : int
        Numbers in a row, at most 16,384.
    first_row : int
        Number of the first row that will be added, a multiple of ``leaf_rows(columns)``: the sums are those of
        leaves of that many rows, so a part of a matrix has to begin with a leaf.
    threads : int or None
        None for all cores.
    """

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

    def update(self, X: Any) -> Moments:
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

    def merge(self, other: Moments) -> Moments:
        """Add the rows of `other`, which may lie before, after or between these. Returns this object.

        Raises
        ------
        Error
            ``invalid_argument`` when both have the same row, or a part that something follows ends within a leaf.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other must be Moments, not {type(other).__name__}")
        first, second = sorted((self, other), key=id)  # one order for all, so that nobody waits for somebody waiting
        with first._lock, second._lock:
            _library.call("coulis_moments_merge", self._handle, other._handle)
        return self

    def finish(self, n_components: float | None = None, *, whiten: bool = False, solver: str = "auto") -> PCA:
        """A fitted :class:`coulis.PCA` of the rows so far; more may follow afterwards.

        Raises
        ------
        Error
            ``invalid_argument`` when rows from 0 on are missing, or there are fewer than two or than components.
        """
        from .pca import PCA

        pca = PCA(n_components, whiten=whiten, solver=solver, threads=self.threads)
        pca._take(self._fit(pca._options()))
        return pca

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
    def from_bytes(cls, data: bytes, *, threads: int | None = None) -> Moments:
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
        return _restore, (self.to_bytes(), self.threads)

    def __repr__(self) -> str:
        return f"<coulis.Moments of {self.rows} rows with {self.columns} columns>"


def _restore(data: bytes, threads: int | None) -> Moments:
    return Moments.from_bytes(data, threads=threads)


class Parts:
    """What `partial_fit` was given so far, so that :meth:`fit` gives what `PCA.fit` would of all of it.

    Where that would be the covariance matrix, rows are summed as they come. Else they are kept: those of
    fewer rows than columns, as the Gram matrix needs them, or of more columns than a covariance matrix may have.
    """

    def __init__(self, columns: int, solver: str, threads: int | None) -> None:
        self.columns, self.threads, self.rows = columns, threads, 0
        self.blocks: list[Array] = []
        self.moments: Moments | None = None
        sums = {"covariance_eigh": 0, "auto": columns, "full": columns}  # from so many rows on
        self.sum_from = sums.get(solver, float("inf")) if columns <= COLUMNS_MAX else float("inf")

    def add(self, x: Array) -> None:
        """Adds the rows of a float32 matrix, or none when it raises."""
        _refuse_not_finite(x)
        if self.moments is None and self.rows + len(x) >= self.sum_from:
            moments = Moments(self.columns, threads=self.threads)
            for block in self.blocks:
                moments.update(block)
            self.blocks, self.moments = [], moments
        if self.moments is not None:
            self.moments.update(x)
        else:
            self.blocks.append(x.copy())  # the caller may use its array again
        self.rows += len(x)

    def fit(self, options: Any) -> Any:
        """A fitted model of the library."""
        if self.moments is not None:
            return self.moments._fit(options)
        if len(self.blocks) > 1:
            self.blocks = [numpy.concatenate(self.blocks)]
        return fit_rows(self.blocks[0], options)


def fit_rows(x: Array, options: Any) -> Any:
    """A fitted model of the library of a float32 matrix."""
    handle = Handle("coulis_pca_free")
    _library.call(
        "coulis_pca_fit", _library.pointer(x, ctypes.c_float), *x.shape, ctypes.byref(options), handle.out
    )
    return handle


def _refuse_not_finite(x: Array) -> None:
    finite = numpy.isfinite(x)
    if not finite.all():
        row, column = numpy.argwhere(~finite)[0]
        what = "not a number (NaN)" if numpy.isnan(x[row, column]) else "infinite"
        raise InputError(f"row {row}, column {column} of the input (counted from 0) is {what}", "numeric", 15)
