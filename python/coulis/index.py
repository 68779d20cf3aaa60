"""Exact search among vectors by cosine."""

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


class Index:
    """The nearest of many vectors, found exactly.

    Vectors are compared by the cosine of the angle between them, computed in float64: the result is that of comparing
    all pairs so, and is the same for any number of threads. A vector of zeros has similarity 0 with every other.

    Parameters
    ----------
    vectors : array_like (n, d)
        Taken as float32, without a copy where they are that already.
    threads : int or None
        None for all cores.
    """

    def __init__(self, vectors: Any, *, threads: int | None = None) -> None:
        self._vectors = matrix(vectors, "Index")  # the library reads them where they are
        self.threads = threads
        self._handle = Handle("coulis_index_free")
        self._lock = Lock()  # the library's index is used by one caller at a time
        options = _library.new(_library.IndexOptions)
        options.threads = _library.threads_number(threads)
        _library.call(
            "coulis_index_create",
            _library.pointer(self._vectors, ctypes.c_float),
            *self._vectors.shape,
            ctypes.byref(options),
            self._handle.out,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors, and their dimensions."""
        return self._vectors.shape

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, queries: Any, k: int = 10) -> tuple[Array, Array]:
        """The `k` nearest vectors of each query, as FAISS returns them.

        Parameters
        ----------
        queries : array_like (q, d)
        k : int
            1 to the number of vectors.

        Returns
        -------
        similarity : ndarray of float32 (q, k)
            In descending order.
        row : ndarray of int64 (q, k)
            Of equally similar vectors the one with the lower row comes first.
        """
        x = self._matching(queries, "queries")
        if isinstance(k, bool) or int(k) != k:
            raise ValueError(f"k must be a whole number, not {k!r}")
        k = int(k)
        if not 1 <= k <= len(self):
            raise InputError(f"k must be from 1 to the number of vectors, {len(self)}, not {k}")
        similarity = numpy.empty((len(x), k), numpy.float32)
        row = numpy.empty((len(x), k), numpy.int64)
        with self._lock:
            _library.call(
                "coulis_index_search",
                self._handle,
                _library.pointer(x, ctypes.c_float),
                len(x),
                k,
                _library.pointer(similarity, ctypes.c_float),
                _library.pointer(row, ctypes.c_int64),
            )
        return similarity, row

    def pairs(self, threshold: float, other: Index | None = None) -> tuple[Array, Array, Array]:
        """All pairs of vectors with a similarity of at least `threshold`, and no others.

        Parameters
        ----------
        threshold : float
            -1 to 1.
        other : Index or None
            Pairs of one vector of this index and one of the other; None: pairs within this index.

        Returns
        -------
        first, second : ndarray of int64 (p,)
            In ascending order of first, then second; within one index first < second.
        similarity : ndarray of float32 (p,)
        """
        if other is not None and not isinstance(other, Index):
            raise TypeError(f"other must be an Index, not {type(other).__name__}")
        handle = Handle("coulis_pairs_free")
        with self._lock:
            other_handle = other._handle if other is not None else None
            _library.call("coulis_index_pairs", self._handle, other_handle, float(threshold), handle.out)
        library = _library.library()
        count = library.coulis_pairs_count(handle)

        def column(name: str) -> Array:
            return numpy.ctypeslib.as_array(getattr(library, name)(handle), (count,)).copy()

        return column("coulis_pairs_first"), column("coulis_pairs_second"), column("coulis_pairs_similarity")

    def _matching(self, X: Any, what: str) -> Array:
        x = matrix(X, "Index")
        if x.shape[1] != self.shape[1]:
            raise InputError(f"{what} have {x.shape[1]} dimensions, the vectors of the index {self.shape[1]}")
        return x

    def __repr__(self) -> str:
        return f"<coulis.Index of {self.shape[0]} vectors with {self.shape[1]} dimensions>"
