"""Images to feature vectors, as a stage of pyspark.ml."""

import functools
import os

from pyspark import keyword_only
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql.types import ArrayType, BinaryType, FloatType, StringType, StructType

import coulis

from . import _frames, _reading, _worker

_IMAGE_BYTES = 1 << 18  # of a usual image file: what a row of images is taken to weigh


@_frames.with_accessors(
    "model",
    "features",
    "resize",
    "orient",
    "alpha",
    "decode",
    "like",
    "truncated",
    "depth",
    "cmyk",
    "maxPixels",
    "precision",
    "statusCol",
    "errorCol",
    "randomWeights",
)
class ImageFeaturizer(Transformer, _frames.Stage, DefaultParamsReadable, DefaultParamsWritable):
    """A network that turns a column of images into a column of vectors.

    Each row gives one row: all its columns, the vector, and `statusCol` and `errorCol` as in the command's
    tables (``ok``, ``unreadable``, ...; a null image is ``missing``). The vector is null unless the status is
    ``ok``. On one instruction set the vectors have the same bytes as those of ``coulis run``. Where the driver has the
    network, too, the metadata of `outputCol` hold the recipe of the vectors, by which :class:`PCAModel` knows them.

    Parameters
    ----------
    inputCol : str
        ``content`` by default. Binary: whole files, as the data source ``binaryFile`` reads them. A struct as the data
        source ``image`` makes it. String: paths or URIs, percent-encoded (``_metadata.file_path``) or not, which the
        executors read: through the library what it serves, ``hdfs://`` and the like through pyarrow.
    outputCol : str
        ``features`` by default: array<float>.
    model : str
        Name or path of a network; a file that came with the job (``--files``) is found by its name. It is
        opened on the executors, once in each Python worker, and uses ``spark.task.cpus`` threads.
    features : {"default", "pooled", "map", "logits", "cls", "tokens-mean", "tokens", "projected"}
    resize, orient, alpha, decode, like, truncated, depth, cmyk : str
    maxPixels : int
        As in :func:`coulis.load_image`.
    precision : {"float32", "bf16", "int8"}
        As in :class:`coulis.Featurizer`.
    statusCol, errorCol : str
    outputType : {"array", "vector"}
    randomWeights : bool
        Read the graph alone and draw seeded weights; for measuring speed only.
    """

    model = _frames.text_param("model", "name or path of a network")
    features = _frames.option_param("features", "what the network gives")
    resize = _frames.option_param("resize", "how an image is fitted")
    orient = _frames.option_param("orient", "what is done with EXIF orientation")
    alpha = _frames.option_param("alpha", "what is done with transparency")
    decode = _frames.option_param("decode", "how a large JPEG is decoded")
    like = Param(Params._dummy(), "like", "pillow: other defaults of orient and alpha", _frames.word("pillow"))
    truncated = _frames.option_param("truncated", "what becomes of an image cut short")
    depth = _frames.option_param("depth", "what becomes of grey samples of more than 8 bits")
    cmyk = _frames.option_param("cmyk", "how CMYK with a profile is converted")
    maxPixels = Param(Params._dummy(), "maxPixels", "width times height at most", TypeConverters.toInt)
    precision = _frames.option_param("precision", "of most products in the network")
    statusCol = _frames.text_param("statusCol", "column of the status")
    errorCol = _frames.text_param("errorCol", "column of the sentence that says what failed")
    randomWeights = Param(
        Params._dummy(), "randomWeights", "seeded weights, for measuring speed only", TypeConverters.toBoolean
    )

    @keyword_only
    def __init__(
        self,
        *,
        inputCol=None,
        outputCol=None,
        model=None,
        features=None,
        resize=None,
        orient=None,
        alpha=None,
        decode=None,
        like=None,
        truncated=None,
        depth=None,
        cmyk=None,
        maxPixels=None,
        precision=None,
        statusCol=None,
        errorCol=None,
        outputType=None,
        randomWeights=None,
    ):
        super().__init__()
        self._setDefault(
            inputCol="content",
            outputCol="features",
            model="efficientnet-lite0",
            features="default",
            resize="auto",
            orient="exif",
            alpha="white",
            decode="exact",
            truncated="refuse",
            depth="pillow",
            cmyk="plain",
            precision="float32",
            statusCol="status",
            errorCol="error",
            outputType="array",
            randomWeights=False,
        )
        self.setParams(**self._input_kwargs)

    def _transform(self, dataset):
        value = self.getOrDefault
        source, output = self.getInputCol(), self.getOutputCol()
        names = (output, value(self.statusCol), value(self.errorCol))
        _frames.check_columns(dataset, source, names)
        kind = dataset.schema[source].dataType
        is_image = isinstance(kind, StructType) and set(_reading.IMAGE_FIELDS) <= set(kind.names)
        if not is_image and not isinstance(kind, (BinaryType, StringType)):
            raise TypeError(
                f"the column {source!r} must hold images as binary, as structs of Spark's data source 'image', or "
                f"their paths as string, not {kind.simpleString()}"
            )
        options = self._options()
        types = (ArrayType(FloatType()), StringType(), StringType())
        schema = _frames.with_fields(dataset.schema, **dict(zip(names, types)))
        recipe = self.recipe_of(options)
        function = _worker.Featurize(source, names, options, recipe)
        frame = _frames.map_in_arrow(dataset, function, schema, _IMAGE_BYTES)
        return _frames.with_recipe(self._as_output_type(frame, output), output, recipe)

    def _options(self):
        """What :class:`coulis.Featurizer` is given on the executors."""
        value = self.getOrDefault
        options = {
            name: value(name)
            for name in ("model", "features", "resize", "decode", "truncated", "depth", "cmyk", "precision")
        }
        if self.isDefined(self.like):
            options["like"] = value(self.like)
        if self.isDefined(self.maxPixels):
            options["max_pixels"] = value(self.maxPixels)
        # What is not set follows from `like`.
        options.update({name: value(name) for name in ("orient", "alpha") if self.isSet(name)})
        options["random_weights"] = value(self.randomWeights)
        return options

    @staticmethod
    def recipe_of(options):
        """What decides the vectors, by the driver's network; None where only the executors have its file."""
        try:
            stamp = _stamp(options["model"])
            open_it = _recipe_of if stamp else _recipe_of.__wrapped__  # not kept where nothing would show a change
            return open_it(tuple(sorted(options.items())), stamp)
        except coulis.Error as error:
            # A name that is wrong should fail here and now, not in a task of a job that has begun.
            if error.status == "missing" and os.path.basename(options["model"]) != options["model"]:
                return None
            raise


@functools.lru_cache(maxsize=8)
def _recipe_of(options, stamp):
    """As :meth:`ImageFeaturizer.recipe_of`, opened once for a file: a large network takes half a second or more."""
    with _worker.featurizer_of(1, options) as featurizer:
        return _worker.recipe_of(featurizer)


def _stamp(model):
    """What changes when the file of a network is replaced; None where there is none."""
    path = _worker.shipped_file(model)
    try:
        found = os.stat(path if os.path.isfile(path) else coulis.list_models().get(path, path))
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
