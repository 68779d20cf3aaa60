"""Rows and columns too many for a matrix: they stay on the executors, and give the bytes of one machine."""

import os
import shutil

import numpy
import pytest
from conftest import kept
from test_pca import SCHEMA, assert_same, frame_of, make

import coulis
from coulis.spark import PCA, _frames, _wide
from coulis.spark import pca as stage

ROWS, COLUMNS = 35000, 24  # three spans of 16,384 rows


@pytest.fixture
def as_if_wide(monkeypatch):
    """As if no matrix could be made of so few rows and columns."""
    monkeypatch.setattr(stage, "FEW_BYTES", 0)
    monkeypatch.setattr(stage, "MOMENTS_COLUMNS", 0)
    monkeypatch.setattr(stage, "EXACT_SIDE", 0)


@pytest.fixture(scope="module")
def many(spark, tmp_path_factory):
    """Rows in no order, from files, as createDataFrame would send each number by itself."""
    import pyarrow
    import pyarrow.parquet

    x, folder = make(ROWS, COLUMNS), tmp_path_factory.mktemp("wide")
    order = numpy.random.default_rng(3).permutation(ROWS)
    vectors = pyarrow.ListArray.from_arrays(numpy.arange(ROWS + 1, dtype=numpy.int32) * COLUMNS, x[order].reshape(-1))
    table = pyarrow.table({"path": [f"{number:06}" for number in order], "features": vectors})
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    return spark.read.parquet(f"file://{folder}"), x


@pytest.mark.connect
@pytest.mark.parametrize("k, parts", [(4, 3), (0.9, 1)])
def test_gives_the_bytes_of_one_machine(spark, many, as_if_wide, k, parts):
    """0.9: a skewed frame, all of whose rows are in one partition."""
    frame, x = many
    before = kept(spark)  # by other tests
    pca = PCA(k=k).fit(frame.repartition(parts)).pca
    expected = coulis.PCA(k, solver="randomized").fit(x)
    assert_same(pca, expected)
    assert (pca.solver_, pca.error_bound_) == ("randomized", expected.error_bound_) and pca.error_bound_ > 0
    assert kept(spark) == before


@pytest.mark.connect
def test_tasks_that_fail_are_tried_again(spark, as_if_wide):
    """Each of a frame's tasks, the first time: also where Spark has kept nothing of what it gave."""

    def fail_once(batches):
        from pyspark import TaskContext

        if TaskContext.get().attemptNumber() == 0:
            raise OSError("this machine is going down")
        yield from batches

    x = make(900, 30)
    frame = frame_of(spark, x, [f"{i:04}" for i in range(900)], 3)
    pca = PCA(k=5).fit(_frames.map_in_arrow(frame, fail_once, frame.schema, 120)).pca
    assert_same(pca, coulis.PCA(5, solver="randomized").fit(x))


def test_few_spans_of_wide_rows(spark, as_if_wide):
    x = make(600, 500)
    assert_same(
        PCA(k=5).fit(frame_of(spark, x, [f"{i:04}" for i in range(600)])).pca, coulis.PCA(5, solver="randomized").fit(x)
    )


def test_each_span_has_a_partition_of_its_own(spark):
    for count in (1, 3, 40):
        keys = _wide.keys_of_partitions(count)
        frame = spark.createDataFrame([(key,) for key in keys], "key int").repartition(count, "key")
        places = frame.selectExpr("key", "spark_partition_id() AS place").collect()
        assert {row.key: row.place for row in places} == {key: place for place, key in enumerate(keys)}


def test_more_components_than_it_finds_are_a_sentence(spark, as_if_wide):
    with pytest.raises(coulis.Error, match="components asked for"):
        PCA(k=25).fit(spark.createDataFrame([(str(i), [float(i)] * 24) for i in range(9)], SCHEMA))


def make_spectrum(rows, columns, rank):
    """What makes rows of a known spectrum of their numbers: cosines of `rank` frequencies are at right angles to one
    another, over the rows and over the columns, and add up to 0."""

    def work(batches):
        import numpy
        import pyarrow

        frequencies = numpy.arange(1, rank + 1)
        right = numpy.cos(numpy.pi * frequencies[:, None] * (numpy.arange(columns) + 0.5) / columns)
        right *= (0.8 ** (frequencies - 1))[:, None]
        for batch in batches:
            for first in range(0, batch.num_rows, 16):
                piece = batch.slice(first, 16)
                ids = numpy.asarray(piece.column(0))
                left = numpy.cos(numpy.pi * frequencies * (ids[:, None] + 0.5) / rows)
                flat = pyarrow.array((left @ right).astype(numpy.float32).reshape(-1))
                ends = pyarrow.array(numpy.arange(len(ids) + 1, dtype=numpy.int32) * columns)
                yield pyarrow.RecordBatch.from_arrays(
                    [*piece.columns, pyarrow.ListArray.from_arrays(ends, flat)], [*piece.schema.names, "features"]
                )

    return work


@pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="up to 8 GB of rows: COULIS_TEST_LONG=1")
@pytest.mark.parametrize("rows, columns", [(16500, 16400), (20000, 100352)])
def test_the_shares_of_a_known_spectrum(spark, tmp_path, rows, columns):
    """As it comes: both sides are too many for a matrix."""
    rank, wanted_disk = 40, 20 * rows * columns
    if shutil.disk_usage(tmp_path).free < 1.2 * wanted_disk:
        pytest.skip(f"the executors need {wanted_disk >> 30} GiB of disk: docs/spark-pca.md")
    frame = spark.range(0, rows, 1, 120).selectExpr("id", "format_string('%06d', id) AS path")
    schema = _frames.with_fields(frame.schema, features=SCHEMA["features"].dataType)
    made = _frames.map_in_arrow(frame, make_spectrum(rows, columns, rank), schema, 8 * columns).drop("id")
    pca = PCA(k=10).fit(made).pca
    wanted = 0.8 ** (2 * numpy.arange(rank))
    assert abs(pca.explained_variance_ratio_ - wanted[:10] / wanted.sum()).max() < 1e-4
    assert pca.solver_ == "randomized" and pca.error_bound_ < 1e-3
