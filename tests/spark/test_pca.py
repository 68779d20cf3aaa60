"""coulis.spark.PCA: the bytes of coulis.PCA, whatever the partitions; parameters, pipelines, files."""

import numpy
import pytest
from conftest import CONNECT, kept
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml import feature as spark_ml
from pyspark.ml.linalg import DenseVector, Vectors, VectorUDT
from pyspark.sql import functions
from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

import coulis
from coulis.spark import PCA, PCAModel, _frames
from coulis.spark import pca as stage

ROWS, COLUMNS = 9000, 12  # nine leaves of 1,024 rows: some within a task, some between two
SCHEMA = StructType([StructField("path", StringType()), StructField("features", ArrayType(FloatType()))])


def make(rows=ROWS, columns=COLUMNS, seed=1):
    rng = numpy.random.default_rng(seed)
    return (rng.standard_normal((rows, columns)) * numpy.linspace(3, 0.1, columns) + 5).astype(numpy.float32)


def frame_of(spark, x, paths, parts=5):
    rows = [(path, row) for path, row in zip(paths, x.tolist())]
    numpy.random.default_rng(2).shuffle(rows)
    return spark.createDataFrame(rows, SCHEMA).repartition(parts)


@pytest.fixture(scope="module")
def many(spark):
    """More rows than columns; a path stands twice, a row has none, some have no vector."""
    x = make()
    paths = [f"s3a://b/é{i // 2:06}" for i in range(ROWS)]
    paths[17] = None
    frame = frame_of(spark, x, paths).union(spark.createDataFrame([("s3a://b/none", None)], SCHEMA))
    order = sorted(range(ROWS), key=lambda i: ((paths[i] or "").encode(), x[i].tobytes()))
    return frame.persist(), x[order]


@pytest.fixture(params=["few", "many"])
def either_way(request, monkeypatch):
    """So few rows come to the driver at once; and as if there were more of them than that."""
    if request.param == "many":
        monkeypatch.setattr(stage, "FEW_BYTES", 0)


def assert_same(pca, other):
    for name in ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"):
        assert getattr(pca, name).tobytes() == getattr(other, name).tobytes(), name
    assert (pca.n_samples_, pca.n_components_) == (other.n_samples_, other.n_components_)


@pytest.mark.connect
@pytest.mark.parametrize("parts", [1, 7])
def test_fit_gives_the_bytes_of_one_machine(spark, many, parts, either_way):
    frame, x = many
    assert_same(PCA(k=0.99).fit(frame.repartition(parts)).pca, coulis.PCA(0.99).fit(x))
    assert kept(spark) in (1, None)  # `many` alone: fit keeps nothing


@pytest.mark.parametrize("limit, one_job", [(stage.FEW_BYTES, True), (1 << 20, False)])
def test_few_rows_take_one_job(spark, monkeypatch, limit, one_job):
    """3,000 rows count as a KiB each, so a MiB is too little for them."""
    frame = spark.createDataFrame([(str(number), row) for number, row in enumerate(make(3000).tolist())], SCHEMA)
    monkeypatch.setattr(stage, "FEW_BYTES", limit)
    context, name = spark.sparkContext, f"limit {limit}"
    context.setJobGroup(name, "")
    PCA(k=2).fit(frame)
    context.setLocalProperty("spark.jobGroup.id", None)
    assert (len(context.statusTracker().getJobIdsForGroup(name)) == 1) is one_job


def test_without_a_path_rows_are_ordered_by_content(many, either_way):
    frame, x = many
    order = sorted(range(len(x)), key=lambda i: x[i].tobytes())
    assert_same(PCA(k=3).fit(frame.drop("path")).pca, coulis.PCA(3).fit(x[order]))
    assert_same(
        PCA(k=3, orderCol="features").fit(frame.limit(0).union(frame)).pca,
        PCA(k=3, orderCol="features").fit(frame.repartition(3)).pca,
    )


@pytest.mark.connect
def test_fewer_rows_than_columns(spark, either_way):
    x = make(40, 3000)
    paths = [f"{i:03}" for i in range(40)]
    model = PCA(k=10).fit(frame_of(spark, x, paths))
    expected = coulis.PCA(10).fit(x)
    assert_same(model.pca, expected)
    found = dict(tuple(row) for row in model.transform(frame_of(spark, x, paths)).select("path", "pca").collect())
    scores = expected.transform(x)
    for number, path in enumerate(paths):
        assert numpy.array(found[path], numpy.float32).tobytes() == scores[number].tobytes()


def test_fewer_rows_than_columns_in_the_order_of_paths_and_bytes(spark, either_way):
    x = make(30, 200)
    paths = [None if i % 7 == 0 else f"é{i // 4}" for i in range(30)]
    order = sorted(range(30), key=lambda i: ((paths[i] or "").encode(), x[i].tobytes()))
    frame = frame_of(spark, x, paths)
    assert_same(PCA(k=5).fit(frame).pca, coulis.PCA(5).fit(x[order]))
    by_bytes = sorted(range(30), key=lambda i: x[i].tobytes())
    assert_same(PCA(k=5).fit(frame.drop("path")).pca, coulis.PCA(5).fit(x[by_bytes]))


def test_vectors_and_doubles_in_and_vectors_out(spark, many):
    frame, x = many
    expected = coulis.PCA(2).fit(x)
    doubles = frame.withColumn("features", functions.col("features").cast("array<double>"))
    assert_same(PCA(k=2).fit(doubles).pca, expected)
    rows = [(row.path, row.features and Vectors.dense(row.features)) for row in frame.limit(500).collect()]
    vectors = spark.createDataFrame(rows, StructType([SCHEMA["path"], StructField("features", VectorUDT())]))
    model = PCAModel(expected)
    model._set(outputType="vector")
    as_vectors = {(row.path, row.features): row.pca for row in model.transform(vectors).collect()}
    model._set(outputType="array")
    as_arrays = model.transform(frame.join(vectors.select("path").distinct(), "path", "left_semi"))
    seen = {numpy.array(row.pca, float).tobytes() for row in as_arrays.collect() if row.pca is not None}
    for (_, given), scores in as_vectors.items():
        assert (given is None) == (scores is None)
        if scores is not None:
            assert isinstance(scores, DenseVector)
            assert scores.toArray().tobytes() in seen


def test_not_centred_is_what_spark_ml_gives(spark):
    """Signs apart, which Spark ML leaves to its solver. Scores are float32 here: 2^-24 of numbers around 25."""
    x = make(300, 6)
    frame = frame_of(spark, x, [str(i) for i in range(300)])
    dense = spark.createDataFrame([(row.path, Vectors.dense(row.features)) for row in frame.collect()], ["path", "v"])
    theirs = spark_ml.PCA(k=3, inputCol="v", outputCol="pca").fit(dense)
    ours = PCA(k=3, inputCol="v", centred=False, outputType="vector").fit(dense)
    assert numpy.allclose(ours.explainedVariance.toArray(), theirs.explainedVariance.toArray(), atol=1e-6)
    assert numpy.allclose(abs(ours.pc.toArray()), abs(theirs.pc.toArray()), atol=1e-5)
    a = numpy.array([row.pca.toArray() for row in ours.transform(dense).orderBy("path").collect()])
    b = numpy.array([row.pca.toArray() for row in theirs.transform(dense).orderBy("path").collect()])
    assert numpy.allclose(abs(a), abs(b), atol=2e-4)


@pytest.mark.connect
def test_pipeline_copy_save_and_load(spark, many, tmp_path):
    frame, _ = many
    estimator = PCA(k=3, outputCol="first")
    assert estimator.copy({estimator.k: 0.5}).getK() == 0.5 and estimator.getK() == 3
    estimator.save(str(tmp_path / "estimator"))
    again = PCA.load(str(tmp_path / "estimator"))
    assert (again.uid, again.getK(), again.getOutputCol()) == (estimator.uid, 3, "first")
    model = Pipeline(stages=[estimator, PCA(k=2, inputCol="first", outputCol="second")]).fit(frame)
    model.write().overwrite().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    wanted, found = model.transform(frame).orderBy("path", "first"), loaded.transform(frame).orderBy("path", "first")
    assert wanted.columns == ["path", "features", "first", "second"]
    assert wanted.collect() == found.collect()
    if CONNECT:  # which saves a table
        return
    file = tmp_path / "model" / "stages" / f"0_{loaded.stages[0].uid}" / "pca.safetensors"
    assert_same(coulis.PCA.load(file), model.stages[0].pca)


def test_a_copy_of_a_model_may_have_other_parameters(many):
    frame, _ = many
    model = PCA(k=2).fit(frame)
    other = model.copy({model.outputCol: "other", model.centred: False})
    row = other.transform(model.transform(frame)).where("features is not null").head()
    shift = model.pca.components_.astype(float) @ model.pca.mean_
    assert numpy.allclose(numpy.array(row.other) - numpy.array(row.pca), shift, atol=1e-5)


@pytest.mark.parametrize(
    "make_it, words",
    [
        (lambda f: PCA(k=0), "number of components"),
        (lambda f: PCA(k=1.5), "number of components"),
        (lambda f: PCA(outputType="list"), "must be one of"),
        (lambda f: PCA(inputCol="nothing").fit(f), "no column 'nothing'"),
        (lambda f: PCA(orderCol="nothing").fit(f), "no column 'nothing'"),
        (lambda f: PCA(inputCol="path").fit(f), "must hold vectors"),
        (lambda f: PCA(k=13).fit(f), "13"),
        (lambda f: PCA().fit(f.limit(1)), "at least two vectors"),
        (lambda f: PCAModel(coulis.PCA(2).fit(make(9, 5)))._set(outputCol="path").transform(f), "exists already"),
        (lambda f: PCAModel(coulis.PCA(2).fit(make(9, 5))).transform(f).collect(), "12 numbers"),
    ],
)
def test_what_cannot_be_is_a_sentence(many, make_it, words):
    with pytest.raises(Exception) as caught:
        make_it(many[0].where("features is not null"))
    assert words in str(caught.value)


def test_lengths_that_differ(spark, either_way):
    rows = [("a", [1.0, 2.0]), ("b", [1.0, 2.0]), ("c", [1.0, 2.0, 3.0])]
    with pytest.raises(Exception, match="2 (to 3 )?numbers|3 numbers"):
        PCA(k=1).fit(spark.createDataFrame(rows, SCHEMA).repartition(3))


def test_batches_are_bounded_without_a_bound_of_bytes():
    """Spark 3.5 has none, and says that there is no such setting: the number of rows is lowered there."""

    class Conf:
        def __init__(self, values):
            self.values = values

        def get(self, name):
            return self.values[name]

        def set(self, name, value):
            self.values[name] = value

    class Session:
        conf = Conf({_frames._RECORDS: "10000"})

    _frames.limit_batches(Session, 8 * 100352)
    assert int(Session.conf.get(_frames._RECORDS)) == (16 << 20) // (8 * 100352)


def test_a_session_keeps_its_settings(spark, many):
    """Spark 4 bounds batches by itself, also where nobody has set by how much; and fit sets for itself alone in what
    batches rows are kept."""
    frame, _ = many
    rows_kept = spark.conf.get(stage._BATCH_ROWS)
    PCA(k=2).fit(frame).transform(frame).count()
    assert spark.conf.get(_frames._RECORDS) == "10000"
    assert spark.conf.get(stage._BATCH_ROWS) == rows_kept == "10000"


def test_numbers_of_numpy_are_saved(spark, tmp_path):
    for number, kind in ((numpy.int64(3), int), (numpy.float32(0.5), float)):
        PCA(k=number).save(str(tmp_path / str(number)))
        k = PCA.load(str(tmp_path / str(number))).getK()
        assert k == number and type(k) is kind


@pytest.mark.connect
def test_nan_is_told_by_the_row(spark, either_way):
    rows = [(f"s3a://b/{i}", [float(i), 1.0, 2.0 * i]) for i in range(9)] + [("s3a://b/bad", [1.0, float("nan"), 2.0])]
    frame = spark.createDataFrame(rows, SCHEMA).repartition(3)
    with pytest.raises(coulis.Error, match="^the vector of s3a://b/bad has nan at place 1; leave such rows out$"):
        PCA(k=1).fit(frame)


def test_ranges_are_of_keys_alone(many):
    """What Spark samples for them comes to the driver."""
    frame, _ = many
    for given, wanted in ((frame, "key"), (frame.drop("path"), "substring(vector")):
        plan = stage._Rows(given, "features", "path" if wanted == "key" else None)._sorted(3)
        text = plan._jdf.queryExecution().optimizedPlan().toString()
        (by,) = [line for line in text.splitlines() if "RepartitionByExpression" in line]
        assert wanted in by and (wanted != "key" or "vector" not in by)
