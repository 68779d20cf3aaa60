"""The whole job on a cluster of three workers, from S3 to S3, against the bytes of `coulis run`."""

import os
import runpy
import subprocess
import sys
import threading
import time

import numpy
import pytest
from conftest import BUCKET, REPOSITORY
from pyspark.sql import functions
from servers import wait_for

from coulis.spark import PCA, ImageFeaturizer, PCAModel, _frames

HANGS = 600  # seconds
FOLDER = f"s3a://{BUCKET}/pictures"


def job(spark, source, output, first=lambda images: images):
    """What docs/spark.md tells people to write; `first` is done with the images before it."""
    images = first(spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(source))
    features = ImageFeaturizer(inputCol="content", outputCol="features").transform(images).drop("content")
    features.write.parquet(f"{output}/features")
    features = spark.read.parquet(f"{output}/features")
    model = PCA(k=0.99, inputCol="features", outputCol="pca").fit(features)
    model.transform(features).drop("features").write.parquet(f"{output}/reduced")
    model.save(f"{output}/model")
    return model


def rows_of(spark, path, source):
    return {row["path"][len(source) + 1 :]: row for row in spark.read.parquet(path).collect()}


def same(numbers, others):
    """Whether two vectors have the same bytes; None equals None."""
    if numbers is None or others is None:
        return numbers is others
    return numpy.array(numbers, numpy.float32).tobytes() == numpy.array(others, numpy.float32).tobytes()


def check(spark, source, output, expected, model):
    rows, pca = expected
    found, vectors = (rows_of(spark, f"{output}/{kind}", source) for kind in ("reduced", "features"))
    assert found.keys() == rows.keys() == vectors.keys()
    for path, row in rows.items():
        assert found[path].status == row["status"], path
        assert (found[path].error is None) == (row["status"] == "ok"), path
        assert same(vectors[path].features, row["features"]), path
        assert same(found[path].pca, row["pca"]), path
    check_components(model.pca, pca)


def check_components(found, wanted):
    for name in ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"):
        assert getattr(found, name).tobytes() == getattr(wanted, name).tobytes(), name


@pytest.fixture(scope="module")
def done(spark, image_folder):
    """The job's model, and where its result lies."""
    output = f"s3a://{BUCKET}/out"
    return job(spark, FOLDER, output), output


@pytest.mark.connect
def test_same_bytes_as_the_command(spark, done, expected):
    model, output = done
    check(spark, FOLDER, output, expected, model)


def test_three_executors_of_their_own_python(spark):
    def where(batches):
        import importlib.util
        import os
        import sys

        import pyarrow

        import coulis

        list(batches)
        place = [os.getcwd(), sys.executable, coulis.__file__, str(importlib.util.find_spec("PIL"))]
        yield pyarrow.RecordBatch.from_arrays([pyarrow.array([value]) for value in place], ["a", "b", "c", "d"])

    empty = spark.range(0, 6, 1, 6).select(*[functions.lit("").alias(name) for name in "abcd"])
    found = {tuple(row) for row in _frames.map_in_arrow(empty, where, empty.schema, 100).collect()}
    assert len({row[0] for row in found}) == 3  # each executor has a folder of its own
    for _, python, package, pillow in found:
        assert python != sys.executable
        assert package.startswith(python.rsplit("/bin/", 1)[0])
        assert pillow == "None"  # an environment without what the tests need


@pytest.mark.connect
def test_model_saved_on_s3_is_read_again(spark, done):
    model, output = done
    again = PCAModel.load(f"{output}/model")
    assert again.uid == model.uid
    assert again.extractParamMap() == {again.getParam(p.name): v for p, v in model.extractParamMap().items()}
    assert again.pca.components_.tobytes() == model.pca.components_.tobytes()


@pytest.mark.connect
def test_s3_scheme_and_paths_that_executors_read(spark, done, expected, image_folder):
    """s3:// is mapped as on EMR; and the path column alone gives the same vectors."""
    rows, _ = expected
    chosen = sorted(rows)[::50]
    frame = spark.createDataFrame([(f"s3://{BUCKET}/pictures/{path}",) for path in [*chosen, "nowhere.jpg"]], ["path"])
    by_path = ImageFeaturizer(inputCol="path").transform(frame)
    found = {row.path.partition("/pictures/")[2]: row for row in by_path.collect()}
    assert found.pop("nowhere.jpg").status == "missing"
    for path in chosen:
        assert found[path].status == rows[path]["status"] and same(found[path].features, rows[path]["features"]), path
    images = spark.read.format("binaryFile").load([f"s3://{BUCKET}/pictures/{path}" for path in chosen[:3]])
    for row in ImageFeaturizer().transform(images).collect():
        assert same(row.features, rows[row.path.partition("/pictures/")[2]]["features"])


def test_the_job_for_emr(spark, image_folder, expected, monkeypatch):
    """emr/job.py as is, on this session: the rows and the model of `coulis run`, and the folder as label."""
    output = f"s3a://{BUCKET}/emr"
    monkeypatch.setattr(sys, "argv", ["job.py", FOLDER, output, "--components", "0.99"])
    monkeypatch.setattr(type(spark), "stop", lambda self: None)  # the other tests go on with it
    runpy.run_path(str(REPOSITORY / "emr" / "job.py"), run_name="__main__")
    monkeypatch.undo()
    check(spark, FOLDER, output, expected, PCAModel.load(f"{output}/pca"))
    for path, row in rows_of(spark, f"{output}/reduced", FOLDER).items():
        assert row.label == path.split("/")[-2]


def test_shards_of_the_command(spark, image_folder, expected, tmp_path):
    """The vectors of `coulis run --shard` on two machines, read as one frame, give the components of the whole."""
    for share in "12":
        command = [os.environ["COULIS_COMMAND"], "run", image_folder, "-o", tmp_path / share, "--quiet"]
        done = subprocess.run([*command, "--shard", f"{share}/2", "--rows-per-file", "50"])
        assert done.returncode in (0, 3)  # 3: some images are none
    frame = spark.read.parquet(*(f"file://{tmp_path}/{share}/features" for share in "12"))
    model = PCA(k=0.99).fit(frame)
    rows, pca = expected
    check_components(model.pca, pca)
    found = model.transform(frame).select("path", "pca").collect()
    assert len(found) == len(rows)
    for path, scores in found:
        assert same(scores, rows[path[len(str(image_folder)) + 1 :]]["pca"]), path


@pytest.mark.connect
def test_a_task_that_hangs_is_done_elsewhere(spark, image_folder, expected):
    """Speculation: of a task's two attempts the second ends first, and each image comes once."""

    def hang_once(batches):
        import time

        from pyspark import TaskContext

        if (TaskContext.get().partitionId(), TaskContext.get().attemptNumber()) == (0, 0):
            time.sleep(HANGS)
        yield from batches

    output, began = f"s3a://{BUCKET}/speculation", time.monotonic()
    model = job(spark, FOLDER, output, lambda images: _frames.map_in_arrow(images, hang_once, images.schema, 1 << 18))
    assert time.monotonic() - began < HANGS
    check(spark, FOLDER, output, expected, model)


def test_a_worker_is_killed_in_the_middle(spark, cluster, image_folder, expected):
    output = f"s3a://{BUCKET}/killed"
    result = {}

    def work():
        try:
            result["model"] = job(spark, FOLDER, output)
        except Exception as error:
            result["error"] = error

    thread = threading.Thread(target=work)
    thread.start()
    tracker = spark.sparkContext.statusTracker()

    def at_work():
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage and stage.numCompletedTasks >= 1 and stage.numActiveTasks >= 2 for stage in stages)

    wait_for("tasks at work", at_work)
    cluster.kill_worker(0)
    thread.join()
    assert "error" not in result, result
    check(spark, FOLDER, output, expected, result["model"])
