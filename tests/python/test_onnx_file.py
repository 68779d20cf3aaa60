"""ONNX files as data from strangers: damaged ones, tensors that lie about their size, weights in files of their own."""

import re
import sys

import numpy
import onnx
import pytest
from coulis.convert import onnx_file, onnx_import
from onnx import TensorProto, helper
from onnx_small import model, node, refusal, tensor, whole

# ---- files ------------------------------------------------------------------------------------------


def test_files_that_are_no_onnx(tmp_path):
    whole_file = model().SerializeToString()
    for length in range(len(whole_file)):
        made = whole_file[:length]
        words = refusal(tmp_path, made)
        assert words
    for made in (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"\xff" * 50, b"PK\x03\x04", b"\x0a" * 64):
        assert "not an ONNX file" in refusal(tmp_path, made)


@pytest.mark.quick(0)
def test_damaged_files_give_a_network_or_a_sentence(tmp_path):
    middle = [
        node("Reshape", ["a", "p"], "c"),
        node("Pad", ["c", "q"], "d"),
        node("Clip", ["d", "r"], "e"),
        node("Concat", ["e", "e"], "f", axis=1),
        node("AveragePool", ["f"], "b", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    ]
    pads = whole("q", 0, 0, 1, 1, 0, 0, 1, 1)
    data = model(middle, [whole("p", 0, 4, 10, 10), pads, tensor("r")]).SerializeToString()
    generator, path, made = numpy.random.default_rng(8), tmp_path / "net.onnx", 0
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            changed[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(bytes(changed))
        try:
            onnx_import.convert(path, "small", onnx_import.Options("none"))
            made += 1
        except ValueError as error:
            assert str(path) in str(error)
    assert 0 < made < 2000


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ValueError, match="missing, or not a file"):
            onnx_import.convert(path, "small")


def test_a_file_larger_than_protobuf_allows_is_not_read(tmp_path):
    with open(tmp_path / "net.onnx", "wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(ValueError, match="larger than 2147483647 bytes"):
        onnx_import.convert(tmp_path / "net.onnx", "small")


# ---- tensors ------------------------------------------------------------------------------------------


def with_tensor(made):
    return model([node("Add", ["a", "p"], "b")], [made])


def test_tensors_that_do_not_fit_their_bytes(tmp_path):
    good = tensor("p", 4, 1, 1)
    for change, words in (
        ({"dims": [5, 1, 1]}, "'p' has 16 bytes, its shape .* needs 20"),
        ({"dims": [2**40, 2**20]}, "'p' claims .* are not read"),
        ({"dims": [2**62, 2**62]}, "'p' claims .* are not read"),
        ({"dims": [-4, 1, 1]}, "impossible shape"),
        ({"dims": [1] * 9}, "impossible shape"),
        ({"raw_data": b"123"}, "'p' has 3 bytes"),
        ({"data_type": 8}, "element type 8"),
        ({"data_type": 77}, "element type 77"),
    ):
        made = onnx.TensorProto()
        made.CopyFrom(good)
        for field, value in change.items():
            if field == "dims":
                del made.dims[:]
                made.dims.extend(value)
            else:
                setattr(made, field, value)
        assert re.search(words, refusal(tmp_path, with_tensor(made))), words
    typed = helper.make_tensor("p", TensorProto.FLOAT, [4, 1, 1], [1.0, 2.0, 3.0, 4.0])
    del typed.float_data[3:]
    assert "has 3 values, its shape needs 4" in refusal(tmp_path, with_tensor(typed))
    assert "'w' is there twice" in refusal(tmp_path, model(tensors=[tensor("w", 1)]))


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "INT32", "INT64", "UINT8", "INT8", "UINT32"])
def test_tensors_of_every_kind_and_way_of_writing(kind, tmp_path):
    number = getattr(TensorProto, kind)
    dtype = helper.tensor_dtype_to_np_dtype(number)
    path = tmp_path / "net.onnx"
    found = []
    for raw in (False, True):
        values = numpy.array([1, 2, 3, 5], dtype)
        made = helper.make_tensor("p", number, [4, 1, 1], values.tobytes() if raw else values.tolist(), raw=raw)
        path.write_bytes(with_tensor(made).SerializeToString())
        _, tensors = onnx_import.convert(path, "small", onnx_import.Options("none"))
        found.append(tensors["the Add.shift"].tolist())
    assert found == [[1, 2, 3, 5]] * 2


# ---- weights in files of their own -------------------------------------------------------------------


def external(location, offset=0, length=16, **more):
    made = onnx.TensorProto(name="p", data_type=TensorProto.FLOAT, dims=[4, 1, 1])
    made.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset), "length": str(length), **more}
    for key, value in entries.items():
        if value is not None:
            made.external_data.add(key=key, value=value)
    return with_tensor(made)


@pytest.fixture
def folder(tmp_path):
    """A model's folder, with weights in it and beside it."""
    inside = tmp_path / "model"
    (inside / "more").mkdir(parents=True)
    values = numpy.arange(8, dtype="<f4").tobytes()
    for path in (inside / "w.bin", inside / "more" / "w.bin", tmp_path / "secret.bin"):
        path.write_bytes(values)
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    (inside / "way").symlink_to(tmp_path)
    (inside / "short.bin").write_bytes(values[:12])
    return inside


def test_weights_in_the_models_folder_are_read(folder):
    for location, offset in (("w.bin", 0), ("w.bin", 16), ("more/w.bin", 4)):
        (folder / "net.onnx").write_bytes(external(location, offset).SerializeToString())
        _, tensors = onnx_import.convert(folder / "net.onnx", "small", onnx_import.Options("none"))
        assert tensors["the Add.shift"].tolist() == [offset / 4 + place for place in range(4)]


@pytest.mark.parametrize(
    "made, words",
    [
        (external("../secret.bin"), "not a path inside"),
        (external("more/../../secret.bin"), "not a path inside"),
        (external("/etc/passwd"), "not a path inside"),
        (external("..\\secret.bin"), "not a path inside"),
        (external("C:secret.bin"), "not a path inside"),
        (external("w.bin\0"), "not a path inside"),
        (external(""), "not a path inside"),
        (external("."), "link out of"),
        (external("link.bin"), "link out of"),
        (external("way/secret.bin"), "link out of"),
        (external("more"), "is missing"),
        (external("none.bin"), "is missing"),
        (external("short.bin"), "holds 12 bytes"),
        (external("w.bin", offset=20), "holds 32 bytes"),
        (external("w.bin", length=12), "the model claims 12"),
        (external("w.bin", offset=2**62), "holds 32 bytes"),
        (external("w.bin", offset=-4), "other than whole numbers"),
        (external("w.bin", offset="9" * 100), "other than whole numbers"),
        (external("w.bin", length="1e9"), "other than whole numbers"),
    ],
)
def test_other_files_are_not(folder, made, words):
    assert words in refusal(folder, made)


def test_a_file_that_is_read_again_and_again_counts_each_time(folder, monkeypatch):
    tensors, nodes = [], []
    for place in range(8):
        made = external("w.bin").graph.initializer[1]
        made.name = f"p{place}"
        tensors.append(made)
        nodes.append(node("Add", [f"b{place - 1}" if place else "a", made.name], f"b{place}" if place < 7 else "b"))
    (folder / "net.onnx").write_bytes(model(nodes, tensors).SerializeToString())
    weights = 4 * 3 * 3 * 3 * 4 + 8 * 16
    monkeypatch.setattr(onnx_file, "WEIGHTS_MAX", weights)
    onnx_import.convert(folder / "net.onnx", "small", onnx_import.Options("none"))
    monkeypatch.setattr(onnx_file, "WEIGHTS_MAX", weights - 1)
    assert "'p7' claims 16 bytes; more than" in refusal(folder, model(nodes, tensors))


def test_without_the_package_onnx_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="needs the Python package onnx"):
        onnx_import.convert(tmp_path / "net.onnx", "small")
