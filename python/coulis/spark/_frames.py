"""What the stages share on the driver: parameters, column types, and frames mapped through Arrow."""

import json
import re
from collections.abc import Iterator

import pyarrow
from pyspark.ml.linalg import VectorUDT
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasInputCol, HasOutputCol
from pyspark.sql import functions
from pyspark.sql.types import ArrayType, FloatType, NumericType, StructField, StructType

from .. import _library
from ..error import Error
from . import _session, _worker

# Bytes of an Arrow batch, about: large enough that its own cost does not show, small beside an executor's memory.
BATCH_BYTES = 16 << 20
RECIPE = "coulis.recipe"  # of a column's metadata
_RECORDS = "spark.sql.execution.arrow.maxRecordsPerBatch"
_BYTES = "spark.sql.execution.arrow.maxBytesPerBatch"


def word(*words):
    """A converter of parameters that admits these words alone."""

    def convert(value):
        if value not in words:
            raise TypeError(f"must be one of {', '.join(map(repr, words))}, not {value!r}")
        return str(value)

    return convert


def option_param(name, doc):
    """A parameter that is one of the words that the library has for the option of this name."""
    return Param(Params._dummy(), name, doc, lambda value: word(*_library.words(name))(value))


def driver_error(function, *arguments):
    """Calls a function; what coulis says in a task of Spark is raised here, without the traces of Java around it."""
    try:
        return function(*arguments)
    except Error:
        raise
    except Exception as error:
        said = re.search(r"^coulis\.error\.(?:Input)?Error: (.+)$", str(error), re.MULTILINE)
        if not said:
            raise
        raise Error(said[1], "bad_data", 14) from None


def with_accessors(*names):
    """A decorator that gives a stage setX and getX for each of its parameters `names`, as pyspark.ml's stages have."""

    def add(cls):
        for name in names:
            upper = name[0].upper() + name[1:]

            def get(self, name=name):
                return self.getOrDefault(name)

            def put(self, value, name=name):
                return self._set(**{name: value})

            for method, function in ((f"get{upper}", get), (f"set{upper}", put)):
                function.__name__ = method
                function.__qualname__ = f"{cls.__qualname__}.{method}"
                function.__doc__ = f"{'The value of' if function is get else 'Set'} `{name}`."
                setattr(cls, method, function)
        return cls

    return add


@with_accessors("outputType")
class Stage(HasInputCol, HasOutputCol):
    """Mixin: one column in, one out, and whether vectors come as arrays or as Spark ML's vectors."""

    outputType = Param(
        Params._dummy(), "outputType", "array: array<float>; vector: pyspark.ml's VectorUDT", word("array", "vector")
    )

    def setInputCol(self, value):
        return self._set(inputCol=value)

    def setOutputCol(self, value):
        return self._set(outputCol=value)

    def setParams(self, **params):
        """Set parameters by name; None leaves one as it is."""
        return self._set(**{name: value for name, value in params.items() if value is not None})

    def _as_output_type(self, frame, name):
        if self.getOutputType() == "array":
            return frame
        column = column_of(frame, name)
        return frame.withColumn(
            name, functions.when(column.isNotNull(), _ml_function("array_to_vector", column.cast("array<double>")))
        )


def text_param(name, doc, *words):
    """A parameter that is a text, or one of `words`."""
    return Param(Params._dummy(), name, doc, word(*words) if words else TypeConverters.toString)


def column_of(frame, name):
    """A column by its whole name, dots and all."""
    return frame["`" + name.replace("`", "``") + "`"]


def check_columns(frame, wanted, new):
    """ValueError when the column `wanted` is not in `frame`, or one of `new` is."""
    if wanted not in frame.columns:
        raise ValueError(f"there is no column {wanted!r}; the columns are {', '.join(frame.columns)}")
    there = [name for name in new if name in frame.columns]
    if there or len(set(new)) < len(new):
        raise ValueError(f"the column {(there or new)[0]!r} exists already: drop it, or name another output column")


def with_recipe(frame, name, recipe):
    """`frame`, in which the metadata of the column of vectors `name` hold their recipe, a dict; Spark's Parquet files
    keep it."""
    if recipe is None:
        return frame
    metadata = {**frame.schema[name].metadata, RECIPE: json.dumps(recipe, sort_keys=True)}
    # withMetadata would take a dot in the name for a field of a struct.
    return frame.select(
        *(
            column_of(frame, other).alias(other, **({"metadata": metadata} if other == name else {}))
            for other in frame.columns
        )
    )


def recipe_of(frame, name):
    """The recipe of the column of vectors `name`; None where nothing is known of it."""
    text = frame.schema[name].metadata.get(RECIPE)
    return None if text is None else json.loads(text)


def float_array(frame, name):
    """The column of vectors `name` as array<float>, null where it is null."""
    kind, column = frame.schema[name].dataType, column_of(frame, name)
    if isinstance(kind, VectorUDT):
        return functions.when(column.isNotNull(), _ml_function("vector_to_array", column, "float32"))
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType):
        return column if isinstance(kind.elementType, FloatType) else column.cast("array<float>")
    raise TypeError(f"the column {name!r} must hold vectors (array<float> or VectorUDT), not {kind.simpleString()}")


def _ml_function(name, column, *arguments):
    """A function of pyspark.ml.functions, which PySpark 3.5 cannot import where pandas is missing."""
    try:
        from pyspark.ml import functions as ml_functions
    except ImportError:
        from pyspark import SparkContext
        from pyspark.sql import Column

        jvm = SparkContext._active_spark_context._jvm
        return Column(getattr(jvm.org.apache.spark.ml.functions, name)(column._jc, *arguments))
    return getattr(ml_functions, name)(column, *arguments)


def with_fields(schema, **fields):
    """`schema` and, after it, these fields (name=type)."""
    return StructType(schema.fields + [StructField(name, kind) for name, kind in fields.items()])


def map_in_arrow(frame, function, schema, row_bytes):
    """``frame.mapInArrow``, in batches of some 16 MiB where a row has `row_bytes` bytes, and without pandas."""
    limit_batches(frame.sparkSession, row_bytes)
    if any(set(name) & set(".`") for name in frame.columns):
        # PySpark looks each column up by its name, in which a dot means a field.
        function = _worker.Renamed(function, frame.columns)
        frame = frame.toDF(*(f"column{number}" for number in range(len(frame.columns))))
    if _session.is_connect(frame.sparkSession):
        return frame.mapInArrow(function, schema)
    import pyspark.sql.pandas.functions as pandas_functions

    check = pandas_functions.require_minimum_pandas_version
    try:
        import pandas  # noqa: F401
    except ImportError:
        # PySpark asks for pandas here although neither side of mapInArrow uses it.
        pandas_functions.require_minimum_pandas_version = lambda: None
    try:
        return frame.mapInArrow(function, schema)
    finally:
        pandas_functions.require_minimum_pandas_version = check


def with_mapped(frame, name, column, function, kind, row_bytes):
    """`frame` and a column `name` that `function` makes of `column`, Arrow arrays to Arrow arrays.

    Spark 4.1 and later send that column alone to Python, and the others stay where they are.
    """
    if hasattr(functions, "arrow_udf"):

        def mapped(arrays: Iterator[pyarrow.Array]) -> Iterator[pyarrow.Array]:
            return function(arrays)

        return frame.withColumn(name, functions.arrow_udf(mapped, kind)(column))
    schema = with_fields(frame.schema, **{name: kind})
    return map_in_arrow(frame.withColumn(name, column), _worker.LastColumn(function), schema, row_bytes)


def limit_batches(session, row_bytes):
    """Keeps the Arrow batches that Spark makes small.

    Spark 4 bounds their bytes by itself. Spark 3.5 counts rows alone, 10,000 of them, which is 4 GB of vectors
    with 100,352 numbers and more than an Arrow batch of the JVM can hold; and as it reads the number when a job
    begins, not when a frame is made, it can only be set for the whole session.
    """
    try:
        session.conf.get(_BYTES)  # with a default given, Spark answers that instead of its own
        return
    except Exception:  # Spark 3.5: Py4J's own, as it knows no such setting
        pass
    rows = max(1, BATCH_BYTES // row_bytes)
    now = int(session.conf.get(_RECORDS))
    if now <= 0 or now > rows:
        session.conf.set(_RECORDS, str(rows))
