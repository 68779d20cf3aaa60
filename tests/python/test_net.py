"""Real networks against ONNX Runtime, and against themselves."""

import json
import os
import subprocess
import sys

import coulis
import numpy
import pytest
from coulis.convert import graph, recipe, resnet50
from net_helpers import KINDS, assert_close, features, generated_images, write_model
from net_oracle import Oracle, read_model

# ---- efficientnet-lite0 ------------------------------------------------------------------


@pytest.fixture(scope="module")
def lite0(lite0_path):
    return Oracle(*read_model(lite0_path))


def fruit_files(fruits, count):
    """`count` images spread over the folder."""
    found = sorted((fruits / "test").rglob("*.jpg"))
    return [str(path) for path in found[:: max(1, len(found) // count)][:count]]


@pytest.fixture(scope="module")
def fruit_features(lite0, fruits):
    """Paths of 400 images, and their features by Pillow and ONNX Runtime."""
    from PIL import Image

    files, pixels = fruit_files(fruits, 400), []
    for name in files:
        with Image.open(name) as image:
            pixels.append(numpy.asarray(image.convert("RGB").resize((224, 224), Image.BICUBIC)))
    return files, lite0.run(numpy.stack(pixels))


@pytest.mark.quick(0)
@pytest.mark.parametrize("kind", KINDS)
def test_400_fruits_agree_with_onnx_runtime(kind, fruit_features, lite0_path):
    files, wanted = fruit_features
    assert len(files) == 400
    with coulis.Featurizer(lite0_path, kind) as featurizer:
        result = featurizer.featurize(files)
    assert set(result.status) == {"ok"}
    assert_close(result.values, wanted[kind], files)


@pytest.mark.quick(0)
@pytest.mark.parametrize("kind", KINDS)
def test_100_generated_images_agree_with_onnx_runtime(kind, lite0, lite0_path):
    pixels = generated_images(100)
    assert_close(features(lite0_path, kind, pixels), lite0.run(pixels)[kind])


@pytest.mark.parametrize(
    "name, label", [("Apple Granny Smith/71_100.jpg", 948), ("Strawberry/62_100.jpg", 949), ("Banana/103_100.jpg", 954)]
)
def test_fruits_are_recognised(name, label, lite0_path, fruits):
    with coulis.Featurizer(lite0_path, "logits") as featurizer:
        scores = featurizer.featurize(fruits / "test" / name).values[0].astype(float)
    shares = numpy.exp(scores - scores.max())
    shares /= shares.sum()
    assert shares.argmax() == label and shares[label] > 0.8


def test_lengths_and_description(lite0_path):
    for kind, length in zip(KINDS, (1280, 7 * 7 * 1280, 1000)):
        with coulis.Featurizer(lite0_path, kind) as featurizer:
            assert featurizer.length == length
            info = featurizer.model_info
        assert info["name"] == "efficientnet-lite0" and info["licence"] == "Apache-2.0"
        assert (info["pooled_length"], info["map_length"]) == (1280, 62720)
        assert info["logits_length"] == 1000 and len(info["sha256"]) == 64


def test_the_average_of_the_map_is_the_pooled_vector(lite0_path):
    pixels = generated_images(6)
    area = features(lite0_path, "map", pixels).reshape(6, 49, 1280).astype(float).mean(1)
    # 49 numbers are added in float32: 49 * 2**-24 = 3e-6 of values that are at most 6
    numpy.testing.assert_allclose(features(lite0_path, "pooled", pixels), area, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_results_depend_neither_on_threads_nor_order_nor_batch(kind, lite0_path):
    pixels = generated_images(13)
    order = numpy.random.default_rng(2).permutation(13)
    wanted = features(lite0_path, kind, pixels, 1)
    assert len({row.tobytes() for row in wanted}) == 13
    for threads in (2, 3, None):
        assert features(lite0_path, kind, pixels, threads).tobytes() == wanted.tobytes(), threads
    with coulis.Featurizer(lite0_path, kind, 2) as featurizer:
        assert featurizer.featurize_pixels(pixels[order]).tobytes() == wanted[order].tobytes()
        for row in range(13):
            assert featurizer.featurize_pixels(pixels[row : row + 1]).tobytes() == wanted[row].tobytes(), row
        assert featurizer.featurize_pixels(pixels[3:9]).tobytes() == wanted[3:9].tobytes()


CHILD = """
import sys, numpy, coulis
from coulis import _library
print(_library.library().coulis_instruction_set().decode())
pixels = numpy.load(sys.argv[1])
for kind in ("pooled", "map", "logits"):
    with coulis.Featurizer(sys.argv[2], kind, int(sys.argv[4])) as featurizer:
        numpy.save(f"{sys.argv[3]}/{kind}.npy", featurizer.featurize_pixels(pixels))
"""


def in_child(instruction_set, pixels, model, folder, threads):
    """Features by another process that was told which instruction set to use."""
    folder.mkdir()
    numpy.save(folder / "pixels.npy", pixels)
    environment = {**os.environ, "COULIS_CPU": instruction_set, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, folder / "pixels.npy", model, folder, threads]
    done = subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True, text=True)
    if done.stdout.strip() != instruction_set:
        pytest.skip(f"this machine has no {instruction_set}")
    return {kind: numpy.load(folder / f"{kind}.npy") for kind in KINDS}


@pytest.mark.parametrize("instruction_set", ["scalar", "avx2", "avx512", "neon"])
def test_every_instruction_set_agrees_with_onnx_runtime(instruction_set, lite0, lite0_path, tmp_path):
    pixels = generated_images(12)
    found = in_child(instruction_set, pixels, lite0_path, tmp_path / "two", 2)
    wanted = lite0.run(pixels)
    for kind in KINDS:
        assert_close(found[kind], wanted[kind])
    alone = in_child(instruction_set, pixels[5:6], lite0_path, tmp_path / "one", 1)
    for kind in KINDS:
        assert alone[kind].tobytes() == found[kind][5].tobytes()


# ---- other networks ------------------------------------------------------------------------


@pytest.mark.quick(0)
def test_resnet50_with_random_weights_agrees_with_onnx_runtime(tmp_path):
    description = graph.describe(recipe.read("resnet50"), resnet50.build()[0])
    tensors = write_model(tmp_path / "resnet50.safetensors", description)
    pixels = generated_images(6)
    wanted = Oracle(description, tensors).run(pixels)
    for kind in KINDS:
        assert_close(features(tmp_path / "resnet50.safetensors", kind, pixels), wanted[kind])


def test_a_graph_alone_opens_with_random_weights_only(tmp_path):
    description = graph.describe(recipe.read("resnet50"), resnet50.build()[0])
    path = tmp_path / "r.graph.json"
    path.write_text(json.dumps(description))
    with coulis.Featurizer(path, "map", random_weights=True) as featurizer:
        assert featurizer.length == 100352 and featurizer.model_info["sha256"] == ""
        values = featurizer.featurize_pixels(generated_images(1))
    assert numpy.isfinite(values).all() and values.any()
    with pytest.raises(coulis.Error) as caught:
        coulis.Featurizer(path)
    assert caught.value.status == "bad_model"
