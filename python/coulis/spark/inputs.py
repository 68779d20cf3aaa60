"""Images as a frame, from a folder or a list of their paths; and a network as a function of SQL."""

from collections.abc import Iterator

import pyarrow
from pyspark.sql import functions
from pyspark.sql.types import ArrayType, FloatType

from . import _frames, _worker
from .featurizer import ImageFeaturizer

_OPEN_COST = "spark.sql.files.openCostInBytes"
_SPARKS_OWN = ("4194304", "4194304b", "4MB")  # what Spark says where nobody has set it
OPEN_COST = 512 << 10  # as which a file counts beside its bytes: some 10 ms of network, as bytes of photograph
TASK_IMAGES = 256  # of a manifest in one task


def read_pictures(spark, path):
    """The image files of a folder, and of all folders in it, as a frame for :class:`ImageFeaturizer`.

    ``spark.read.format("binaryFile")``, with tasks of a sensible size: Spark counts each file as 4 MiB more than it
    has, so that small images make many tasks of some thirty files each. Where nobody has set
    ``spark.sql.files.openCostInBytes``, it is set to 512 KiB, for the session, as Spark knows no other way.

    Parameters
    ----------
    spark : SparkSession
    path : str or list of str
        Folders or files, as ``s3a://bucket/photos``.

    Returns
    -------
    DataFrame
        ``path``, ``modificationTime``, ``length`` and ``content``.
    """
    now = spark.conf.get(_OPEN_COST)
    if now in _SPARKS_OWN:
        spark.conf.set(_OPEN_COST, str(OPEN_COST))
    return spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(path)


def read_manifest(spark, path, images_per_task=TASK_IMAGES):
    """A list of paths, as ``coulis list`` writes it, as a frame for ``ImageFeaturizer(inputCol="path")``.

    No folder is listed by Spark, which for a million files takes the driver more than a gigabyte. The executors read
    the images by their paths.

    Parameters
    ----------
    spark : SparkSession
    path : str
        A file or folder of Parquet; ``.csv`` or ``.tsv`` with a header; ``.jsonl`` or ``.ndjson``, an object in each
        line. It needs a column ``path``.
    images_per_task : int
        A list is one small file, which Spark would give to a single task.

    Returns
    -------
    DataFrame
        The columns of the list.
    """
    if path.endswith((".csv", ".tsv")):
        # As RFC 4180 has it: a quote is doubled, and a cell may hold the end of a line.
        rows = spark.read.csv(
            path, header=True, sep="\t" if path.endswith(".tsv") else ",", quote='"', escape='"', multiLine=True
        )
    elif path.endswith((".jsonl", ".ndjson")):
        rows = spark.read.json(path)
    else:
        rows = spark.read.parquet(path)
    _frames.check_columns(rows, "path", [])
    return rows.repartition(max(1, -(-rows.count() // images_per_task)))


def register_functions(spark, name="coulis_features", **options):
    """Registers a function of SQL that gives the vector of an image: ``SELECT coulis_features(content) FROM images``.

    Its argument is the bytes of an image file, or a path or URI that the executors read. It gives array<float>, and
    null where the image has no vector; :class:`ImageFeaturizer` says why, too.

    Parameters
    ----------
    spark : SparkSession
    name : str
    **options
        Parameters of :class:`ImageFeaturizer`, as ``model="resnet50"``.

    Returns
    -------
    function
        What Spark gives for it, to be used on columns.
    """
    for given in ("inputCol", "outputCol", "statusCol", "errorCol", "outputType"):
        if given in options:
            raise TypeError(f"a function of SQL has no {given}")
    options = ImageFeaturizer(**options)._options()
    work = _worker.Vectors(options, ImageFeaturizer.recipe_of(options))
    kind = ArrayType(FloatType())
    if hasattr(functions, "arrow_udf"):

        def many(arrays: Iterator[pyarrow.Array]) -> Iterator[pyarrow.Array]:
            return work(arrays)

        return spark.udf.register(name, functions.arrow_udf(many, kind))
    return spark.udf.register(name, work.one, kind)
