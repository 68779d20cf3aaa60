"""Images by a folder, by a list of paths, as a stream, and by a function of SQL: the same vectors."""

import csv
import json
import subprocess

import pytest
from conftest import BUCKET, REPOSITORY, draw
from pyspark.sql import functions

import coulis
from coulis.spark import ImageFeaturizer, PCAModel, inputs, read_manifest, read_pictures, register_functions


@pytest.fixture(scope="module")
def folder(s3, tmp_path_factory):
    """Images drawn here, and one file that is none; in a bucket of their own, too."""
    made = tmp_path_factory.mktemp("listed") / "listed"
    draw(made)
    (made / "red" / "none.jpg").write_bytes(b"These are words.")
    s3.upload(made.parent, BUCKET + "-listed")
    return made


@pytest.fixture(scope="module")
def expected(folder):
    paths = sorted(folder.rglob("*.jpg"))
    with coulis.Featurizer() as featurizer:
        result = featurizer.featurize(paths)
    return {
        str(path.relative_to(folder)): vector.tobytes() if ok else None
        for path, vector, ok in zip(paths, result.values, result.ok)
    }


def found(frame, column="features"):
    """The bytes of each vector by the path in the folder."""
    import numpy

    rows = frame.select("path", column).collect()
    return {
        path.partition("/listed/")[2]: vector and numpy.array(vector, numpy.float32).tobytes() for path, vector in rows
    }


@pytest.mark.connect
def test_small_images_make_few_tasks(spark, folder, expected):
    """25 files of some KB: Spark's own 4 MiB for each, spread over three cores, would give a task nine of them."""
    key = "spark.sql.files.openCostInBytes"
    kept = spark.conf.get(key)
    try:
        images = read_pictures(spark, f"file://{folder}")
        assert spark.conf.get(key) == str(inputs.OPEN_COST)
        assert found(ImageFeaturizer().transform(images)) == expected
        spark.conf.set(key, "1000000")
        read_pictures(spark, f"file://{folder}")
        assert spark.conf.get(key) == "1000000"  # somebody's own
    finally:
        spark.conf.set(key, kept)


@pytest.mark.connect
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_list_of_the_command_is_the_input(spark, s3, folder, expected, tmp_path, kind):
    listed = tmp_path / f"paths.{'csv' if kind == 'jsonl' else kind}"
    done = subprocess.run(
        [REPOSITORY / "build" / "coulis", "list", f"s3://{BUCKET}-listed/listed", "-o", listed],
        env=s3.environment(PATH="/usr/bin"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if kind == "jsonl":  # which other programs write
        rows = csv.DictReader(listed.read_text().splitlines())
        listed = listed.with_suffix(".jsonl")
        listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    images = read_manifest(spark, f"file://{listed}", images_per_task=10)
    assert images.select(functions.spark_partition_id()).distinct().count() == 3 and {"path", "label"} <= set(
        images.columns
    )
    assert found(ImageFeaturizer(inputCol="path").transform(images)) == expected


def test_a_list_without_paths_is_a_sentence(spark, tmp_path):
    (tmp_path / "other.csv").write_text("name\na.jpg\n")
    with pytest.raises(ValueError, match="there is no column 'path'"):
        read_manifest(spark, f"file://{tmp_path}/other.csv")


@pytest.mark.connect
def test_a_function_of_sql(spark, folder, expected):
    register_functions(spark)
    read_pictures(spark, f"file://{folder}").createOrReplaceTempView("listed")
    frame = spark.sql("SELECT path, coulis_features(content) AS features FROM listed")
    assert found(frame) == expected
    by_path = spark.sql("SELECT path, coulis_features(path) AS features FROM listed")
    assert found(by_path) == expected
    with pytest.raises(TypeError, match="no outputCol"):
        register_functions(spark, outputCol="x")
    with pytest.raises(coulis.Error, match="nothing-such"):
        register_functions(spark, model="nothing-such")


@pytest.mark.connect
def test_images_as_they_come(spark, folder, expected, tmp_path):
    """Structured streaming: vectors and their scores of a folder that is watched."""
    with coulis.Featurizer() as featurizer:
        model = PCAModel(coulis.PCA(2).fit(featurizer.featurize(sorted(folder.glob("green/*.jpg")))))
    still = spark.read.format("binaryFile").load(f"file://{folder}/red")
    stream = (
        spark.readStream.format("binaryFile")
        .schema(still.schema)
        .option("maxFilesPerTrigger", 10)
        .option("recursiveFileLookup", "true")
        .load(f"file://{folder}")
    )
    scored = model.transform(ImageFeaturizer().transform(stream).drop("content"))
    query = (
        scored.writeStream.format("parquet")
        .option("path", f"file://{tmp_path}/out")
        .option("checkpointLocation", f"file://{tmp_path}/state")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    written = spark.read.parquet(f"file://{tmp_path}/out")
    assert found(written) == expected
    assert found(written, "pca") == found(
        model.transform(ImageFeaturizer().transform(read_pictures(spark, f"file://{folder}"))), "pca"
    )
