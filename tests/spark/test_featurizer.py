"""coulis.spark.ImageFeaturizer: its options reach the executors, and a saved one has them."""

import io

import numpy
import pytest

import coulis
from coulis.spark import PCA, ImageFeaturizer

OPTIONS = [{"decode": "fast"}, {"precision": "bf16"}, {"precision": "int8"}]


@pytest.fixture(scope="module")
def photograph():
    """A JPEG that is large enough to be decoded at a quarter of its size."""
    from PIL import Image

    coarse = Image.fromarray(numpy.random.default_rng(5).integers(0, 256, (40, 50, 3), dtype=numpy.uint8))
    file = io.BytesIO()
    coarse.resize((2000, 1600), Image.BICUBIC).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.connect
@pytest.mark.parametrize("options", OPTIONS)
def test_an_option_reaches_the_network(spark, photograph, options):
    frame = spark.createDataFrame([(photograph,)], "content binary")
    found = numpy.array(ImageFeaturizer(**options).transform(frame).head().features, numpy.float32)
    assert found.tobytes() == coulis.Featurizer(**options).featurize(photograph).values.tobytes()
    usual = coulis.Featurizer().featurize(photograph).values
    # A processor without instructions for fewer bits gives float32's bytes.
    assert found.tobytes() != usual.tobytes() or "precision" in options


@pytest.mark.parametrize("options", OPTIONS)
def test_save_and_load(spark, tmp_path, options):
    ImageFeaturizer(**options).save(str(tmp_path / "stage"))
    again = ImageFeaturizer.load(str(tmp_path / "stage"))
    wanted = {"decode": "exact", "precision": "float32", **options}
    assert {name: again.getOrDefault(name) for name in wanted} == wanted


@pytest.mark.parametrize("options", [{"decode": "slow"}, {"precision": "float16"}])
def test_what_cannot_be_is_a_sentence(spark, options):
    with pytest.raises(TypeError, match="must be one of"):
        ImageFeaturizer(**options)


def test_getters_and_setters_as_pyspark_has_them():
    values = {
        "Resize": "crop",
        "Orient": "ignore",
        "Alpha": "drop",
        "Decode": "fast",
        "Precision": "bf16",
        "Like": "pillow",
        "StatusCol": "s",
        "ErrorCol": "e",
        "MaxPixels": 9,
        "Model": "m",
        "Features": "pooled",
    }
    stage = ImageFeaturizer()
    for name, value in values.items():
        assert getattr(stage, f"set{name}")(value) is stage and getattr(stage, f"get{name}")() == value
    assert PCA().setOrderCol("path").getOrderCol() == "path"
    with pytest.raises(TypeError, match="must be one of"):
        stage.setDecode("slow")


def test_a_name_that_is_wrong_fails_on_the_driver(spark, photograph):
    frame = spark.createDataFrame([(photograph,)], "content binary")
    with pytest.raises(coulis.Error, match="resnet5000"):
        ImageFeaturizer(model="resnet5000").transform(frame)
