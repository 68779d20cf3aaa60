"""The model converters: what they write, and what they refuse."""

import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc

import numpy
import pytest
from coulis.convert import graph, layouts, legacy_pickle, recipe, safetensors_file
from coulis.convert.__main__ import main

# ---- a legacy .pth file, put together opcode by opcode ---------------------------------

STOP = b"."


def number(value):
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else b"\x8a\x08" + struct.pack("<q", value)


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def numbers(values):
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(key, count, offset, shape, strides, storage="torch\nFloatStorage"):
    identity = (
        b"(" + text("storage") + b"c" + storage.encode() + b"\n" + text(key) + text("cpu") + number(count) + b"NtQ"
    )
    rest = number(offset) + numbers(shape) + numbers(strides) + b"\x89" + b"}"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + identity + rest + b"tR"


def dictionary(entries):
    return b"ccollections\nOrderedDict\n)R(" + b"".join(text(name) + value for name, value in entries) + b"u"


def pth(body, storages, keys=None, magic=legacy_pickle.MAGIC, protocol=1001, system=None):
    """`storages`: (key, announced count, bytes)."""
    parts = [b"\x80\x02\x8a\x0a" + magic.to_bytes(10, "little") + STOP, b"\x80\x02" + number(protocol) + STOP]
    parts += [system or b"\x80\x02}(" + text("little_endian") + b"\x88u" + STOP, b"\x80\x02" + body + STOP]
    names = keys if keys is not None else [key for key, _, _ in storages]
    parts.append(b"\x80\x02](" + b"".join(map(text, names)) + b"e" + STOP)
    parts += [struct.pack("<q", count) + data for _, count, data in storages]
    return b"".join(parts)


SIX = numpy.arange(6, dtype="<f4").tobytes()
GOOD = pth(
    dictionary(
        [
            ("a", tensor("1", 6, 0, (2, 3), (1, 2))),
            ("b", tensor("1", 6, 4, (2,), (1,))),
            ("n", tensor("2", 1, 0, (), (), "torch\nLongStorage")),
        ]
    ),
    [("1", 6, SIX), ("2", 1, struct.pack("<q", 7))],
)


def one(value, storages=(("1", 6, SIX),), **rest):
    """A file with a single entry."""
    return pth(dictionary([("a", value)]), list(storages), **rest)


def test_strides_and_offsets_are_honoured():
    found = legacy_pickle.read(GOOD)
    assert list(found) == ["a", "b", "n"]
    assert found["a"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found["b"].tolist() == [4, 5]
    assert found["n"].shape == () and found["n"] == 7 and found["n"].dtype == numpy.int64


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "zip": b"PK\x03\x04" + b"\0" * 100,
    "magic": one(tensor("1", 6, 0, (6,), (1,)), magic=1),
    "protocol": one(tensor("1", 6, 0, (6,), (1,)), protocol=1002),
    "big endian": one(tensor("1", 6, 0, (6,), (1,)), system=b"\x80\x02}(" + text("little_endian") + b"\x89u."),
    "system": one(b"cos\nsystem\n(" + text("exit 3") + b"tR"),
    "eval": one(b"cbuiltins\neval\n(" + text("1") + b"tR"),
    "tensor class": one(b"ctorch\nTensor\n)R"),
    "getattr": one(b"cbuiltins\ngetattr\n."),
    "stack global": one(text("os") + text("system") + b"\x93" + b"(" + text("exit 3") + b"tR"),
    "inst": one(b"(" + text("exit 3") + b"ios\nsystem\n"),
    "obj": one(b"(ccollections\nOrderedDict\no"),
    "newobj": one(b"ccollections\nOrderedDict\n)\x81"),
    "extension": one(b"\x82\x01"),
    "dictionary from arguments": one(b"ccollections\nOrderedDict\n(]tR"),
    "call of a storage": one(b"ctorch\nFloatStorage\n(" + number(1 << 30) + b"tR"),
    "call of a call": one(b"ctorch._utils\n_rebuild_tensor_v2\n)R"),
    "text persistent id": one(b"Pstorage\n"),
    "not a tensor": one(number(3)),
    "not a dictionary": pth(number(3), []),
    "key is a number": pth(b"}(" + number(1) + number(2) + b"u", []),
    "stride outside": one(tensor("1", 6, 0, (2, 3), (3, 2))),
    "offset outside": one(tensor("1", 6, 6, (1,), (1,))),
    "offset far outside": one(tensor("1", 6, 2**39, (1,), (1,))),
    "offset negative": one(tensor("1", 6, -1, (1,), (1,))),
    "stride negative": one(tensor("1", 6, 5, (6,), (-1,))),
    "shape negative": one(tensor("1", 6, 0, (-1,), (1,))),
    "stride 0 repeats": one(tensor("1", 6, 0, (2**39,), (0,))),
    "product overflows": one(tensor("1", 6, 0, (2**33, 2**33), (0, 0))),
    "rank": one(tensor("1", 6, 0, (1,) * 9, (1,) * 9)),
    "shape and strides differ": one(tensor("1", 6, 0, (2, 3), (1,))),
    "shape is text": one(tensor("1", 6, 0, (1,), (1,)).replace(numbers((1,)), text("x"), 1)),
    "storage type": one(tensor("1", 6, 0, (6,), (1,), "torch\nQUInt8Storage")),
    "storage claim": one(tensor("1", 2**39, 0, (6,), (1,)), [("1", 2**39, SIX)]),
    "storage claim past 63 bits": one(tensor("1", 2**62, 0, (6,), (1,)), [("1", 2**62, SIX)]),
    "storage negative": one(tensor("1", -6, 0, (6,), (1,)), [("1", -6, SIX)]),
    "storage differs": one(tensor("1", 6, 0, (6,), (1,)), [("1", 5, SIX[:20])]),
    "storage missing": one(tensor("1", 6, 0, (6,), (1,)), []),
    "storage unused": one(tensor("1", 6, 0, (6,), (1,)), [("1", 6, SIX), ("2", 6, SIX)]),
    "storage twice": one(tensor("1", 6, 0, (6,), (1,)), [("1", 6, SIX), ("1", 6, SIX)]),
    "storage of two types": pth(
        dictionary([("a", tensor("1", 6, 0, (6,), (1,))), ("b", tensor("1", 6, 0, (6,), (1,), "torch\nIntStorage"))]),
        [("1", 6, SIX)],
    ),
    "key is not text": pth(dictionary([("a", tensor("1", 6, 0, (6,), (1,)))]), [("1", 6, SIX)]).replace(
        b"](" + text("1"), b"](" + number(1)
    ),
    "bytes left over": GOOD + b"\0",
    "memo claim": one(b"Nr\xff\xff\xff\x7f" + b"0" + tensor("1", 6, 0, (6,), (1,))),
    "memo miss": one(b"h\x09"),
    "text claim": one(b"X\xff\xff\xff\xff"),
    "long claim": one(b"\x8b\xff\xff\xff\x7f"),
    "bytes claim": one(b"\x8e" + struct.pack("<Q", 2**60)),
    "empty stack": pth(b"0", []),
    "stack of two": pth(b"NN", []),
    "mark alone": pth(b"(", []),
    "items without mark": pth(b"}NNu", []),
    "odd items": pth(b"}(Nu", []),
    "append to a dictionary": pth(b"}Na", []),
    "append to a mark": pth(b"(Na", []),
    "invalid text": one(b"X\x02\0\0\0\xff\xff"),
    "unknown opcode": one(b"\xfe"),
    "decimal number": one(b"L" + b"9" * 300000 + b"L\n"),
    "old text": one(b"S'a'\n"),
    "deep nesting": pth(b"(" * 100000 + b"t" * 100000, []),
    "endless": pth(b"N0" * 600000 + b"}", []),
}


@pytest.mark.quick(16)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_a_sentence(name):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the file is not a PyTorch file that can be read: ") as caught:
            legacy_pickle.read(HOSTILE[name])
        # The parsed form of a pickle may take some hundred bytes for each byte of it, never what the file claims.
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 400


def test_refusals_name_what_was_asked_for():
    with pytest.raises(ValueError, match="os.system"):
        legacy_pickle.read(HOSTILE["system"])


def test_every_cut_is_refused():
    for length in range(len(GOOD)):
        with pytest.raises(ValueError):
            legacy_pickle.read(GOOD[:length])


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # by the disassembler, in names
def test_corrupted_files_give_tensors_or_a_sentence():
    generator = numpy.random.default_rng(3)
    refused = 0
    for _ in range(3000):
        data = bytearray(GOOD)
        for _ in range(generator.integers(1, 4)):
            data[generator.integers(len(data))] = generator.integers(256)
        try:
            found = legacy_pickle.read(bytes(data))
            assert all(isinstance(array, numpy.ndarray) and array.size <= 6 for array in found.values())
        except ValueError:
            refused += 1
    assert 1000 < refused < 3000


# ---- safetensors --------------------------------------------------------------------------


def test_safetensors_round_trip_deterministic_and_aligned(tmp_path):
    tensors = {"b": numpy.arange(6.0).reshape(2, 3).T, "a": numpy.float32(2.5), "none": numpy.zeros((0, 3))}
    safetensors_file.write(tmp_path / "one", tensors, {"coulis": '{"x":"é"}'})
    safetensors_file.write(tmp_path / "two", dict(tensors), {"coulis": '{"x":"é"}'})
    data = (tmp_path / "one").read_bytes()
    assert data == (tmp_path / "two").read_bytes()
    assert (8 + struct.unpack_from("<Q", data)[0]) % 64 == 0
    found, metadata = safetensors_file.read(tmp_path / "one")
    assert list(found) == ["b", "a", "none"] and metadata == {"coulis": '{"x":"é"}'}
    for name, values in tensors.items():
        assert found[name].shape == numpy.shape(values) and (found[name] == values).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_safetensors_reader_refuses_damage(tmp_path):
    path = tmp_path / "file"
    safetensors_file.write(path, {"a": numpy.ones(4), "b": numpy.ones(2)}, {})
    good = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", good)[0]
    bad = [
        good[:5],
        good[:40],
        good[:-1],
        good + b"\0",
        struct.pack("<Q", 2**60) + good[8:],
        struct.pack("<Q", 0) + good[8:],
    ]
    bad += [good.replace(b"[4]", b"[5]"), good.replace(b"[0,16]", b"[0,20]"), good.replace(b"[16,24]", b"[12,20]")]
    bad += [good.replace(b"F32", b"F64"), good.replace(b"{", b"[", 1), good.replace(b'"shape"', b'"shope"')]
    bad += [good[:9] + b"\xff" + good[10:], good[:8] + b"[" * (start - 8) + good[start:]]
    for data in bad:
        assert data != good
        path.write_bytes(data)
        with pytest.raises(ValueError, match="file"):
            safetensors_file.read(path)


# ---- recipes and graphs -----------------------------------------------------------------------


def test_every_recipe_can_be_read(repository):
    assert len(recipe.names()) == 27
    for name in recipe.names():
        found = recipe.read(name)
        assert found["name"] == name and found["from"] in ("keras", "torch")
        assert found["input"]["channels"] in ("RGB", "BGR") and len(found["input"]["mean"]) == 3
        assert len({"url", "package"} & set(found["source"])) == 1
        stated = "states no hash" not in (repository / "models" / f"{name}.json").read_text()
        assert stated == bool({"md5", "sha256"} & set(found["source"])), name
        description = graph.describe(found, layouts.build(found)[0])
        outputs, _ = graph.shapes(description)
        # A style of names may lack a head, as timm's of CLIP does.
        kinds = {
            kind: len(outputs[node])
            for kind, node in description["features"].items()
            if kind != "default" and node in outputs
        }
        assert kinds and kinds == {kind: {"map": 3, "tokens": 3}.get(kind, 1) for kind in kinds}


def test_recipes_are_read_as_they_are_written(repository):
    paths = sorted((repository / "models").glob("*.json"))
    assert sorted(path.stem for path in paths) == recipe.names()
    for path in paths:
        written = json.loads(path.read_text())
        for part in (written, *(part for part in written.values() if isinstance(part, dict))):
            part.pop("about", None)
        assert recipe.read(path.stem) == written


A_RECIPE = (
    '{"about": ["a"], "name": "n", "from": "torch", "family": "vit", "variant": "s16",\n'
    '"source": {"title": "t", "licence": "MIT"},\n'
    '"input": {"about": "b", "width": 1, "height": 1, "channels": "RGB", "mean": [1, 2.5, 3], "std": [1, 1, 1]},\n'
    '"features": {}}\n'
)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('"s16",', '"s16"', "n.json, line 2, column 1: Expecting ',' delimiter"),
        ('"features": {}', '"features": {', "n.json, line 5, column 1: "),
        (A_RECIPE, "", "n.json, line 1, column 1: "),
        (A_RECIPE, "[]", "n.json: a recipe is not an object"),
        ('"variant": "s16"', '"variant": "s16", "variants": "s16"', "n.json: the key variants is not known"),
        ('"family": "vit"', '"family": "vit", "family": "vit"', "n.json: the key family is there twice"),
        ('"width": 1', '"width": 1, "width": 1', "n.json: the key width is there twice"),
        ('"title": "t"', '"title": "t", "hash": "0"', "n.json: the key hash in source is not known"),
        ('"title": "t", ', "", "n.json: the key title is missing in source"),
        ('"family": "vit", ', "", "n.json: the key family is missing"),
        (',\n"features": {}', "", "n.json: the key features is missing"),
        ('"features": {}', '"features": []', "n.json: features is not an object"),
        ('"licence": "MIT"', '"licence": ["MIT"]', "n.json: licence in source is not text"),
        ('"height": 1', '"height": "1"', "n.json: height in input is not a number"),
        ('"height": 1', '"height": true', "n.json: height in input is not a number"),
        ("[1, 2.5, 3]", "[]", "n.json: mean in input is not a number"),
        ("[1, 2.5, 3]", "[1, [2.5], 3]", "n.json: mean in input is not a number"),
        ("[1, 2.5, 3]", "NaN", "n.json: mean in input is not a number"),
    ],
)
def test_broken_recipes_are_refused(old, new, said):
    assert recipe.parse(A_RECIPE, "n.json")["input"]["mean"] == [1, 2.5, 3]
    assert A_RECIPE.count(old) == 1
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        recipe.parse(A_RECIPE.replace(old, new), "n.json")


def parameters(description):
    return sum(int(numpy.prod(shape)) for shape in graph.shapes(description)[1].values())


def test_resnet50_has_keras_shapes():
    chosen = recipe.read("resnet50")
    description = graph.describe(chosen, layouts.build(chosen)[0])
    outputs, _ = graph.shapes(description)
    features = description["features"]
    assert [outputs[features[kind]] for kind in ("map", "pooled", "logits")] == [(7, 7, 2048), (2048,), (1000,)]
    assert outputs["conv1_relu"] == (112, 112, 64) and outputs["pool1_pool"] == (56, 56, 64)
    assert parameters(description) == 25_636_712  # "Total params" of keras.applications.ResNet50().summary()
    strided = {node["name"] for node in description["nodes"] if node["op"] == "conv" and node["stride"] == [2, 2]}
    assert strided == {"conv1_conv"} | {f"conv{stage}_block1_{part}_conv" for stage in (3, 4, 5) for part in (0, 1)}


# Published numbers of trained parameters. torchvision's documentation gives them to the last digit, the TensorFlow
# models and timm in millions.
@pytest.mark.parametrize(
    "name, published",
    [
        ("efficientnet-lite0", 4.7e6),
        ("efficientnet-lite1", 5.4e6),
        ("efficientnet-lite2", 6.1e6),
        ("tf-efficientnet-lite2", 6.09e6),
        ("resnet18", 11_689_512),
        ("resnet50-torchvision", 25_557_032),
        ("mobilenet-v3-large", 5_483_032),
    ],
)
def test_networks_have_the_published_size(name, published):
    chosen = recipe.read(name)
    nodes, names = layouts.build(chosen)
    shapes = graph.shapes(graph.describe(chosen, nodes))[1]
    trained = sum(
        int(numpy.prod(shape)) for tensor, shape in shapes.items() if not tensor.endswith((".mean", ".variance"))
    )
    assert abs(trained - published) < (0.06e6 if isinstance(published, float) else 1)
    assert sorted(names) == sorted(shapes) and len(set(names.values())) == len(names)


def test_graph_is_deterministic_and_needs_no_library(tmp_path, repository):
    environment = {**os.environ, "COULIS_LIBRARY": str(tmp_path / "none.so"), "PYTHONPATH": str(repository / "python")}
    for name in ("one", "two"):
        command = [sys.executable, "-m", "coulis.convert", "graph", "resnet50", "-o", str(tmp_path / name)]
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads((tmp_path / "one").read_text())["name"] == "resnet50"


def test_command_line_mistakes_end_with_2(tmp_path):
    torch = ["add", "x", "--name", "n", "--from", "torch"]
    for arguments in (
        [],
        ["resnet50"],
        ["graph", "vgg", "-o", "x"],
        ["graph", "resnet50"],
        ["add", "x", "--name", "n", "--from", "caffe"],
        ["add", "x", "--from", "torch"],
        [*torch, "--map", "t"],
        [*torch, "--mean", "1", "2"],
        ["add", "x", "--name", "n", "--from", "onnx", "--layout", "resnet18"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert main(["graph", "resnet50", "-o", str(tmp_path / "none" / "x")]) == 1
