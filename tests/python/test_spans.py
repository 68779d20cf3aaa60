"""Rows that are read span by span, in any order: the bytes of the randomized solver that has them all."""

import numpy
import pytest
from coulis import PCA, Error
from coulis.spans import Span, fit_spans, span_rows

COLUMNS = 40
SPAN = 16 * 1024
ROWS = 2 * SPAN + 1500  # the last span ends within a block


def make(rows=ROWS, columns=COLUMNS):
    rng = numpy.random.default_rng(5)
    return (rng.standard_normal((rows, columns)) * numpy.linspace(3, 0.2, columns) + 7).astype(numpy.float32)


class Elsewhere:
    """Spans that are read in pieces of `step` rows, from the last to the first."""

    def __init__(self, x, step, threads):
        self.x, self.step, self.threads, self.readings = x, step, threads, 0

    def spans(self, *given):
        size = span_rows(self.x.shape[1])
        found = {}
        span = Span(self.x.shape[1], *given, threads=self.threads)
        for first in reversed(range(0, len(self.x), size)):
            rows = self.x[first : first + size]
            for at in range(0, len(rows), self.step):
                span.add(rows[at : at + self.step])
            found[first] = span.products() if given else span.statistics()
        self.readings += 1
        return [found[first] for first in sorted(found)]

    def statistics(self):
        sums, lows, highs = zip(*self.spans())
        return sum(sums[1:], sums[0]), numpy.min(lows, axis=0), numpy.max(highs, axis=0)

    def products(self, mean, scale, vectors):
        products, squares = zip(*self.spans(mean, scale, vectors))
        return sum(products), sum(squares)


def test_a_span_is_sixteen_blocks():
    assert [span_rows(columns) for columns in (1, 16384, 100352, 1 << 26)] == [SPAN, 16 * 1024, 16 * 167, 16]
    assert span_rows(0) == span_rows(1 << 31) == 0


@pytest.mark.parametrize("k, step, threads", [(5, 1000, 1), (0.9, SPAN, 2)])
def test_gives_the_bytes_of_all_rows_at_once(k, step, threads):
    x = make()
    rows = Elsewhere(x, step, threads)
    pca, expected = fit_spans(rows, ROWS, COLUMNS, k), PCA(k, solver="randomized").fit(x)
    for name in ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"):
        assert getattr(pca, name).tobytes() == getattr(expected, name).tobytes(), name
    assert (pca.solver_, pca.error_bound_) == (expected.solver_, expected.error_bound_)
    assert rows.readings >= 3  # the mean, one block of vectors, the bound


def test_what_fails_elsewhere_comes_out():
    class Broken(Elsewhere):
        def products(self, mean, scale, vectors):
            raise ZeroDivisionError("a machine is gone")

    with pytest.raises(ZeroDivisionError, match="a machine is gone"):
        fit_spans(Broken(make(100), 10, 1), 100, COLUMNS, 2)


def test_what_makes_no_sense_is_a_sentence():
    x = make(100)
    with pytest.raises(Error, match="a span of 40 columns has 16384 rows at most"):
        span = Span(COLUMNS)
        for _ in range(SPAN // 100 + 1):
            span.add(x)
    with pytest.raises(Error, match="a span without rows has no sums"):
        Span(COLUMNS).statistics()
    with pytest.raises(Error, match="row 3, column 7"):
        bad = make(5)
        bad[3, 7] = numpy.nan
        span = Span(COLUMNS)
        span.add(bad)
        span.statistics()
    with pytest.raises(Error, match="components asked for"):
        fit_spans(Elsewhere(x, 10, 1), 100, COLUMNS, 41)
    with pytest.raises(Error, match="needs a number of columns"):
        Span(0)
