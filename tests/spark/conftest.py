"""What the tests of coulis.spark share: a cluster of three workers, an S3 server, images, and the command's answer.

All is made by `./run test spark`, in build/spark.
"""

import importlib.util
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "python"))
SPARK = Path(os.environ.get("COULIS_SPARK", REPOSITORY / "build" / "spark"))
CONNECT = importlib.util.find_spec("grpc") is not None  # build/spark/connect, a client of Spark Connect
BUCKET = "coulis-pictures"
MANY = 300  # of fruits-360
FEW = 24  # drawn here, where that is missing

if (REPOSITORY / "build" / "models").is_dir():
    os.environ.setdefault("COULIS_MODELS", str(REPOSITORY / "build" / "models"))

import coulis  # noqa: E402
from servers import S3, Cluster  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "connect: runs through Spark Connect, too")


def pytest_collection_modifyitems(config, items):
    """Spark Connect runs the tests that are marked with it; a classic session, all."""
    if CONNECT:
        left = [item for item in items if not item.get_closest_marker("connect")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def kept(spark):
    """How many frames are persisted; unknown to a client of Spark Connect."""
    return None if CONNECT else spark.sparkContext._jsc.getPersistentRDDs().size()


def needed(path):
    if not path.exists():
        pytest.skip(f"no {path}: ./run test spark makes it")
    return path


def draw(folder):
    """Images like photographs, the same each time."""
    import numpy
    from PIL import Image

    for number in range(FEW):
        rng = numpy.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=numpy.uint8))
        name = folder / ("red", "green")[number % 2] / f"{number:02}.jpg"
        name.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((100, 100 + number), Image.BICUBIC).save(name)


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    server = S3(needed(SPARK / "bin" / "versitygw"), tmp_path_factory.mktemp("s3"))
    yield server
    server.server.kill()


@pytest.fixture(scope="session")
def image_folder(s3, tmp_path_factory):
    """A folder of images: of fruits-360, else drawn; and some that are none. In the bucket it is `pictures`."""
    folder = tmp_path_factory.mktemp("local") / "pictures"
    fruits = Path(os.environ.get("COULIS_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "fruits-360" / "test"
    if fruits.is_dir():
        chosen = random.Random(7).sample(sorted(fruits.glob("*/*.jpg")), MANY)
        for path in chosen:
            target = folder / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    else:
        draw(folder)
    whole = min(folder.rglob("*.jpg"))
    (folder / "bad").mkdir()
    (folder / "bad" / "cut short.jpg").write_bytes(whole.read_bytes()[:300])
    (folder / "bad" / "no image.jpg").write_bytes(b"These are words.")
    s3.upload(folder.parent, BUCKET)
    return folder


@pytest.fixture(scope="session")
def expected(image_folder, tmp_path_factory):
    """What `coulis run` gives for the images: rows of its two tables by path within the folder, and the PCA."""
    output = tmp_path_factory.mktemp("command") / "out"
    command = needed(Path(os.environ.get("COULIS_COMMAND", REPOSITORY / "build" / "coulis")))
    done = subprocess.run([command, "run", image_folder, "-o", output, "--quiet"], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr  # some images are none
    rows = {}
    for kind, column in (("features", "features"), ("reduced", "pca")):
        for row in coulis.read_table(output, kind).to_pylist():
            rows.setdefault(row["path"][len(str(image_folder)) + 1 :], {"status": row["status"]})[column] = row[column]
    return rows, coulis.PCA.load(output / "pca.safetensors")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    import pyspark

    if not shutil.which("java"):
        pytest.skip("no java: ./run test spark installs it")
    running = Cluster(Path(pyspark.__file__).parent, "-Dspark.worker.timeout=60", tmp_path_factory.mktemp("cluster"))
    yield running
    running.stop()


def settings_of(s3, **hadoop):
    """Spark's settings for three executors, whose Python has NumPy, pyarrow and our wheel, and nothing else."""
    os.environ["PYSPARK_PYTHON"] = str(needed(SPARK / "worker" / "bin" / "python"))
    settings = {
        "spark.executor.memory": "700m",
        "spark.driver.memory": "700m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "6",
        "spark.jars": ",".join(str(jar) for jar in sorted(needed(SPARK / "ivy" / "jars").glob("*.jar"))),
        "spark.driver.host": "127.0.0.1",
        # A task that takes longer than others is tried on another machine, too; whichever ends first counts.
        "spark.speculation": "true",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.minTaskRuntime": "3s",
        **s3.hadoop(**hadoop),
    }
    # The executors read paths themselves with these.
    settings.update({f"spark.executorEnv.{name}": value for name, value in s3.environment().items()})
    return settings


def new_session(cluster, s3, **hadoop):
    """A driver with three executors."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(cluster.url).appName("coulis tests")
    for name, value in settings_of(s3, **hadoop).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


@pytest.fixture(scope="session")
def spark(cluster, s3):
    """A classic session; in the Python of a client of Spark Connect, one of a server, without Java on this side."""
    if not CONNECT:
        session = new_session(cluster, s3)
        yield session
        session.stop()
        return
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    server = cluster.connect_server(settings_of(s3))
    session = SparkSession.builder.remote(server.url).getOrCreate()
    yield session
    session.stop()
    server.kill()
    assert SparkContext._gateway is None
