"""What runs on the executors: functions from Arrow batches to Arrow batches.

Spark keeps its Python worker processes from task to task, so a network is opened once in each.
"""

import functools
import os
import tempfile

import numpy
import pyarrow
import pyarrow.compute

import coulis

from . import _reading

BATCH_BYTES = 16 << 20  # of vectors in a batch that is handed back
IMAGES = 256  # in a batch at most
ROW_BYTES = 1 << 10  # as which a shorter row counts, for its key and for the driver's work on it
SHARE = "coulis.share"  # local property of a job: bytes of rows that each of its tasks may send to the driver
COUNTS = ("rows", "shortest", "longest")


def task_threads():
    """Cores of this task: spark.task.cpus."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context.cpus() if context else 1


# ---- images ------------------------------------------------------------------------


class Featurize:
    """Adds vector, status and error to batches with a column of images.

    Parameters
    ----------
    column : str
        Of whole files (binary), of paths (string), or of Spark's images (struct).
    names : (str, str, str)
        Columns to add.
    options : dict
        Arguments of :class:`coulis.Featurizer`.
    recipe : dict or None
        As the driver has it. An executor that has another is an error, since the column would claim what it is not.
    """

    def __init__(self, column, names, options, recipe=None):
        self.column, self.names, self.options, self.recipe = column, names, options, recipe

    def __call__(self, batches):
        featurizer = checked_featurizer(self.options, self.recipe)
        rows = max(1, min(IMAGES, BATCH_BYTES // (4 * featurizer.length)))
        for batch in batches:
            for first in range(0, batch.num_rows, rows):
                yield self._piece(batch.slice(first, rows), featurizer)

    def _piece(self, batch, featurizer):
        result = featurize_values(featurizer, batch.column(batch.schema.get_field_index(self.column)))
        columns = [
            vectors_array(result.values, result.ok),
            pyarrow.array(result.status, pyarrow.string()),
            pyarrow.array(result.error, pyarrow.string()),
        ]
        return pyarrow.RecordBatch.from_arrays([*batch.columns, *columns], [*batch.schema.names, *self.names])


class Vectors:
    """Vectors of arrays of images, as :class:`Featurize` takes them; null where an image has none."""

    def __init__(self, options, recipe):
        self.options, self.recipe = options, recipe

    def __call__(self, arrays):
        featurizer = checked_featurizer(self.options, self.recipe)
        rows = max(1, min(IMAGES, BATCH_BYTES // (4 * featurizer.length)))
        for values in arrays:
            pieces = [self._piece(values.slice(first, rows), featurizer) for first in range(0, len(values), rows)]
            yield (
                pyarrow.concat_arrays(pieces)
                if pieces
                else vectors_array(numpy.zeros((0, featurizer.length), numpy.float32), numpy.ones(0, bool))
            )

    def _piece(self, values, featurizer):
        result = featurize_values(featurizer, values)
        return vectors_array(result.values, result.ok)

    def one(self, value):
        """Of one image, where Spark knows no functions of Arrow arrays."""
        (array,) = self([pyarrow.array([value], None if value is not None else pyarrow.binary())])
        return array[0].as_py()


def checked_featurizer(options, recipe):
    """The featurizer of these options, opened once in this process; an error where its recipe is not the driver's."""
    featurizer = open_featurizer(task_threads(), tuple(sorted(options.items())))
    mine = recipe_of(featurizer)
    for key in sorted({*mine, *recipe}) if recipe is not None else ():
        if mine.get(key) != recipe.get(key):
            raise ValueError(
                f"this executor would give other vectors than the driver says: {key} is "
                f"{mine.get(key)!r} here and {recipe.get(key)!r} there"
            )
    return featurizer


class Renamed:
    """A function of batches whose columns have other names on their way to it."""

    def __init__(self, function, names):
        self.function, self.names = function, names

    def __call__(self, batches):
        return self.function(pyarrow.RecordBatch.from_arrays(batch.columns, self.names) for batch in batches)


@functools.lru_cache(maxsize=2)
def open_featurizer(threads, options):
    """The featurizer of these options, opened once in this process."""
    return featurizer_of(threads, dict(options))


def featurizer_of(threads, options):
    """A featurizer of these options, whose model may have come with the job."""
    options = dict(options)
    return coulis.Featurizer(shipped_file(options.pop("model")), threads=threads, **options)


class Artifact:
    """Bytes that came with a session of Spark Connect, as a file of this name; used as a broadcast variable is."""

    def __init__(self, name):
        self.name = name

    @property
    def value(self):
        from pyspark import SparkFiles

        with open(SparkFiles.get(self.name), "rb") as file:
            return file.read()

    def unpersist(self):
        """Nothing: the server forgets it with the session."""


class Inside:
    """Bytes that travel in a function's pickle: the tasks of a stream of Spark Connect find no artifact."""

    def __init__(self, value):
        self.value = value

    def unpersist(self):
        """Nothing: it goes with the function."""


def recipe_of(featurizer):
    """Its recipe without the instructions of this machine: a cluster may have several kinds."""
    machine = ("instruction_set", "precision_instructions")
    return {key: value for key, value in featurizer.recipe.items() if key not in machine}


def shipped_file(model):
    """A model file that came with the job (``--files``, ``SparkContext.addFile``), else `model` as it is."""
    folders = [os.getcwd()]  # where YARN puts --files
    try:
        from pyspark import SparkFiles

        if SparkFiles._root_directory or SparkFiles._is_running_on_worker:
            folders.append(SparkFiles.getRootDirectory())
    except ImportError:  # a client of Spark Connect alone
        pass
    for folder in folders:
        for name in (model, model + ".safetensors"):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
    return model


def featurize_values(featurizer, values):
    """Vectors of a column of whole files, of paths, or of Spark's images; a null is missing."""
    if pyarrow.types.is_struct(values.type):
        result = featurize_data(featurizer, [_reading.png_of(image) for image in values.to_pylist()])
        return mark_nulls(result, [image is None or image["data"] is None for image in values.to_pylist()], "image")
    if pyarrow.types.is_binary(values.type) or pyarrow.types.is_large_binary(values.type):
        result = featurizer.featurize([memoryview(v.as_buffer()) if v.is_valid else b"" for v in values])
        return mark_nulls(result, [not value.is_valid for value in values], "content")
    result = featurize_names(featurizer, [_reading.names_of(value) for value in values.to_pylist()])
    return mark_nulls(result, [not value.is_valid for value in values], "path")


def mark_nulls(result, nulls, what):
    for row, null in enumerate(nulls):
        if null:
            result.status[row], result.error[row] = "missing", f"there is no image: the {what} is null"
    return result


def featurize_data(featurizer, data):
    """Vectors of files, paths, and errors in place of them."""
    failed = {row: error for row, error in enumerate(data) if isinstance(error, coulis.Error)}
    result = featurizer.featurize([b"" if row in failed or each is None else each for row, each in enumerate(data)])
    for row, error in failed.items():
        result.status[row], result.error[row] = error.status, str(error)
    return result


def featurize_names(featurizer, names):
    """Vectors of images, each of which has one of several names: the first that exists."""
    result = featurize_once(featurizer, [each[0] if each else "" for each in names])
    rows = [row for row, each in enumerate(names) if len(each) > 1 and result.status[row] == "missing"]
    if rows:
        again = featurize_once(featurizer, [names[row][1] for row in rows])
        for other, row in enumerate(rows):
            if again.status[other] != "missing":
                result.values[row] = again.values[other]
                result.status[row], result.error[row] = again.status[other], again.error[other]
    return result


def featurize_once(featurizer, names):
    """Vectors of images by their names: files, which the library opens itself, and what is elsewhere."""
    data = list(names)
    elsewhere = [row for row, name in enumerate(names) if _reading.is_remote(name)]
    for row, read in zip(elsewhere, _reading.read_all([names[row] for row in elsewhere])):
        data[row] = read
    return featurize_data(featurizer, data)


# ---- vectors --------------------------------------------------------------------------


def vectors_array(values, ok):
    """Rows of a float32 matrix as an Arrow list<float>; null where `ok` is false."""
    width = values.shape[1]
    ends = numpy.concatenate([[0], numpy.cumsum(ok) * width]).astype(numpy.int32)
    offsets = pyarrow.array(ends, mask=numpy.concatenate([~ok, [False]])) if not ok.all() else pyarrow.array(ends)
    flat = numpy.ascontiguousarray(values if ok.all() else values[ok], numpy.float32).reshape(-1)
    return pyarrow.ListArray.from_arrays(offsets, pyarrow.array(flat))


def vectors_matrix(lists, columns=None):
    """Float32 matrix of the rows of an Arrow list<float> that are not null, and which those are.

    Raises
    ------
    coulis.Error
        ``bad_data`` when their lengths differ, from one another or from `columns`, or an element is null.
    """
    ok = ~numpy.asarray(lists.is_null())
    if not ok.all():
        lists = lists.filter(pyarrow.array(ok))
    flat = lists.flatten()
    if flat.null_count:
        raise coulis.Error("a vector has a null among its numbers", "bad_data", 14)
    if columns is None:
        columns = len(flat) // max(1, len(lists))
    lengths = numpy.diff(numpy.asarray(lists.offsets))
    wrong = lengths[lengths != columns]
    if len(wrong):
        raise coulis.Error(f"a vector has {wrong[0]} numbers, others have {columns}", "bad_data", 14)
    return numpy.asarray(flat, numpy.float32).reshape(len(lists), columns), ok


def pack(batches):
    """Vectors (the last column) as bytes, little-endian float32; no row is null."""
    for batch in batches:
        matrix, _ = vectors_matrix(batch.column(batch.num_columns - 1))
        check_finite(matrix, batch)
        data = numpy.ascontiguousarray(matrix, "<f4")
        ends = numpy.arange(len(data) + 1, dtype=numpy.int32) * (4 * data.shape[1])
        packed = pyarrow.Array.from_buffers(
            pyarrow.binary(), len(data), [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(data)]
        )
        yield pyarrow.RecordBatch.from_arrays([*batch.columns[:-1], packed], batch.schema.names)


def check_finite(matrix, batch):
    """Error that names the row with NaN or infinity: by its key, the first column, where there is one."""
    finite = numpy.isfinite(matrix).all(axis=1)
    if finite.all():
        return
    row = int(numpy.argmin(finite))
    place = int(numpy.argmin(numpy.isfinite(matrix[row])))
    whose = f" of {batch.column(0)[row].as_py()}" if batch.num_columns > 1 else ""
    said = f"the vector{whose} has {matrix[row, place]} at place {place}; leave such rows out"
    raise coulis.Error(said, "bad_data", 14)


def survey(batches):
    """What :func:`pack` makes of a partition, where it has no more bytes than its SHARE, and a last row that counts."""
    from pyspark import TaskContext

    share = int(TaskContext.get().getLocalProperty(SHARE) or -1)
    kept, held, found = [], 0, []
    for batch in pack(batches):
        found.append(numpy.asarray(pyarrow.compute.binary_length(batch.column(batch.num_columns - 1)), numpy.int64))
        held += numpy.maximum(found[-1], ROW_BYTES).sum()
        kept = [*kept, batch] if held <= share else []
        schema = batch.schema
    if not sum(map(len, found)):
        return
    names = [*schema.names, *COUNTS]
    for batch in kept:
        nulls = [pyarrow.nulls(batch.num_rows, pyarrow.int64())] * len(COUNTS)
        yield pyarrow.RecordBatch.from_arrays([*batch.columns, *nulls], names)
    found = numpy.concatenate(found)
    counts = [pyarrow.array([value], pyarrow.int64()) for value in (len(found), found.min(), found.max())]
    yield pyarrow.RecordBatch.from_arrays([*(pyarrow.nulls(1, field.type) for field in schema), *counts], names)


def unpack(values):
    """Float32 matrix of a binary column that :func:`pack` made, over the column's own memory; no row is null."""
    _, ends, data = values.buffers()
    kind = numpy.int64 if pyarrow.types.is_large_binary(values.type) else numpy.int32
    first, last = (int(numpy.frombuffer(ends, kind)[values.offset + at]) for at in (0, len(values)))
    return numpy.frombuffer(data, "<f4", (last - first) // 4, first).reshape(len(values), -1)


# ---- principal components ----------------------------------------------------------------


class Accumulate:
    """The rows of one sorted partition as mergeable moments, and its ends within a leaf as they are.

    Takes ``number`` (as from monotonically_increasing_id: the partition above bit 33) and ``vector``. Gives ``first``
    (the number of the first row), ``moments`` (whether the bytes are moments, else rows) and ``bytes``.

    Parameters
    ----------
    columns : int
    starts : list of int
        Number of the first row of each partition, and after them the number of all rows.
    """

    def __init__(self, columns, starts):
        self.columns, self.starts = columns, starts

    def __call__(self, batches):
        leaf = coulis.Moments.leaf_rows(self.columns)
        moments = None
        for batch in batches:
            ids = batch.column(0)
            partition, inside = ids[0].as_py() >> 33, ids[0].as_py() & ((1 << 33) - 1)
            begin, end = self.starts[partition], self.starts[partition + 1]
            head = min(end, -(-begin // leaf) * leaf)
            tail = end if end == self.starts[-1] else max(head, end // leaf * leaf)
            first, rows = begin + inside, unpack(batch.column(1))
            cuts = [min(max(cut - first, 0), len(rows)) for cut in (head, tail)]
            yield from loose(first, rows[: cuts[0]])
            if cuts[1] > cuts[0]:
                if moments is None:
                    moments = coulis.Moments(self.columns, first_row=head, threads=task_threads())
                moments.update(rows[cuts[0] : cuts[1]])
            yield from loose(first + cuts[1], rows[cuts[1] :])
        if moments is not None:
            data = moments.to_bytes()
            for at in range(0, len(data), BATCH_BYTES):
                yield part(head, True, data[at : at + BATCH_BYTES])


def loose(first, rows):
    if len(rows):
        yield part(first, False, rows.tobytes())


def part(first, moments, data):
    return pyarrow.RecordBatch.from_arrays(
        [pyarrow.array([first], pyarrow.int64()), pyarrow.array([moments]), pyarrow.array([data], pyarrow.binary())],
        ["first", "moments", "bytes"],
    )


class Scores:
    """Scores of vectors: Arrow arrays to Arrow arrays.

    Parameters
    ----------
    key : str
        Names the model: another key, another model.
    model : Broadcast of bytes
        The file that :meth:`coulis.PCA.save` writes.
    centred : bool
        False adds the mean's own scores, as Spark ML does.
    """

    def __init__(self, key, model, centred):
        self.key, self.model, self.centred = key, model, centred

    def __call__(self, arrays):
        pca = load_pca(self.key, self.model)
        offset = None if self.centred else pca.components_.astype(float) @ pca.mean_
        rows = max(1, BATCH_BYTES // (4 * max(pca.n_features_in_, pca.n_components_)))
        for lists in arrays:
            scores = numpy.zeros((len(lists), pca.n_components_), numpy.float32)
            for first in range(0, len(lists), rows):
                x, ok = vectors_matrix(lists.slice(first, rows), pca.n_features_in_)
                if len(x):
                    scores[first : first + rows][ok] = pca.transform(x) if offset is None else pca.transform(x) + offset
            yield vectors_array(scores, ~numpy.asarray(lists.is_null()))


class LastColumn:
    """Batches whose last column is replaced by what `function` makes of it."""

    def __init__(self, function):
        self.function = function

    def __call__(self, batches):
        others = []

        def last():
            for batch in batches:
                others.append(batch)
                yield batch.column(batch.num_columns - 1)

        for array in self.function(last()):
            batch = others.pop()
            yield pyarrow.RecordBatch.from_arrays([*batch.columns[:-1], array], batch.schema.names)


_loaded = {}  # the last PCA used, by its key: once in this process


def load_pca(key, model):
    if key not in _loaded:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pca.safetensors")
            with open(path, "wb") as file:
                file.write(model.value)
            _loaded.clear()
            _loaded[key] = coulis.PCA.load(path, threads=task_threads())
    return _loaded[key]
