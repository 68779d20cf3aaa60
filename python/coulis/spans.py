"""Principal components of rows in spans on several machines; what :mod:`coulis.spark` is made of."""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_float
from typing import TYPE_CHECKING, Any, Protocol

import numpy

from . import _library
from ._handle import Handle
from .error import Error
from .estimator import matrix
from .pca import PCA

if TYPE_CHECKING:
    from .estimator import Array


def span_rows(columns: int) -> int:
    """Rows of a span: 16 blocks of 1,024 rows or 64 MiB each, whichever is less."""
    return _library.library().coulis_span_rows(columns)


class Span:
    """Sums over the rows of one span, and then of another.

    Parameters
    ----------
    columns : int
    mean : float64 (columns,) or None
        None for the statistics; else `scale` and `vectors` are wanted, too, as :class:`Rows` has them.
    """

    def __init__(
        self,
        columns: int,
        mean: Array | None = None,
        scale: float = 0,
        vectors: Array | None = None,
        threads: int | None = None,
    ) -> None:
        self.columns = columns
        # The library reads them until the span is released.
        self.mean = None if mean is None else numpy.ascontiguousarray(mean, numpy.float64)
        self.vectors = None if vectors is None else numpy.ascontiguousarray(vectors, numpy.float32)
        self._handle = Handle("coulis_span_free")
        _library.call(
            "coulis_span_create",
            columns,
            None if self.mean is None else _library.pointer(self.mean, c_double),
            scale,
            None if self.vectors is None else _library.pointer(self.vectors, c_float),
            0 if self.vectors is None else len(self.vectors),
            _library.threads_number(threads),
            self._handle.out,
        )

    def add(self, x: Array) -> None:
        """Adds rows (n, columns) that follow the last one."""
        x = matrix(x, "Span")
        _library.call("coulis_span_add", self._handle, _library.pointer(x, c_float), len(x))

    def statistics(self) -> tuple[Array, Array, Array]:
        """Sum, lowest and highest of each column. Another span may follow."""
        sums, lowest, highest = numpy.empty(self.columns), *numpy.empty((2, self.columns), numpy.float32)
        _library.call(
            "coulis_span_statistics",
            self._handle,
            _library.pointer(sums, c_double),
            _library.pointer(lowest, c_float),
            _library.pointer(highest, c_float),
        )
        return sums, lowest, highest

    def products(self) -> tuple[Array, Array]:
        """Products (vectors, columns) and squares (columns,). Another span may follow."""
        assert self.vectors is not None
        products, squares = numpy.empty((len(self.vectors), self.columns)), numpy.empty(self.columns)
        _library.call(
            "coulis_span_products",
            self._handle,
            _library.pointer(products, c_double),
            _library.pointer(squares, c_double),
        )
        return products, squares


class Rows(Protocol):
    """Rows that are elsewhere: sums over all their spans, added up from the first to the last."""

    def statistics(self) -> tuple[Array, Array, Array]: ...

    def products(self, mean: Array, scale: float, vectors: Array) -> tuple[Array, Array]: ...


def fit_spans(rows: Rows, count: int, columns: int, n_components: float | None, threads: int | None = None) -> PCA:
    """A fitted :class:`coulis.PCA` of `count` rows: the bytes of ``PCA(solver="randomized").fit`` of them."""
    failed: list[BaseException] = []

    def put(pointers: tuple[Any, ...], arrays: tuple[Array, ...]) -> None:
        for pointer, array in zip(pointers, arrays):
            numpy.ctypeslib.as_array(pointer, array.shape)[...] = array

    def statistics(context: Any, *out: Any) -> int:
        try:
            put(out, rows.statistics())
        except BaseException as error:  # it cannot go through the library, and is raised behind it
            failed.append(error)
        return len(failed)

    def products(context: Any, mean: Any, scale: float, vectors: Any, number: int, *out: Any) -> int:
        try:
            put(
                out,
                rows.products(
                    numpy.ctypeslib.as_array(mean, (columns,)),
                    scale,
                    numpy.ctypeslib.as_array(vectors, (number, columns)),
                ),
            )
        except BaseException as error:
            failed.append(error)
        return len(failed)

    pca = PCA(n_components, threads=threads, solver="randomized")
    spans = _library.Spans(
        ctypes.sizeof(_library.Spans),
        count,
        columns,
        None,
        _library.StatisticsFunction(statistics),
        _library.ProductsFunction(products),
    )
    handle = Handle("coulis_pca_free")
    try:
        _library.call("coulis_pca_fit_spans", ctypes.byref(spans), ctypes.byref(pca._options()), handle.out)
    except Error:
        if failed:
            raise failed[0] from None
        raise
    pca._take(handle)
    return pca
