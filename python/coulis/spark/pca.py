"""Principal components over a cluster, as an estimator of pyspark.ml."""

import hashlib
import numbers
import os
import tempfile

import numpy
import pyarrow
from pyspark import StorageLevel, keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import (
    DefaultParamsReadable,
    DefaultParamsReader,
    DefaultParamsWritable,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)
from pyspark.sql import functions
from pyspark.sql.types import ArrayType, BinaryType, BooleanType, FloatType, LongType, StructField, StructType

import coulis

from ..pca import components_number
from . import _frames, _order, _session, _wide, _worker

MOMENTS_COLUMNS = 16384  # of which the library makes a covariance matrix
EXACT_SIDE = 16384  # rows or columns, of which the library makes a matrix: more of both stay on the executors
FEW_BYTES = 128 << 20  # of all rows together: so few come to the driver with the job that counts them
SPOOL_BYTES = 64 << 20  # of rows in a partition that comes to the driver in one piece; twice that is left as it is
PART_LEAVES = 4  # a task makes moments of at least so many leaves: the driver adds up what lies between tasks
RANGE_BYTES = 256  # of a vector, by which rows without a key are spread; equal ones stay together
# Rows that Spark puts into one batch of a frame it keeps. Java's serializer holds on to a hundred batches before it
# forgets them, and Spark's own are of 4 MiB: 400 MB of an executor's heap.
_BATCH_ROWS = "spark.sql.inMemoryColumnarStorage.batchSize"
_BATCH_BYTES = 1 << 19
_FIRST_ROWS = 4  # while their length is not known
_ROW_BYTES = 1 << 18  # of vectors whose length is not known yet: such as 65,536 numbers have
_FILE = "pca.safetensors"
_DEFAULTS = {
    "k": 0.99,
    "inputCol": "features",
    "outputCol": "pca",
    "centred": True,
    "outputType": "array",
    "allowOtherRecipe": False,
}


def _components(value):
    components_number(value)
    return int(value) if isinstance(value, numbers.Integral) else float(value)  # NumPy's cannot be saved


@_frames.with_accessors("centred", "allowOtherRecipe")
class _PCAParams(_frames.Stage):
    k = Param(Params._dummy(), "k", "number of components, or share of the total variance, 0 < k < 1", _components)
    centred = Param(
        Params._dummy(),
        "centred",
        "whether the mean is subtracted from a vector before its scores are taken; Spark ML's PCA does not",
        TypeConverters.toBoolean,
    )

    allowOtherRecipe = Param(
        Params._dummy(),
        "allowOtherRecipe",
        "whether vectors of another recipe than the components were fitted to are transformed, too",
        TypeConverters.toBoolean,
    )

    def getK(self):
        return self.getOrDefault(self.k)


@_frames.with_accessors("k", "orderCol")
class PCA(Estimator, _PCAParams, DefaultParamsReadable, DefaultParamsWritable):
    """Exact principal components of a column of vectors, the same bytes as ``coulis run`` gives for the same rows.

    Floating-point sums depend on the order of the rows, so rows get one: that of `orderCol`, as the command
    sorts paths, and of the vectors' own bytes where it says nothing. Null vectors are passed over.

    Few rows, of up to 128 MiB, come to the driver. With at least as many rows as columns, and at most 16,384
    columns, each task sums up moments of its rows and the driver merges them. With more than 16,384 of both, the rows
    stay on the executors, which read them once for each step of block Krylov. Otherwise they come to the driver one
    partition after another, into a file. docs/spark-pca.md says what each takes.

    Parameters
    ----------
    k : int or float
        Number of components, or share of the total variance to reach; 0.99 by default.
    inputCol : str
        ``features`` by default: array<float> (other numbers are rounded to float32) or VectorUDT.
    outputCol : str
        ``pca`` by default.
    orderCol : str
        Column that orders the rows; by default ``path`` where there is one.
    centred : bool
        True by default; False gives scores as Spark ML's PCA does.
    outputType : {"array", "vector"}
    allowOtherRecipe : bool
        False by default: the model refuses vectors that :class:`ImageFeaturizer` made by another recipe than those it
        was fitted to, and names the difference. Of arrays that come from elsewhere nothing is known; they pass.
    """

    orderCol = _frames.text_param("orderCol", "column that orders the rows; unset: path, where there is one")

    @keyword_only
    def __init__(
        self,
        *,
        k=None,
        inputCol=None,
        outputCol=None,
        orderCol=None,
        centred=None,
        outputType=None,
        allowOtherRecipe=None,
    ):
        super().__init__()
        self._setDefault(**_DEFAULTS)
        self.setParams(**self._input_kwargs)

    def _fit(self, dataset):
        order = self.getOrDefault(self.orderCol) if self.isSet(self.orderCol) else None
        _frames.check_columns(dataset, self.getInputCol(), [])
        if order is None:
            order = "path" if "path" in dataset.columns else None
        else:
            _frames.check_columns(dataset, order, [])
        rows = _Rows(dataset, self.getInputCol(), order)
        try:
            pca = _frames.driver_error(rows.fit, self.getK())
            pca._set_recipe(_frames.recipe_of(dataset, self.getInputCol()))
        finally:
            rows.release()
        return self._copyValues(PCAModel(pca))


class _Rows:
    """The vectors of a frame, kept until they are released."""

    def __init__(self, dataset, column, order):
        self.session = dataset.sparkSession
        vector = _frames.float_array(dataset, column)
        key = [_frames.column_of(dataset, order).alias("key")] if order else []
        frame = dataset.select(*key, vector.alias("vector")).where(functions.col("vector").isNotNull())
        schema = StructType(frame.schema.fields[:-1] + [StructField("vector", BinaryType())])
        self.packed = _frames.map_in_arrow(frame, _worker.pack, schema, _ROW_BYTES)
        self.order = self.packed.columns
        self.batch_rows = self.session.conf.get(_BATCH_ROWS)
        self.session.conf.set(_BATCH_ROWS, str(_FIRST_ROWS))
        # Vectors cost a network; they are used several times below. On disk: an executor's heap has little room beside
        # rows of 400 KB, and what Spark keeps there takes more than it counts.
        self.kept = [frame.persist(StorageLevel.DISK_ONLY)]

    def release(self):
        self.session.conf.set(_BATCH_ROWS, self.batch_rows)
        for frame in self.kept:
            frame.unpersist()

    def fit(self, k):
        batches, parts = self._survey()
        count = sum(part["rows"] for part in parts)
        if count < 2:
            raise coulis.Error(f"PCA needs at least two vectors that are not null, there are {count}")
        shortest, longest = min(part["shortest"] for part in parts), max(part["longest"] for part in parts)
        if shortest != longest:
            raise coulis.Error(f"the vectors differ in length: from {shortest // 4} to {longest // 4} numbers")
        columns = longest // 4
        self.session.conf.set(_BATCH_ROWS, str(min(int(self.batch_rows), _BATCH_BYTES // max(1, longest) + 1)))
        if _session.is_connect(self.session) and count * max(_worker.ROW_BYTES, columns * 4) <= FEW_BYTES:
            batches = _session.all_batches(self.packed)
        if sum(batch.num_rows for batch in batches) == count:
            return self._on_driver(batches, count, columns, k)
        batches.clear()
        if MOMENTS_COLUMNS >= columns and count >= columns:
            return self._from_moments(count, columns, coulis.Moments.leaf_rows(columns), k)
        if min(count, columns) > EXACT_SIDE:
            return self._from_spans(count, columns, k)
        frame, size = self.packed, columns * 4
        if max(part["rows"] for part in parts) * size > 2 * SPOOL_BYTES:
            frame = frame.repartition(-(-count * size // SPOOL_BYTES))
        return self._on_driver(_session.batches_in_turn(frame), count, columns, k)

    def _survey(self):
        """How many rows each partition has, of how many bytes; and, where they are few, the rows.

        One job, as its own start outlasts the way of few rows.
        """
        # All may be null: the row that counts has no vector.
        fields = [StructField(field.name, field.dataType) for field in self.packed.schema.fields]
        fields += [StructField(name, LongType()) for name in _worker.COUNTS]
        frame = _frames.map_in_arrow(self.kept[0], _worker.survey, StructType(fields), _ROW_BYTES)
        batches, parts = [], []
        for batch in _session.batches_with_share(frame, FEW_BYTES):
            last = batch.num_rows - 1
            if batch.column(batch.num_columns - 1)[last].is_valid:  # it is the last of its partition
                row = batch.slice(last).to_pylist()[0]
                parts.append({name: row[name] for name in _worker.COUNTS})
                batch = batch.slice(0, last)
            columns = batch.columns[: -len(_worker.COUNTS)]
            batches.append(pyarrow.RecordBatch.from_arrays(columns, self.order))
        return batches, parts

    def _sorted(self, parts):
        """In the order of keys, and of vectors among equal keys. Spark finds the ranges from samples on the driver:
        of the keys, or of the beginnings of vectors."""
        first = self.packed[self.order[0]]
        if len(self.order) == 1:
            first = functions.substring(first, 1, RANGE_BYTES)
        return self.packed.repartitionByRange(parts, first).sortWithinPartitions(*self.order)

    def _on_driver(self, batches, count, columns, k):
        """All rows in a file that is mapped, not loaded; its pages leave memory when that is short.

        They come in no order, and are put into theirs in the file: a sort on the executors would send each row from
        one to another before it comes here.
        """
        keys = []
        with tempfile.TemporaryFile(prefix="coulis-pca-") as spool:
            for batch in batches:
                for row in batch.column(batch.num_columns - 1):
                    spool.write(row.as_buffer())
                keys += [_order.sort_key(key) for key in batch.column(0).to_pylist()] if batch.num_columns > 1 else []
            spool.flush()
            rows = numpy.memmap(spool, "<f4", "r+", shape=(count, columns))
            _order.arrange(rows, keys or [()] * count)
            return coulis.PCA(k).fit(rows)

    def _numbered(self, parts):
        """The rows in their order, with a number from which that follows, and the number of the first row of each
        partition; and after them, of all rows."""
        # Where partitions end follows from samples that Spark draws: only a frame that is kept has one such end.
        number = functions.monotonically_increasing_id()
        numbered = self._sorted(parts).select(number.alias("number"), "vector").persist(StorageLevel.DISK_ONLY)
        self.kept.append(numbered)
        partition = functions.shiftright("number", 33)
        counts = dict(tuple(row) for row in numbered.groupBy(partition).count().collect())
        starts = [0]
        for index in range(max(counts) + 1):
            starts.append(starts[-1] + counts.get(index, 0))
        return numbered, starts

    def _from_moments(self, count, columns, leaf, k):
        parts = max(1, min(_session.parallelism(self.session), count // (PART_LEAVES * leaf)))
        numbered, starts = self._numbered(parts)
        kinds = {"first": LongType(), "moments": BooleanType(), "bytes": BinaryType()}
        schema = StructType([StructField(name, kind) for name, kind in kinds.items()])
        parts = _frames.map_in_arrow(numbered, _worker.Accumulate(columns, starts), schema, 4 * columns)
        merged = _merge(parts.toLocalIterator(**_session.ahead(self.session)), columns, leaf)
        return merged.finish(k)

    def _from_spans(self, count, columns, k):
        bytes_of_all = 4 * count * columns
        parts = max(_session.parallelism(self.session), -(-bytes_of_all // _wide.SORTED_BYTES))
        numbered, starts = self._numbered(min(parts, count))
        rows = _wide.WideRows(self.session, numbered, starts, count, columns)
        self.kept.append(rows)
        return rows.fit(k)


def _merge(parts, columns, leaf):
    """Moments of all rows, from what :class:`coulis.spark._worker.Accumulate` gives, in order of partitions."""
    total = coulis.Moments(columns)
    between = None  # rows of a leaf that lies in several partitions
    pieces, begun = [], None  # of moments
    for row in parts:
        if row.moments:
            if begun not in (None, row.first):
                total.merge(coulis.Moments.from_bytes(b"".join(pieces)))
                pieces = []
            pieces.append(bytes(row.bytes))
            begun = row.first
            continue
        if row.first % leaf == 0:
            if between is not None:
                total.merge(between)
            between = coulis.Moments(columns, first_row=row.first)
        between.update(numpy.frombuffer(row.bytes, "<f4").reshape(-1, columns))
    if pieces:
        total.merge(coulis.Moments.from_bytes(b"".join(pieces)))
    if between is not None:
        total.merge(between)
    return total


class PCAModel(Model, _PCAParams, MLReadable, MLWritable):
    """Principal components, ready to be applied; made by :class:`PCA`, or from a :class:`coulis.PCA`.

    Attributes
    ----------
    pca : coulis.PCA
        The components and everything known of them.
    """

    def __init__(self, pca=None):
        super().__init__()
        self._setDefault(**_DEFAULTS)
        self.pca = pca
        self._shipped = None

    @property
    def pc(self):
        """Components, one in each column, as a DenseMatrix: Spark ML's name and shape."""
        components = self.pca.components_
        return DenseMatrix(components.shape[1], components.shape[0], components.astype(float).ravel())

    @property
    def explainedVariance(self):
        """Share of the total variance of each component, as a DenseVector: Spark ML's name."""
        return Vectors.dense(self.pca.explained_variance_ratio_)

    @property
    def mean(self):
        return Vectors.dense(self.pca.mean_)

    def _transform(self, dataset):
        source, output = self.getInputCol(), self.getOutputCol()
        _frames.check_columns(dataset, source, [output])
        vector = _frames.float_array(dataset, source)
        if not self.getOrDefault(self.allowOtherRecipe):
            self._check_recipe(_frames.recipe_of(dataset, source))
        key, model = self._ship(dataset)
        scores, kind = _worker.Scores(key, model, self.getCentred()), ArrayType(FloatType())
        frame = _frames.with_mapped(dataset, output, vector, scores, kind, 8 * self.pca.n_features_in_)
        return self._as_output_type(frame, output)

    def _check_recipe(self, recipe):
        try:
            self.pca._check_recipe(recipe)
        except coulis.Error as error:
            said = str(error).replace("--allow-other-recipe", "allowOtherRecipe")
            raise coulis.Error(said, error.status, error.code) from None

    def _ship(self, dataset):
        """The model's file for the executors, sent once, and a name of its content."""
        session = dataset.sparkSession
        target = (session, _session.is_connect(session) and dataset.isStreaming)
        if self._shipped is None or self._shipped[0] != target:
            data = self._bytes()
            self._shipped = (target, hashlib.sha256(data).hexdigest(), _session.ship(session, data, target[1]))
        return self._shipped[1:]

    def _bytes(self):
        """The file that :meth:`coulis.PCA.save` writes."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, _FILE)
            self.pca.save(path)
            with open(path, "rb") as file:
                return file.read()

    def write(self):
        return _PCAModelWriter(self)

    @classmethod
    def read(cls):
        return _PCAModelReader(cls)


class _PCAModelWriter(MLWriter):
    """The parameters as pyspark.ml writes them, and pca.safetensors, which coulis.PCA.load reads too."""

    def __init__(self, instance):
        super().__init__()
        self.instance = instance

    def saveImpl(self, path):
        DefaultParamsWriter.saveMetadata(self.instance, path, _for_metadata(self))
        _session.write_file(self.sparkSession, self.instance._bytes(), path, _FILE)


class _PCAModelReader(MLReader):
    def __init__(self, cls):
        super().__init__()
        self.cls = cls

    def load(self, path):
        metadata = DefaultParamsReader.loadMetadata(path, _for_metadata(self))
        with tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, _FILE)
            with open(local, "wb") as file:
                file.write(_session.read_file(self.sparkSession, path, _FILE))
            model = self.cls(coulis.PCA.load(local))
        model._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(model, metadata)
        return model


def _for_metadata(reader_or_writer):
    """What pyspark.ml takes to read or write metadata: a SparkContext before Spark 4, a session since."""
    session = reader_or_writer.sparkSession
    return session if _session.is_connect(session) else reader_or_writer.sc
