"""Keras' legacy .h5 files of ResNet50, written by Keras, through `coulis models add`; and damaged ones.

Part of the group `keras`, whose environment has Keras and h5py.
"""

import os
import re
import subprocess
import sys

import coulis
import numpy
import pytest
from coulis.convert import add, h5_file
from net_helpers import COSINE, RELATIVE

h5py = pytest.importorskip("h5py", reason="no h5py: the group `keras` has an environment with it")


# ---- ResNet50 --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def network():
    """keras.applications.ResNet50 with seeded weights, under which numbers keep the order of 1 to 10."""
    keras = pytest.importorskip("keras", reason="no keras: the group `keras` has an environment with it")
    model = keras.applications.ResNet50(weights=None)
    generator = numpy.random.default_rng(20)
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            kind, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
            if kind == "kernel":  # He et al. 2015: variance 2 over the inputs of a neuron
                value = generator.standard_normal(shape) * numpy.sqrt(2 / numpy.prod(shape[:-1]))
            elif kind == "gamma":  # the last of a block damped, so that the shortcuts do not add up beyond measure
                value = generator.normal(0.4 if layer.name.endswith("_3_bn") else 1, 0.1, shape)
            elif kind == "moving_variance":  # images come as -124 to 151
                value = generator.uniform(0.5, 1.5, shape) * (1e4 if layer.name == "conv1_bn" else 1)
            else:
                value = generator.normal(0, 0.1, shape)
            values.append(value.astype(numpy.float32))
        if values:
            layer.set_weights(values)
    return model


def save(model, path, style):
    """Keras' own writer; "tensorflow" renames as the published files are: `:0` behind a name, the top called probs."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
        if style == "tensorflow":
            names = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            for name in names:
                file.move(name, name.replace("predictions", "probs") + ":0")
    return path


def add_by_command(command, path, name, folder, code=0):
    done = subprocess.run(
        [command, "models", "add", path, "--name", name, "--from", "keras"],
        env={
            **os.environ,
            "COULIS_PYTHON": sys.executable,
            "COULIS_MODELS": str(folder),
            "PYTHONPATH": os.path.dirname(os.path.dirname(coulis.__file__)),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout.strip() if code == 0 else done.stderr


@pytest.fixture(scope="session")
def pixels(fruits):
    """50 images of fruits-360, spread over its classes, decoded and resized."""
    paths = sorted((fruits / "test").rglob("*.jpg"))
    return numpy.stack([coulis.load_image(path) for path in paths[:: len(paths) // 50][:50]])


@pytest.fixture(scope="session")
def wanted(network, pixels):
    """Keras' own map and pooled features of the 50 images."""
    import keras

    model = keras.Model(network.input, [network.get_layer(name).output for name in ("conv5_block3_out", "avg_pool")])
    prepared = keras.applications.resnet.preprocess_input(pixels.astype(numpy.float32))
    found = [numpy.asarray(values) for values in model.predict(prepared, batch_size=10, verbose=0)]
    assert found[0].shape == (50, 7, 7, 2048)
    return {"map": found[0].reshape(50, -1).astype(numpy.float64), "pooled": found[1].astype(numpy.float64)}


@pytest.mark.parametrize("style", ["keras", "tensorflow"])
def test_resnet50_written_by_keras_gives_keras_features(style, network, pixels, wanted, command, tmp_path):
    path = add_by_command(command, save(network, tmp_path / "weights.h5", style), "own", tmp_path)
    for features, expected in wanted.items():
        # Numbers that vanished or exploded would agree, or not, for no good reason.
        assert 0.5 < abs(expected).max() < 1000 and (expected != 0).mean() > 0.2
        assert expected.std(0).max() > 0.01 * abs(expected).max()  # no two images come out the same
        with coulis.Featurizer(path, features, threads=2) as featurizer:
            found = featurizer.featurize_pixels(pixels).astype(numpy.float64)
        assert found.shape == expected.shape
        cosine = (found * expected).sum(1) / numpy.linalg.norm(found, axis=1) / numpy.linalg.norm(expected, axis=1)
        difference = abs(found - expected).max() / abs(expected).max()
        print(f"{style} {features}: cosine {cosine.min():.9f}, difference {difference:.2e} of the largest value")
        assert cosine.min() >= COSINE
        assert difference <= RELATIVE


def test_whole_models_and_models_without_top(network, tmp_path):
    import keras

    network.save(tmp_path / "whole.h5")
    bare = keras.Model(network.input, network.get_layer("conv5_block3_out").output)
    save(bare, tmp_path / "bare.h5", "keras")
    full = add.convert(tmp_path / "whole.h5", "n", "keras")
    assert full[0]["features"]["logits"] == "predictions"
    description, tensors = add.convert(tmp_path / "bare.h5", "n", "keras")
    assert set(description["features"]) == {"map", "pooled"}
    assert all((tensors[name] == full[1][name]).all() for name in tensors) and len(full[1]) == len(tensors) + 2
    network.save(tmp_path / "whole.keras")
    described, archived = add.convert(tmp_path / "whole.keras", "n", "keras")
    assert described["nodes"] == full[0]["nodes"] and described["features"] == full[0]["features"]
    assert set(archived) == set(full[1]) and all((archived[name] == full[1][name]).all() for name in archived)
    network.save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(ValueError, match="model.save"):
        add.convert(tmp_path / "new.weights.h5", "n", "keras")


def old_name(layer):
    """As Keras called a layer of ResNet50 before 2.2.5."""
    found = re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", layer)
    if not found:
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}[layer]
    stage, block, place, kind = found.groups()
    branch = ("1", "2a", "2b", "2c")[int(place)]
    return f"{'res' if kind == 'conv' else 'bn'}{stage}{'abcdef'[int(block) - 1]}_branch{branch}"


def test_names_of_earlier_releases(network, tmp_path):
    network.save(tmp_path / "new.h5")
    wanted = add.convert(tmp_path / "new.h5", "n", "keras")[1]
    state = h5_file.read((tmp_path / "new.h5").read_bytes())
    first = {
        "kernel": "W",
        "bias": "b",
        "gamma": "gamma",
        "beta": "beta",
        "moving_mean": "running_mean",
        "moving_variance": "running_std",
    }
    ways = {"old.h5": lambda layer, part: part, "oldest.h5": lambda layer, part: f"{layer}_{first[part]}_1"}
    for file, way in ways.items():
        with h5py.File(tmp_path / file, "w") as made:
            for name, values in state.items():
                layer, _, part = name.rpartition("/")
                layer = old_name(layer)
                made.create_dataset(f"{layer}/{layer}/{way(layer, part)}:0", data=values)
        found = add.convert(tmp_path / file, "n", "keras")[1]
        assert set(found) == set(wanted) and all((found[name] == wanted[name]).all() for name in found)


def test_what_lies_in_front_of_and_behind_the_network(network, tmp_path):
    import keras

    inner = keras.Model(network.input, network.get_layer("conv5_block3_out").output)
    layers = keras.layers
    front = {
        "rescaling": layers.Rescaling(1 / 127.5, offset=-1),
        "flip": layers.RandomFlip(),
        "normalization": layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 4, 4]),
        "batch": layers.BatchNormalization(),
    }
    for ending in (".keras", ".h5"):
        for name, layer in front.items():
            image = keras.Input((224, 224, 3))
            x = layers.GlobalAveragePooling2D()(inner(layer(image)))
            x = layers.Dense(3)(layers.BatchNormalization()(layers.Dense(8, activation="relu")(x)))
            path = tmp_path / f"{name}{ending}"
            keras.Model(image, x).save(path)
            notes = []
            if name in ("normalization", "batch"):
                with pytest.raises(ValueError, match="a layer (Batch)?Normalization in front of the network"):
                    add.convert(path, "n", "keras")
                continue
            description, _ = add.convert(path, "n", "keras", notes=notes)
            assert "left out: 3 layers behind the network" in notes[-1] and "logits" not in description["features"]
            wanted = ([127.5] * 3, [127.5] * 3) if name == "rescaling" else ([103.939, 116.779, 123.68], [1, 1, 1])
            assert (description["input"]["mean"], description["input"]["std"]) == wanted


def test_other_networks_of_keras_are_refused(tmp_path, command):
    keras = pytest.importorskip("keras", reason="no keras: the group `keras` has an environment with it")
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.save(tmp_path / "small.h5")
    said = add_by_command(command, tmp_path / "small.h5", "own", tmp_path / "models", code=1)
    assert "none of the names of a known layout" in said and "ONNX" in said
    assert list((tmp_path / "models").iterdir()) == []


# ---- damaged files -------------------------------------------------------------------------------


def write_good(file):
    file.create_dataset("conv/conv/kernel:0", data=numpy.arange(12, dtype="<f4").reshape(1, 1, 3, 4))
    file.create_dataset("conv/conv/bias:0", data=numpy.ones(4, "<f4"))


def chunked(file, _):
    file.create_dataset("a/b", data=numpy.ones((64, 64), "<f4"), chunks=(8, 8))


def compressed(file, _):
    file.create_dataset("a/b", data=numpy.zeros((512, 512), "<f4"), compression="gzip")


def unwritten(file, _):
    """A claim of 4 TB, of which nothing is there."""
    space = h5py.h5s.create_simple((1 << 40,))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, b"big", h5py.h5t.IEEE_F32LE, space, properties)


def virtual(file, folder):
    with h5py.File(folder / "source.h5", "w") as other:
        other.create_dataset("x", data=numpy.ones(4, "<f4"))
    layout = h5py.VirtualLayout((4,), "<f4")
    layout[:] = h5py.VirtualSource(str(folder / "source.h5"), "x", shape=(4,))
    file.create_virtual_dataset("a/b", layout)


def external(file, folder):
    (folder / "raw").write_bytes(b"\0" * 16)
    file.create_dataset("a/b", (4,), "<f4", external=[(str(folder / "raw"), 0, 16)])


def soft_link(file, _):
    write_good(file)
    file["a"] = h5py.SoftLink("/conv/conv")


def external_link(file, folder):
    with h5py.File(folder / "source.h5", "w") as other:
        other.create_dataset("x", data=numpy.ones(4, "<f4"))
    file["a"] = h5py.ExternalLink(str(folder / "source.h5"), "/x")


def model_weights_link(file, folder):
    external_link(file, folder)
    file.move("a", "model_weights")


def loop(file, _):
    file.create_group("a")["b"] = file["/"]


def many(file, _):
    for index in range(200):
        group = file.create_group(f"g{index}")
        for inner in range(101):
            group.create_group(str(inner))


def same_name(file, _):
    file.create_dataset("x/conv/bias", data=numpy.ones(4, "<f4"))
    file.create_dataset("y/conv/bias:0", data=numpy.ones(4, "<f4"))


DAMAGED = {
    "chunks": (chunked, "one piece"),
    "a filter": (compressed, "one piece"),
    "a huge claim": (unwritten, "more numbers than the file has|one piece"),
    "a virtual dataset": (virtual, "one piece"),
    "external storage": (external, "another file|one piece"),
    "a soft link": (soft_link, "a link to somewhere else"),
    "an external link": (external_link, "a link to somewhere else"),
    "an external link for the weights": (model_weights_link, "a link to somewhere else"),
    "a group in itself": (loop, "nested too deeply"),
    "too many groups": (many, "more than 20000"),
    "float64": (lambda file, _: file.create_dataset("a/b", data=numpy.ones(4)), "float64"),
    "big-endian": (lambda file, _: file.create_dataset("a/b", data=numpy.ones(4, ">f4")), "not float32"),
    "text": (lambda file, _: file.create_dataset("a/b", data=["x", "y"]), "not float32"),
    "a committed type": (lambda file, _: file.__setitem__("a", numpy.dtype("<f4")), "neither a group nor a dataset"),
    "one name twice": (same_name, "two weights called conv/bias"),
    "nothing": (lambda file, _: None, "no weights"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_files_that_are_not_plain_are_refused(name, tmp_path):
    build, reason = DAMAGED[name]
    with h5py.File(tmp_path / "file.h5", "w") as file:
        build(file, tmp_path)
    with pytest.raises(ValueError, match=reason):
        h5_file.read((tmp_path / "file.h5").read_bytes(), "file.h5")


def test_cut_and_corrupted_files_give_weights_or_a_sentence(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        write_good(file)
    data = (tmp_path / "file.h5").read_bytes()
    good = h5_file.read(data)
    assert list(good) == ["conv/bias", "conv/kernel"] and good["conv/kernel"][0, 0, 2, 3] == 11
    for length in range(0, len(data), 97):
        with pytest.raises(ValueError):
            h5_file.read(data[:length])
    generator = numpy.random.default_rng(4)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            changed[generator.integers(len(data))] = generator.integers(256)
        try:
            assert all(values.nbytes <= len(data) for values in h5_file.read(bytes(changed)).values())
        except ValueError as error:
            assert len(str(error)) > 20
