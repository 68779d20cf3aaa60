"""Damaged files of every kind that networks come in: each gives a network or a sentence that names it, and soon."""

import io
import json
import time
import zipfile

import h5py
import numpy
import onnx
import pytest
import safetensors.torch
import torch
import transformers
from coulis.convert import add, config, onnx_import
from onnx import numpy_helper
from test_torch_onnx import NETS, export

EACH = 25  # of each kind
SECONDS = 30  # of this process; a good file takes less than one


def saved(**how):
    data = io.BytesIO()
    state = {"layer.weight": torch.randn(8, 8), "layer.bias": torch.zeros(8)}
    torch.save({"state_dict": state, "epoch": 3}, data, **how)
    return data.getvalue()


def keras_file(weights_only):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for layer, parts in (("conv2d", ((3, 3, 3, 8), (8,))), ("dense", ((8, 5), (5,)))):
            for place, shape in enumerate(parts):
                name = f"layers/{layer}/vars/{place}" if not weights_only else f"{layer}/{('kernel', 'bias')[place]}:0"
                file.create_dataset(name, data=numpy.ones(shape, "<f4"))
        if weights_only:
            file.attrs["model_config"] = json.dumps(DESCRIPTION)
    return data.getvalue()


DESCRIPTION = {
    "class_name": "Functional",
    "config": {
        "layers": [
            {"class_name": name, "config": {"name": name.lower(), "scale": 0.5}}
            for name in ("Rescaling", "Conv2D", "Dense")
        ]
    },
}


def archive():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("config.json", json.dumps(DESCRIPTION))
        file.writestr("model.weights.h5", keras_file(False))
    return data.getvalue()


def exported(tmp_path, name="siglip"):
    make, run = NETS[name]
    export(make(), run, tmp_path / "good.onnx", 14)
    return (tmp_path / "good.onnx").read_bytes()


def by_torch(path):
    add.convert(path, "n", "torch")


def by_keras(path):
    add.convert(path, "n", "keras")


def by_onnx(path):
    onnx_import.convert(path, "n", onnx_import.Options("torch"))


KINDS = {  # file, its bytes, what reads it
    "pth": ("net.pth", lambda folder: saved(), by_torch),
    "legacy pth": ("net.pt", lambda folder: saved(_use_new_zipfile_serialization=False), by_torch),
    "safetensors": (
        "net.safetensors",
        lambda folder: safetensors.torch.save({"a.weight": torch.randn(8, 8)}),
        by_torch,
    ),
    "keras": ("net.keras", lambda folder: archive(), by_keras),
    "h5": ("net.h5", lambda folder: keras_file(True), by_keras),
    "onnx": ("net.onnx", exported, by_onnx),
    "config": (
        "config.json",
        lambda folder: transformers.CLIPConfig().to_json_string().encode(),
        lambda path: config.read([path]),
    ),
    "preprocessor": (
        "preprocessor_config.json",
        lambda folder: transformers.CLIPImageProcessor().to_json_string().encode(),
        lambda path: config.read([path]),
    ),
}


def refused_or_read(path, read):
    """Whether it was refused."""
    began = time.process_time()
    try:
        read(path)
    except ValueError as error:
        assert str(path) in str(error) and len(str(error)) < 1000, error
        return True
    finally:
        assert time.process_time() - began < SECONDS
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_bytes(kind, tmp_path):
    name, make, read = KINDS[kind]
    good, path = make(tmp_path), tmp_path / name
    generator, refused = numpy.random.default_rng(len(kind)), 0
    for number in range(EACH):
        data = bytearray(good)
        if number % 5 == 0:
            data = data[: generator.integers(len(data))]
        elif number % 5 == 1:  # a run of bytes in another place
            start, end, place = generator.integers(len(data), size=3)
            data[place:place] = data[min(start, end) : max(start, end)][:4096]
        else:  # near the beginning, or the end, where a file says what it holds
            for _ in range(1 + number % 4):
                place = generator.integers(min(len(data), 600)) * (-1 if number % 2 else 1)
                data[place] = generator.integers(256)
        path.write_bytes(bytes(data))
        refused += refused_or_read(path, read)
    assert refused > 0


NUMBERS = [-1, 0, 1, 3, 7, 2**31, 2**62, -(2**40)]


@pytest.mark.parametrize("name", ["siglip", "vit of torchvision", "clip of length 1", "formulas"])
def test_graphs_that_say_something_else(name, tmp_path):
    """Whole ONNX files whose nodes do not fit each other: shapes, orders, axes, inputs and operators are changed."""
    good, generator, refused = onnx.load_model_from_string(exported(tmp_path, name)), numpy.random.default_rng(3), 0
    for number in range(EACH):
        changed = onnx.ModelProto()
        changed.CopyFrom(good)
        nodes, way = changed.graph.node, number % 5
        node = nodes[generator.integers(len(nodes))]
        if way == 0:  # another operator
            node.op_type = nodes[generator.integers(len(nodes))].op_type
        elif way == 1 and node.input:  # another input
            other = nodes[generator.integers(len(nodes))]
            node.input[generator.integers(len(node.input))] = other.output[0]
        elif way == 2:  # other numbers in a small constant
            small = [n for n in nodes if n.op_type == "Constant" and n.attribute[0].t.dims in ([], [1], [2], [3], [4])]
            if not small:
                continue
            held = small[generator.integers(len(small))].attribute[0].t
            array = numpy_helper.to_array(held).copy()
            array.reshape(-1)[:1] = generator.choice(NUMBERS[:5])
            held.CopyFrom(numpy_helper.from_array(array))
        elif way == 3:  # other numbers in an attribute
            whole = [(n, a) for n in nodes for a in n.attribute if a.type in (2, 7)]
            held = whole[generator.integers(len(whole))][1]
            if held.type == 2:
                held.i = int(generator.choice(NUMBERS))
            elif held.ints:
                held.ints[generator.integers(len(held.ints))] = int(generator.choice(NUMBERS))
        else:  # a tensor of another shape
            held = changed.graph.initializer[generator.integers(len(changed.graph.initializer))]
            held.CopyFrom(numpy_helper.from_array(numpy.ones((2, *held.dims[1:]), "<f4"), held.name))
        path = tmp_path / "net.onnx"
        path.write_bytes(changed.SerializeToString())
        refused += refused_or_read(path, by_onnx)
    assert refused > EACH // 4


def test_the_files_that_are_damaged_above_are_good(tmp_path):
    for kind in ("onnx", "config", "preprocessor"):
        name, make, read = KINDS[kind]
        (tmp_path / name).write_bytes(make(tmp_path))
        assert not refused_or_read(tmp_path / name, read)
