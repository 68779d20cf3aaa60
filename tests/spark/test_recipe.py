"""coulis.spark: vectors carry their recipe with them, and components refuse those of another."""

import io
import os
import shutil

import numpy
import pytest
from pyspark.sql import functions
from pyspark.sql.types import ArrayType, FloatType, StringType

import coulis
from coulis.spark import PCA, ImageFeaturizer, PCAModel, _frames, _worker


@pytest.fixture(scope="module")
def frame(spark):
    from PIL import Image

    rows = []
    for number in range(6):
        file = io.BytesIO()
        pixels = numpy.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).save(file, "png")
        rows.append((str(number), file.getvalue()))
    return spark.createDataFrame(rows, "path string, content binary").repartition(2).persist()


@pytest.fixture(scope="module")
def vectors(frame):
    return ImageFeaturizer().transform(frame).drop("content").persist()


@pytest.fixture(scope="module")
def model(vectors):
    return PCA(k=2).fit(vectors)


def test_vectors_and_components_carry_the_recipe(vectors, model):
    recipe = coulis.Featurizer().recipe
    del recipe["instruction_set"]  # of the driver; those of the executors may be others
    assert _frames.recipe_of(vectors, "features") == recipe == model.pca.recipe_
    assert model.transform(vectors).count() == 6


def test_vectors_of_another_recipe_are_refused(frame, model):
    other = ImageFeaturizer(decode="fast").transform(frame)
    said = "their decode is none, that of these vectors is fast; allowOtherRecipe"
    with pytest.raises(coulis.Error, match=said) as error:
        model.transform(other)
    assert error.value.status == "conflict"
    assert model.copy().setAllowOtherRecipe(True).transform(other).where("pca is not null").count() == 6


@pytest.mark.connect
def test_a_table_a_vector_and_a_saved_model_keep_it(spark, frame, vectors, model, tmp_path):
    ImageFeaturizer(decode="fast", outputType="vector").transform(frame).write.parquet(str(tmp_path / "other"))
    vectors.write.parquet(str(tmp_path / "same"))
    model.save(str(tmp_path / "model"))
    again = PCAModel.load(str(tmp_path / "model"))
    assert again.transform(spark.read.parquet(str(tmp_path / "same"))).count() == 6
    with pytest.raises(coulis.Error, match="decode"):
        again.transform(spark.read.parquet(str(tmp_path / "other")))


def test_arrays_of_elsewhere_pass(spark, vectors, model):
    rows = [(row.path, row.features) for row in vectors.collect()]
    plain = spark.createDataFrame(rows, "path string, features array<float>")
    assert _frames.recipe_of(plain, "features") is None
    assert PCA(k=2).fit(plain).pca.recipe_ is None
    ours, theirs = (sorted(m.transform(plain).select("path", "pca").collect()) for m in (model, PCA(k=2).fit(plain)))
    assert ours == theirs


def test_the_command_knows_components_of_a_cluster(model, tmp_path):
    """Its own vectors say which instruction set they come from; these do not, and that is not a difference."""
    pca = coulis.PCA.load(saved(model.pca, tmp_path))
    pca._check_recipe(coulis.Featurizer().recipe)
    with pytest.raises(coulis.Error, match="decode"):
        pca._check_recipe(coulis.Featurizer(decode="fast").recipe)


def saved(pca, folder):
    pca.save(folder / "pca.safetensors")
    return folder / "pca.safetensors"


def test_the_driver_opens_a_network_once_and_again_when_it_is_replaced(tmp_path, monkeypatch):
    opened, name = [], str(tmp_path / "network.safetensors")
    real = _worker.featurizer_of
    monkeypatch.setattr(_worker, "featurizer_of", lambda *given: opened.append(given) or real(*given))
    found = {}
    for network in ("efficientnet-lite0", "efficientnet-lite1"):
        shutil.copy(coulis.find_model(network), name + ".new")
        os.replace(name + ".new", name)
        options = ImageFeaturizer(model=name)._options()
        found[network], again = ImageFeaturizer.recipe_of(options), ImageFeaturizer.recipe_of(options)
        assert found[network] == again and len(opened) == len(found)
    assert found["efficientnet-lite0"]["model_sha256"] != found["efficientnet-lite1"]["model_sha256"]


def test_an_executor_with_another_network_is_an_error(frame):
    options = {"model": "efficientnet-lite0"}
    recipe = {**_worker.recipe_of(coulis.Featurizer()), "model_sha256": "0" * 64}
    types = {"features": ArrayType(FloatType()), "status": StringType(), "error": StringType()}
    schema = _frames.with_fields(frame.schema, **types)
    work = _worker.Featurize("content", ("features", "status", "error"), options, recipe)
    with pytest.raises(Exception, match="this executor would give other vectors than the driver says: model_sha256"):
        _frames.map_in_arrow(frame, work, schema, 1 << 18).select(functions.count("*")).collect()


def test_a_network_that_only_executors_have_gives_no_recipe(frame):
    assert _frames.recipe_of(ImageFeaturizer(model="/nowhere/here.safetensors").transform(frame), "features") is None
