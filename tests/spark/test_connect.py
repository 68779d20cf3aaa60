"""coulis.spark by a client of Spark Connect, on executors that come and go, whose slow tasks run twice: the bytes of
one machine."""

import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from conftest import REPOSITORY, SPARK, draw, needed
from servers import Process, answers, free_port, wait_for
from test_pca import make

import coulis

ROWS = 5000  # five leaves of 1,024 rows


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of Spark Connect with two executors, whose Python has NumPy, pyarrow and our wheel."""
    import pyspark

    home, folder, port = Path(pyspark.__file__).parent, tmp_path_factory.mktemp("connect"), free_port()
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTHON", "COULIS", "SPARK", "PYSPARK", "AWS"))}
    environment.update(SPARK_HOME=str(home), SPARK_LOCAL_IP="127.0.0.1",
                       PYSPARK_PYTHON=str(needed(SPARK / "worker" / "bin" / "python")))
    command = [home / "bin" / "spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
               "--master", "local-cluster[2,1,640]", "--driver-memory", "640m"]
    for setting in (f"spark.connect.grpc.binding.port={port}", "spark.ui.enabled=false", "spark.executor.memory=640m",
                    "spark.sql.shuffle.partitions=4", f"spark.sql.warehouse.dir={folder}",
                    "spark.dynamicAllocation.enabled=true", "spark.dynamicAllocation.maxExecutors=2",
                    "spark.dynamicAllocation.executorIdleTimeout=2s", "spark.speculation=true",
                    "spark.speculation.quantile=0.3", "spark.speculation.multiplier=1.1",
                    "spark.speculation.minTaskRuntime=0ms", "spark.speculation.interval=50ms"):
        command += ["--conf", setting]
    process = Process([*command, "spark-internal"], folder / "server.log", environment)
    wait_for("the server of Spark Connect", lambda: answers(port) or process.process.poll() is not None)
    yield f"sc://127.0.0.1:{port}"
    process.kill()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    draw(folder)
    (folder / "red" / "none.jpg").write_bytes(b"These are words.")
    return folder


@pytest.fixture(scope="module")
def found(server, images, tmp_path_factory):
    """What the client found."""
    folder = tmp_path_factory.mktemp("client")
    numpy.save(folder / "x.npy", make(ROWS))
    environment = {**os.environ, "PYTHONPATH": f"{needed(SPARK / 'connect')}:{REPOSITORY / 'python'}"}
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "connect_program.py", server, images, folder / "x.npy",
         folder / "out.npz", folder / "model"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    return numpy.load(folder / "out.npz")


def assert_same(found, name, pca):
    for field in ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"):
        assert found[f"{name}.{field}"].tobytes() == getattr(pca, field).tobytes(), (name, field)


def test_images_have_the_bytes_of_one_machine(found, images):
    paths = sorted(images.rglob("*.jpg"))
    with coulis.Featurizer() as featurizer:
        result = featurizer.featurize(paths)
    assert [path.partition(":")[2].lstrip("/") for path in found["features.paths"]] == [str(p)[1:] for p in paths]
    assert (found["features.null"] == ~result.ok).all() and not result.ok.all()
    expected = result.values[result.ok]
    assert found["features"].tobytes() == expected.tobytes() == found["sql"].tobytes()
    pca = coulis.PCA(3).fit(expected)
    assert_same(found, "of images", pca)
    assert found["scores"].tobytes() == pca.transform(expected).tobytes()
    assert str(found["recipe"]) == result.recipe["model"]


@pytest.mark.parametrize("name, k, rows, columns", [
    ("few", 0.99, ROWS, 12), ("many", 0.99, ROWS, 12), ("again", 0.99, ROWS, 12), ("wide", 4, 8, 12)])
def test_components_have_the_bytes_of_one_machine(found, name, k, rows, columns):
    assert_same(found, name, coulis.PCA(k).fit(make(ROWS)[:rows, :columns]))


def test_spans_have_the_bytes_of_one_machine(found):
    assert_same(found, "spans", coulis.PCA(4, solver="randomized").fit(make(ROWS)))


def test_nan_is_told_by_the_row(found):
    assert str(found["nan"]) == "the vector of a has nan at place 1; leave such rows out"
