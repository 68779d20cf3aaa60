"""What a session can do: a classic one, with Java beside it, and one of Spark Connect, which has but a server."""

import hashlib
import os
import tempfile

import pyarrow
import pyspark

from . import _worker

ROWS_BYTES = 16 << 20  # of rows that are put into one batch, or of a file's bytes in one row
_LARGE = "spark.sql.execution.arrow.useLargeVarTypes"


def is_connect(session):
    """Whether a session is one of Spark Connect: without SparkContext, and without Java on this side."""
    return ".connect." in type(session).__module__


def parallelism(session):
    """Tasks that the cluster can well use at a time, or so."""
    if is_connect(session):
        return int(session.conf.get("spark.sql.shuffle.partitions"))
    return session.sparkContext.defaultParallelism


def ahead(session):
    """Arguments of ``toLocalIterator``, so that the next partition is on its way while one is read."""
    return {} if is_connect(session) else {"prefetchPartitions": True}


# ---- rows to this side ------------------------------------------------------------------


def _messages(frame):
    """The partitions of a frame as an RDD of Arrow messages, and their schema.

    ``toLocalIterator`` of a classic frame gives rows that were pickled in the JVM, where each byte above 127 of a
    binary column becomes two, and the whole costs several times what Arrow takes.
    """
    from pyspark import RDD
    from pyspark.serializers import NoOpSerializer
    from pyspark.sql.pandas.types import to_arrow_schema

    session = frame.sparkSession
    large = pyspark.__version__ >= "4" and session.conf.get(_LARGE, "false") == "true"
    schema = to_arrow_schema(frame.schema, **({"prefers_large_types": True} if large else {}))
    return RDD(frame._jdf.toArrowBatchRdd().toJavaRDD(), session.sparkContext, NoOpSerializer()), schema


def _batches(messages, schema):
    for message in messages:
        yield pyarrow.ipc.read_record_batch(pyarrow.py_buffer(message), schema)


def batches_in_turn(frame):
    """The rows of a frame as Arrow batches, one partition after another."""
    if not is_connect(frame.sparkSession):
        messages, schema = _messages(frame)
        yield from _batches(messages.toLocalIterator(prefetchPartitions=True), schema)
        return
    rows, held = [], 0
    for row in frame.toLocalIterator():  # Arrow's, from the server
        rows.append(tuple(row))
        held += sum(len(value) for value in row if isinstance(value, (bytes, bytearray)))
        if held >= ROWS_BYTES:
            yield _batch_of(frame, rows)
            rows, held = [], 0
    if rows:
        yield _batch_of(frame, rows)


def _batch_of(frame, rows):
    return pyarrow.RecordBatch.from_arrays([pyarrow.array(values) for values in zip(*rows)], frame.columns)


def batches_with_share(frame, at_once):
    """The rows of a frame as Arrow batches, all in one job of a classic session, whose tasks find in the local property
    `_worker.SHARE` what each may send of `at_once` bytes. With Connect the property cannot be set: nothing may be
    sent."""
    session = frame.sparkSession
    if is_connect(session):
        return frame.toArrow().to_batches()
    messages, schema = _messages(frame)
    context = session.sparkContext
    context.setLocalProperty(_worker.SHARE, str(at_once // max(1, messages.getNumPartitions())))
    try:
        return list(_batches(messages.collect(), schema))
    finally:
        context.setLocalProperty(_worker.SHARE, None)


def all_batches(frame):
    """All rows of a frame of few bytes as Arrow batches, in one job."""
    if is_connect(frame.sparkSession):
        return frame.toArrow().to_batches()
    messages, schema = _messages(frame)
    return list(_batches(messages.collect(), schema))


# ---- bytes to the executors ----------------------------------------------------------------


def ship(session, data, in_function=False):
    """`data` for the executors: something with `value`, which goes to each of them once, and `unpersist`. With Connect,
    in_function has it travel inside the function that uses it."""
    if not is_connect(session):
        return session.sparkContext.broadcast(data)
    if in_function:
        return _worker.Inside(data)
    name = f"coulis-{hashlib.sha256(data).hexdigest()}"
    shipped = session.__dict__.setdefault("_coulis_shipped", set())  # an artifact cannot be added again
    if name not in shipped:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(data)
            session.addArtifacts(path, file=True)
        shipped.add(name)
    return _worker.Artifact(name)


# ---- a file beside a model's metadata ----------------------------------------------------------


def write_file(session, data, path, name):
    """Writes `data` as a file of this name; with Connect, whose client can write no file, as a table in ``data``."""
    if is_connect(session):
        rows = [(at, data[at : at + ROWS_BYTES]) for at in range(0, len(data), ROWS_BYTES)]
        session.createDataFrame(rows, "at long, bytes binary").coalesce(1).write.parquet(os.path.join(path, "data"))
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, name)
        with open(local, "wb") as file:
            file.write(data)
        _, source = _hadoop(session, "file:" + local)
        system, target = _hadoop(session, path, name)
        system.copyFromLocalFile(True, True, source, target)


def read_file(session, path, name):
    """What :func:`write_file` wrote, either way."""
    from pyspark.errors import AnalysisException

    if not is_connect(session):
        system, source = _hadoop(session, path, name)
        if system.exists(source):
            with tempfile.TemporaryDirectory() as folder:
                local = os.path.join(folder, name)
                _, target = _hadoop(session, "file:" + local)
                system.copyToLocalFile(False, source, target, True)  # True: no checksum file beside it
                with open(local, "rb") as file:
                    return file.read()
    else:
        try:
            return bytes(session.read.format("binaryFile").load(os.path.join(path, name)).head()["content"])
        except AnalysisException:  # there is none: a table, then
            pass
    rows = session.read.parquet(os.path.join(path, "data")).orderBy("at").toLocalIterator()
    return b"".join(bytes(row["bytes"]) for row in rows)


def _hadoop(session, *parts):
    """Hadoop's path of these parts, and the file system it is on."""
    path = session._jvm.org.apache.hadoop.fs.Path(*parts)
    return path.getFileSystem(session._jsc.hadoopConfiguration()), path
