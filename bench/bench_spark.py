"""coulis.spark on a cluster of three workers of one core, beside Spark as people write it: ./run bench spark

    job       images -> ResNet50's last feature map (100,352 numbers) -> PCA(k) -> Parquet; beside it, on the same
              workers, Keras's ResNet50 in a pandas UDF and Spark ML's PCA. Both networks have drawn weights; both
              programs write the vectors, read them again, and write paths and scores, as `coulis run` does.
    pca       PCA of a matrix whose spectrum is known, made on the executors; agreement and memory. Of more than 16,384
              rows and columns (--rows 20000) also what each reading takes
    sparkml   shares and centring beside Spark ML's PCA, below and above 65,535 columns
    configurations   the job of emr/job.py on small images, under both configurations of emr/

Seconds are those of the work, without the start of Spark or of the Python workers. Rounds of the job are taken in
turns, and its figure is their median; in the first, Java still compiles what Spark runs.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPARK = pathlib.Path(os.environ.get("COULIS_SPARK", ROOT / "build" / "spark"))
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "spark")]

import numpy  # noqa: E402
import pyspark  # noqa: E402
from pyspark.ml import feature as spark_ml  # noqa: E402
from pyspark.ml.functions import array_to_vector  # noqa: E402
from pyspark.sql import SparkSession, functions  # noqa: E402
from servers import Cluster  # noqa: E402

from coulis.spark import PCA, ImageFeaturizer, _session, _wide  # noqa: E402

RANK = 40  # of the matrix with the known spectrum
WORKERS, MEMORY = 3, 2048  # of one core and so many MiB each


def start(cluster, **settings):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master(cluster.url)
        .appName("coulis bench")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.executor.memory", "1g")
        .config("spark.sql.shuffle.partitions", "6")
        .config("spark.driver.maxResultSize", "2g")
    )
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def peaks(cluster, spark):
    """Largest resident memory so far, in MiB, of the driver's Python and JVM, of all processes of a worker, and of its
    Java and Python alone."""

    def high(pid):
        try:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), 0) / 1024

    groups = {worker.process.pid: {"java": 0, "python": 0} for worker in cluster.workers}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            kind = "java" if (entry / "comm").read_text().strip() == "java" else "python"
            groups[os.getsid(int(entry.name))][kind] += high(entry.name)
        except (OSError, KeyError):  # ended, or of others
            pass
    return {
        "driver's Python": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "driver's JVM": high(spark.sparkContext._gateway.proc.pid),
        "worker": max(sum(group.values()) for group in groups.values()),
        "its Java": max(group["java"] for group in groups.values()),
        "its Python": max(group["python"] for group in groups.values()),
    }


# ---- the job ------------------------------------------------------------------------------------


def draw(folder, count, size=(640, 480)):
    from PIL import Image

    folder.mkdir()
    for number in range(count):
        rng = numpy.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=numpy.uint8))
        small.resize(size, Image.BICUBIC).save(folder / f"{number:05}.jpg")


def coulis_job(images, k, output):
    featurizer = ImageFeaturizer(model="resnet50", features="map", randomWeights=True)
    features = featurizer.transform(images).select("path", "features")
    features.write.parquet(f"{output}/features")
    features = images.sparkSession.read.parquet(f"{output}/features")
    PCA(k=k).fit(features).transform(features).select("path", "pca").write.parquet(f"{output}/reduced")


def keras_job(images, k, output):
    features = images.select("path", keras_udf()("content").alias("features"))
    features.write.parquet(f"{output}/features")
    features = images.sparkSession.read.parquet(f"{output}/features")
    vectors = features.select("path", array_to_vector("features").alias("features"))
    model = spark_ml.PCA(k=k, inputCol="features", outputCol="pca").fit(vectors)
    model.transform(vectors).select("path", "pca").write.parquet(f"{output}/reduced")


def keras_udf():
    def featurize(batches):
        import io

        import numpy as np
        import pandas as pd
        from keras.applications.resnet50 import ResNet50, preprocess_input
        from PIL import Image

        model = ResNet50(include_top=False, weights=None, input_shape=(224, 224, 3))

        def load(content):
            image = Image.open(io.BytesIO(content)).convert("RGB").resize((224, 224))
            return preprocess_input(np.array(image, "float32"))

        for batch in batches:
            images = np.stack([load(content) for content in batch])
            values = model.predict(images, verbose=0)
            yield pd.Series([row.flatten() for row in values])

    featurize.__annotations__ = keras_types()
    return functions.pandas_udf(featurize, "array<float>")


def keras_types():
    from collections.abc import Iterator

    import pandas

    return {"batches": Iterator[pandas.Series], "return": Iterator[pandas.Series]}


def job(cluster, spark, arguments, folder):
    drawn = folder / "images"
    draw(drawn, arguments.images)
    images = spark.read.format("binaryFile").load(f"file://{drawn}").repartition(6)
    # A batch of Keras is what Spark hands over: 16 images, as people set it when the executors run out of memory.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "16")
    programs = {"coulis": coulis_job, "Keras and Spark ML": keras_job}
    if arguments.only:
        programs = {name: run for name, run in programs.items() if name.startswith(arguments.only)}
    seconds = {name: [] for name in programs}
    for number in range(arguments.rounds):
        for name, run in programs.items():
            # The Python workers start, Keras is imported: Spark ends workers that had nothing to do for a minute.
            run(images.limit(6).repartition(6), 2, f"file://{folder}/warm-{name[0]}{number}")
            began = time.perf_counter()
            run(images, arguments.k, f"file://{folder}/{name[0]}{number}")
            seconds[name].append(time.perf_counter() - began)
            print(f"  round {number + 1} {name}: {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    print(f"\n{arguments.images} images, 100,352 numbers each, k = {arguments.k}, three workers of one core\n")
    print("| | seconds, median | each round | coulis is |\n| --- | ---: | ---: | ---: |")
    for name, values in seconds.items():
        ratio = statistics.median(values) / statistics.median(seconds.get("coulis", values))
        words = "" if name == "coulis" else f"{ratio:.1f} times as fast"
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"| {name} | {statistics.median(values):.1f} | {each} | {words} |")


# ---- PCA with a known answer ------------------------------------------------------------------------


def known_frame(spark, rows, cols):
    """Rows of U S V + mean, where U (cosines, so with mean 0) and V are orthonormal, and the shares they have.

    The mean leans towards the first component, so that it shows whether it was subtracted.
    """
    scale = numpy.sqrt(rows * cols) * 0.93 ** numpy.arange(RANK)

    def cosines(length, places):
        order = numpy.arange(1, RANK + 1)
        return numpy.sqrt(2 / length) * numpy.cos(numpy.pi * (numpy.asarray(places)[:, None] + 0.5) * order / length)

    def make(batches):
        import pyarrow

        left = cosines(cols, numpy.arange(cols))
        right, mean = (left * scale).T, 1 + left[:, 0] * numpy.sqrt(cols)
        for batch in batches:
            for first in range(0, batch.num_rows, 16):
                ids = batch.column(0).to_numpy()[first : first + 16]
                x = (cosines(rows, ids) @ right + mean).astype(numpy.float32)
                offsets = numpy.arange(0, x.size + 1, cols, dtype=numpy.int32)
                lists = pyarrow.ListArray.from_arrays(offsets, x.ravel())
                yield pyarrow.RecordBatch.from_arrays(
                    [pyarrow.array([f"{i:09}" for i in ids]), lists], ["path", "features"]
                )

    frame = spark.range(0, rows, 1, 12).mapInArrow(make, "path string, features array<float>")
    return frame, scale**2 / (scale**2).sum()


class Readings:
    """Notes what each reading of all rows takes: seconds, and bytes of the question; it is a job group of its own."""

    def __init__(self, spark):
        self.spark, self.taken, self.shipped = spark, [], 0

    def __enter__(self):
        self.ask, self.ship = _wide.WideRows._ask, _session.ship
        readings = self

        def ask(rows, question, kinds):
            readings.spark.sparkContext.setJobGroup(f"reading {len(readings.taken)}", "")
            began = time.perf_counter()
            found = readings.ask(rows, question, kinds)
            readings.taken.append((began, time.perf_counter(), readings.shipped if question else 0))
            readings.spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
            return found

        def ship(session, data, *more):
            readings.shipped = len(data)
            return readings.ship(session, data, *more)

        _wide.WideRows._ask, _session.ship = ask, ship
        return self

    def __exit__(self, *raised):
        _wide.WideRows._ask, _session.ship = self.ask, self.ship

    def report(self, events, began):
        """Prints them, with the bytes that the tasks of each moved, by Spark's log of events."""
        if not self.taken:
            return
        groups, moved = {}, {}
        for line in events.read_text().splitlines():
            event = json.loads(line)
            if event["Event"] == "SparkListenerJobStart":
                group = event["Properties"].get("spark.jobGroup.id")
                groups.update((stage["Stage ID"], group) for stage in event["Stage Infos"])
            elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                metrics = event["Task Metrics"]
                sums = moved.setdefault(groups.get(event["Stage ID"]), [0, 0, 0])
                sums[0] += metrics["Input Metrics"]["Bytes Read"]
                sums[1] += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                sums[2] += metrics["Result Size"]
        print("\n| | seconds | read, GB | between executors, GB | to the driver, MB | to each executor, MB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        before = [("before the first reading", self.taken[0][0] - began, 0, None)]
        rows = [(f"reading {i}", to - at, size, f"reading {i}") for i, (at, to, size) in enumerate(self.taken)]
        for name, seconds, shipped, group in before + rows:
            read, written, result = moved.get(group, [0, 0, 0])
            sizes = f"{read / 1e9:.1f} | {written / 1e9:.2f} | {result / 1e6:.1f} | {shipped / 1e6:.1f}"
            print(f"| {name} | {seconds:.1f} | {sizes} |")


def pca(cluster, spark, arguments, folder):
    spark.stop()
    (folder / "events").mkdir()
    log = {"enabled": "true", "dir": f"file://{folder}/events", "rolling.enabled": "false", "compress": "false"}
    spark = start(cluster, **{f"spark.eventLog.{name}": value for name, value in log.items()})
    frame, shares = known_frame(spark, arguments.rows, arguments.cols)
    began = time.perf_counter()
    with Readings(spark) as readings:
        model = PCA(k=arguments.k).fit(frame)
    seconds = time.perf_counter() - began
    truth = numpy.zeros(arguments.k)
    truth[:RANK] = shares[: arguments.k]
    wrong = abs(model.pca.explained_variance_ratio_ - truth).max()
    print(
        f"\n{arguments.rows} x {arguments.cols}, k = {arguments.k}: {seconds:.1f} s; "
        f"shares differ from the truth by at most {wrong:.1e}"
    )
    print("peak memory: " + ", ".join(f"{name} {size:.0f} MiB" for name, size in peaks(cluster, spark).items()))
    spark.stop()  # so that all events are in their file
    (events,) = (folder / "events").iterdir()
    readings.report(events, began)
    assert wrong < 1e-4


def sparkml(cluster, spark, arguments, folder):
    print("\n| rows x columns | | shares of the first three | sum of k = 3 | first score of row 0 |")
    print("| --- | --- | --- | ---: | ---: |")
    for rows, cols in ((60, 300), (60, 70000)):
        frame, shares = known_frame(spark, rows, cols)
        frame = frame.withColumn("features", array_to_vector("features")).persist()
        ours, same = (PCA(k=3, centred=centred).fit(frame) for centred in (True, False))
        theirs = spark_ml.PCA(k=3, inputCol="features", outputCol="pca").fit(frame)
        first = frame.where("path = '000000000'")
        for name, found, model in (
            ("truth", shares[:3], None),
            ("coulis", ours.explainedVariance.toArray(), ours),
            ("coulis, centred=False", same.explainedVariance.toArray(), same),
            ("Spark ML", theirs.explainedVariance.toArray(), theirs),
        ):
            score = "" if model is None else f"{list(model.transform(first).head().pca)[0]:.3f}"
            print(f"| {rows} x {cols} | {name} | {', '.join(f'{s:.5f}' for s in found)} | {sum(found):.5f} | {score} |")
        frame.unpersist()


# ---- the configurations for EMR -------------------------------------------------------------------------


def translated(file):
    """Spark's settings for these workers, in the proportions that a file of emr/ has on its nodes.

    A worker here is what a core node is there, with one core in place of eight. maximizeResourceAllocation makes one
    executor a node, of all cores, whose heap is the node's memory less 3/19 of it for what lies beside the heap
    (EMR's spark.executor.memoryOverheadFactor 0.1875), and a parallelism of twice the cores of all nodes. Set by
    hand, the heap has the share of memory : memory + memoryOverhead, an executor has the one core (a node's two
    executors cannot share it), and numbers that are the cores of all nodes become the cores of all workers. All else
    of Spark SQL stays as it is: batches, costs of opening a file, sizes.
    """
    parts = {part["Classification"]: part["Properties"] for part in json.loads(file.read_text())}
    given = parts["spark-defaults"]
    settings = {name: value for name, value in given.items() if name.startswith("spark.sql.")}
    if parts.get("spark", {}).get("maximizeResourceAllocation") == "true":
        share = 1 / 1.1875
        settings["spark.default.parallelism"] = 2 * WORKERS
        settings["spark.sql.shuffle.partitions"] = 200  # Spark's own, which the file leaves as it is
    else:
        heap, beside = (int(given[f"spark.executor.{name}"].rstrip("g")) for name in ("memory", "memoryOverhead"))
        share = heap / (heap + beside)
        for name in ("spark.sql.files.minPartitionNum", "spark.sql.shuffle.partitions"):
            settings[name] = WORKERS
    settings["spark.executor.memory"] = f"{int(share * MEMORY)}m"
    return settings


def emr_job(images, output):
    ImageFeaturizer().transform(images).drop("content").write.parquet(f"{output}/features")
    features = images.sparkSession.read.parquet(f"{output}/features")
    model = PCA(k=0.99).fit(features)
    model.transform(features).drop("features").write.parquet(f"{output}/reduced")


def configurations(cluster, spark, arguments, folder):
    spark.stop()
    draw(folder / "small", arguments.small, (100, 100))
    print(f"\n{arguments.small} images of 100 x 100, EfficientNet-Lite0, PCA to 99 %, three workers of one core\n")
    print("| | heap of an executor | tasks of the network | seconds | peak memory of a worker |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in ("maximize.json", "hand-tuned.json"):
        settings = translated(ROOT / "emr" / name)
        with_settings = start(cluster, **settings)
        images = with_settings.read.format("binaryFile").load(f"file://{folder}/small").drop("modificationTime")
        emr_job(images.limit(12).repartition(6), f"file://{folder}/{name}-warm")
        began = time.perf_counter()
        emr_job(images, f"file://{folder}/{name}-out")
        seconds = time.perf_counter() - began
        print(
            f"| `{name}` | {settings['spark.executor.memory'][:-1]} MiB | {images.rdd.getNumPartitions()} | "
            f"{seconds:.1f} | {peaks(cluster, with_settings)['worker']:.0f} MiB |",
            flush=True,
        )
        with_settings.stop()


PARTS = {"job": job, "pca": pca, "sparkml": sparkml, "configurations": configurations}


def main():
    parser = argparse.ArgumentParser(
        prog="./run bench spark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--small", type=int, default=300, help="images of the part `configurations`")
    parser.add_argument("-k", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="of the job")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--cols", type=int, default=100352)
    parser.add_argument("--only", help="of the job: the program whose name begins so")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="coulis-bench-") as folder:
        folder = pathlib.Path(folder)
        cluster = Cluster(pathlib.Path(pyspark.__file__).parent, "", folder, WORKERS, f"{MEMORY}m")
        try:
            for part in arguments.parts or PARTS:
                spark = start(cluster)
                PARTS[part](cluster, spark, arguments, folder)
                spark.stop()
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
