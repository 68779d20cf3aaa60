"""Columns of paths and URIs, encoded as Spark encodes them, and of Spark's own images."""

import shutil

import numpy
import pytest
from conftest import draw
from pyspark.sql import functions

import coulis
from coulis.spark import PCA, ImageFeaturizer

BUCKET = "coulis-odd-names"
# What a name may hold: what URIs encode, what looks encoded and is not, and what both readings have.
NAMES = ["plain.jpg", "x y.jpg", "K\u00fcrbis + 100%.jpg", "50%25.jpg", "a#b?.jpg", "deep er/%20/z.jpg"]


@pytest.fixture(scope="module")
def odd(s3, tmp_path_factory):
    """Images of odd names, here and in the bucket, and the vector of each."""
    folder = tmp_path_factory.mktemp("odd")
    draw(tmp_path_factory.mktemp("drawn"))
    some = sorted(tmp_path_factory.getbasetemp().glob("drawn*/*/*.jpg"))
    for number, name in enumerate(NAMES):
        target = folder / "odd" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(some[number], target)
    s3.upload(folder, BUCKET)
    vectors = coulis.Featurizer().featurize([folder / "odd" / name for name in NAMES])
    assert vectors.ok.all()
    return folder / "odd", {name: vectors.values[n].tobytes() for n, name in enumerate(NAMES)}


def found(frame, column="p"):
    rows = ImageFeaturizer(inputCol=column).transform(frame).collect()
    return [(row[column], row.status, row.error, row.features) for row in rows]


def check(rows, vectors):
    """Each image once, with its own vector."""
    assert [(status, error) for _, status, error, _ in rows] == [("ok", None)] * len(NAMES)
    got = [numpy.array(features, numpy.float32).tobytes() for *_, features in rows]
    assert sorted(got) == sorted(vectors.values())


@pytest.mark.parametrize("where", ["file", "s3a"])
@pytest.mark.parametrize("column", ["_metadata.file_path", "input_file_name", "path"])
def test_what_spark_calls_a_file_is_read(spark, odd, where, column):
    folder, vectors = odd
    place = f"file://{folder}" if where == "file" else f"s3a://{BUCKET}/odd"
    frame = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(place)
    name = functions.input_file_name() if column == "input_file_name" else functions.col(column)
    rows = found(frame.select(name.alias("p")))
    if column != "path":
        assert any("%20" in row[0] for row in rows)
    check(rows, vectors)


def test_plain_paths_are_never_decoded(spark, odd):
    folder, vectors = odd
    shutil.copyfile(folder / "plain.jpg", folder / "50%.jpg")  # what 50%25.jpg would be as a URI
    try:
        check(found(spark.createDataFrame([(str(folder / name),) for name in NAMES], "p string")), vectors)
        rows = found(spark.createDataFrame([(f"file://{folder}/50%25.jpg",), (f"{folder}/x%20y.jpg",)], "p string"))
        assert [row[1] for row in rows] == ["ok", "missing"]
        assert numpy.array(rows[0][3], numpy.float32).tobytes() == vectors["plain.jpg"]
    finally:
        (folder / "50%.jpg").unlink()


def test_what_is_not_there_is_missing(spark, odd):
    folder, _ = odd
    names = [f"{folder}/gone.jpg", f"file:///{folder}/gone%20too.jpg", f"s3a://{BUCKET}/odd/gone%20too.jpg", None]
    rows = found(spark.createDataFrame([(name,) for name in names], "p string"))
    assert [row[1] for row in rows] == ["missing"] * 4
    assert "gone.jpg" in rows[0][2] and "gone%20too.jpg" in rows[2][2] and "path is null" in rows[3][2]
    with pytest.raises(Exception, match="neither a path nor a URI"):
        found(spark.createDataFrame([("mailto:someone",)], "p string"))


def test_names_with_dots_of_columns(spark, odd):
    folder, vectors = odd
    frame = spark.createDataFrame([(str(folder / name),) for name in NAMES], "`image.path` string")
    rows = ImageFeaturizer(inputCol="image.path", outputCol="img.features").transform(frame)
    scores = PCA(k=2, inputCol="img.features", outputCol="img.pca", orderCol="image.path").fit(rows).transform(rows)
    assert len(scores.collect()[0]["img.pca"]) == 2
    vectors = ImageFeaturizer(inputCol="image.path", outputCol="a.b", outputType="vector").transform(frame)
    assert len(vectors.collect()[0]["a.b"]) == 1280


def test_sparks_images(spark, tmp_path):
    """Spark decodes a JPEG by itself; of a PNG its pixels are the file's."""
    from PIL import Image

    rng = numpy.random.default_rng(3)
    shapes = [(30, 40, 3), (20, 21), (17, 9, 4)]
    for number, shape in enumerate(shapes):
        pixels = rng.integers(0, 256, shape, dtype=numpy.uint8)
        if shape[-1] == 4:
            pixels[..., 3] = 255  # Java's reader multiplies by alpha
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    frame = spark.read.format("image").load(f"file://{tmp_path}")
    rows = ImageFeaturizer(inputCol="image").transform(frame).collect()
    rows = {row.image.origin.rsplit("/")[-1]: row for row in rows}
    with coulis.Featurizer() as featurizer:
        for number in range(len(shapes)):
            wanted = featurizer.featurize(tmp_path / f"{number}.png").values
            assert numpy.array(rows[f"{number}.png"].features, numpy.float32).tobytes() == wanted.tobytes(), number
    schema = frame.schema
    bad = spark.createDataFrame([(("x", 3, 3, 3, 16, bytearray(5)),), (None,), (("y", 3, 3, 3, 16, None),)], schema)
    rows = ImageFeaturizer(inputCol="image").transform(bad).collect()
    assert [row.status for row in rows] == ["unreadable", "missing", "missing"] and "x has pixels" in rows[0].error
