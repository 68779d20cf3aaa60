"""Rows too many and too wide for a matrix: block Krylov over spans of them that stay on the executors.

What runs there gives sums of spans in slices (:class:`Sums`), which other tasks add up in the order of the spans
(:class:`Fold`), so that only the total comes to the driver.
"""

import numpy
import pyarrow
from pyspark import StorageLevel
from pyspark.sql import functions
from pyspark.sql.types import BinaryType, IntegerType, LongType, StructField, StructType

from ..spans import Span, fit_spans, span_rows
from . import _frames, _session, _worker

SLICE_BYTES = 2 << 20  # of sums in one row
SORTED_BYTES = 256 << 20  # of rows in a partition while they are sorted
# What is done with two slices of an array: (type, function of both into the first).
_FOLDS = (("<f8", numpy.add), ("<f4", numpy.minimum), ("<f4", numpy.maximum))
_SUMS = StructType(
    [
        StructField("slice", IntegerType()),
        StructField("span", LongType()),
        StructField("fold", IntegerType()),
        StructField("bytes", BinaryType()),
    ]
)
_TOTALS = StructType([StructField("slice", IntegerType()), StructField("bytes", BinaryType())])


# ---- on the executors -------------------------------------------------------------------


def pack_question(mean, scale, vectors):
    return b"".join(part.tobytes() for part in (numpy.array([scale, len(vectors)], "<f8"), mean, vectors))


def unpack_question(data, columns):
    scale, count = numpy.frombuffer(data, "<f8", 2)
    mean = numpy.frombuffer(data, "<f8", columns, 16)
    return mean, float(scale), numpy.frombuffer(data, "<f4", offset=16 + 8 * columns).reshape(int(count), columns)


class Sums:
    """The sums of the spans of a partition, whose rows come in order: statistics, or products for a question.

    Parameters
    ----------
    rows, columns : int
        Of the whole matrix.
    question : something with `value`, or None
        What :func:`pack_question` gave.
    """

    def __init__(self, rows, columns, question):
        self.rows, self.columns, self.question = rows, columns, question

    def __call__(self, batches):
        size, given = span_rows(self.columns), ()
        if self.question is not None:
            given = unpack_question(self.question.value, self.columns)
        span, at = None, None  # at: number of the next row
        for batch in batches:
            numbers, rows = numpy.asarray(batch.column(0)), _worker.unpack(batch.column(1))
            while len(rows):
                if at is None:
                    at = int(numbers[0])
                    if at % size:
                        raise RuntimeError(f"the rows of a span begin with number {at}: please report this")
                    span = span or Span(self.columns, *given, threads=_worker.task_threads())
                taken = min(len(rows), size - at % size)
                if (numbers[:taken] != numpy.arange(at, at + taken)).any():
                    raise RuntimeError(f"rows after number {at} of a span are missing: please report this")
                span.add(rows[:taken])
                at += taken
                numbers, rows = numbers[taken:], rows[taken:]
                if at % size == 0 or at == self.rows:
                    yield from self._slices((at - 1) // size, span)
                    at = None
        if at is not None:
            raise RuntimeError(f"a span ends with row {at}: please report this")

    def _slices(self, number, span):
        if self.question is None:
            arrays = zip((0, 1, 2), span.statistics())
        else:
            arrays = zip((0, 0), span.products())
        rows = []
        for fold, array in arrays:
            data = array.reshape(-1).view(numpy.uint8)
            for first in range(0, len(data), SLICE_BYTES):
                rows.append((len(rows), number, fold, data[first : first + SLICE_BYTES].tobytes()))
        for first in range(0, len(rows), 8):
            yield _batch(rows[first : first + 8], _SUMS)


class Fold:
    """Adds up slices that come sorted by slice and span; each slice must have come from every span."""

    def __init__(self, spans):
        self.spans = spans

    def __call__(self, batches):
        current, total, count = None, None, 0
        for batch in batches:
            for number, _, fold, data in zip(*(column.to_pylist() for column in batch.columns)):
                kind, function = _FOLDS[fold]
                piece = numpy.frombuffer(data, kind)
                if number == current:
                    function(total, piece, out=total)
                    count += 1
                    continue
                yield from self._done(current, total, count)
                current, total, count = number, piece.copy(), 1
        yield from self._done(current, total, count)

    def _done(self, number, total, count):
        if number is None:
            return
        if count != self.spans:
            raise RuntimeError(f"sums of {count} spans instead of {self.spans}: please report this")
        yield _batch([(number, total.tobytes())], _TOTALS)


def _batch(rows, schema):
    types = {"integer": pyarrow.int32(), "long": pyarrow.int64(), "binary": pyarrow.binary()}
    arrays = [
        pyarrow.array(values, types[field.dataType.typeName()]) for values, field in zip(zip(*rows), schema.fields)
    ]
    return pyarrow.RecordBatch.from_arrays(arrays, schema.names)


# ---- on the driver --------------------------------------------------------------------------


def keys_of_partitions(count):
    """Numbers of which Spark's hash puts one into each of `count` partitions, in their order. With another hash the
    spans would be spread less evenly, and nothing else."""
    found, number = {}, 0
    while len(found) < count:
        found.setdefault(_hash(number) % count, number)
        number += 1
    return [found[place] for place in range(count)]


def _hash(number):
    """Of one int: Murmur3 for 32 bits with the seed 42."""

    def turn(x, by):
        return ((x << by) | (x >> (32 - by))) & 0xFFFFFFFF

    h = turn(42 ^ (turn(number * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF), 13)
    h = ((h * 5 + 0xE6546B64) & 0xFFFFFFFF) ^ 4
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> shift)) * factor) & 0xFFFFFFFF
    h ^= h >> 16
    return h - (1 << 32) if h >> 31 else h


class WideRows:
    """Rows for :func:`coulis.spans.fit_spans`, each span of them whole in one partition and on an executor's disk.

    Parameters
    ----------
    numbered : DataFrame
        ``number`` as from monotonically_increasing_id, and ``vector``, sorted; kept.
    starts : list of int
        Number of the first row of each partition.
    """

    def __init__(self, session, numbered, starts, rows, columns):
        self.session, self.rows, self.columns = session, rows, columns
        size = span_rows(columns)
        self.spans = -(-rows // size)
        place = functions.col("number")
        first = _of_list(starts, functions.shiftright(place, 33))
        number = first + place.bitwiseAND(functions.lit((1 << 33) - 1))
        span = functions.floor(functions.col("number") / size).cast("int")
        self.frame = (
            numbered.select(number.alias("number"), "vector")
            .repartition(self.spans, _of_list(keys_of_partitions(self.spans), span))
            .sortWithinPartitions("number")
            .persist(StorageLevel.DISK_ONLY)
        )

    def statistics(self):
        return self._ask(None, (("<f8", self.columns), ("<f4", self.columns), ("<f4", self.columns)))

    def products(self, mean, scale, vectors):
        question = _session.ship(self.session, pack_question(mean, scale, vectors))
        try:
            found = self._ask(question, (("<f8", vectors.size), ("<f8", self.columns)))
        finally:
            question.unpersist()
        return found[0].reshape(vectors.shape), found[1]

    def _ask(self, question, kinds):
        sums = _frames.map_in_arrow(self.frame, Sums(self.rows, self.columns, question), _SUMS, 4 * self.columns)
        slices = sum(-(-length * numpy.dtype(kind).itemsize // SLICE_BYTES) for kind, length in kinds)
        parts = max(1, min(slices, _session.parallelism(self.session)))
        together = sums.repartition(parts, "slice").sortWithinPartitions("slice", "span")
        totals = _frames.map_in_arrow(together, Fold(self.spans), _TOTALS, SLICE_BYTES)
        found = {}
        for batch in _session.batches_in_turn(totals):
            found.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist()))
        if sorted(found) != list(range(slices)):
            raise RuntimeError(f"{len(found)} slices instead of {slices}: please report this")
        arrays, at = [], 0
        for kind, length in kinds:
            count = -(-length * numpy.dtype(kind).itemsize // SLICE_BYTES)
            arrays.append(numpy.frombuffer(b"".join(found.pop(at + i) for i in range(count)), kind))
            at += count
        return arrays

    def fit(self, k):
        return fit_spans(self, self.rows, self.columns, k)

    def unpersist(self):
        self.frame.unpersist()


def _of_list(values, place):
    """The value of a list at a place, counted from 0, for each row."""
    return functions.element_at(
        functions.array(*(functions.lit(value) for value in values)), (place + functions.lit(1)).cast("int")
    )
