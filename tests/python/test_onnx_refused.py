"""Networks that the ONNX import refuses: each by name, with a sentence that says why."""

import re

import numpy
import onnx
import pytest
from coulis.convert import onnx_file, onnx_import
from onnx import TensorProto, helper, numpy_helper
from onnx_small import SIDE, model, node, refusal, tensor, whole


def test_the_model_that_the_others_spoil_is_sound(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model().SerializeToString())
    description, tensors = onnx_import.convert(path, "small", onnx_import.Options("none", licence="mine"))
    assert [made["op"] for made in description["nodes"]] == ["conv", "relu", "global_average_pool"]
    assert list(tensors) == ["the Conv.weight"] and description["licence"] == "mine"
    assert description["source"] == "net.onnx (ONNX, opset 17)" and len(description["source_sha256"]) == 64


# ---- nodes ------------------------------------------------------------------------------------------


def subgraph(name):
    return helper.make_graph([node("Relu", ["a"], name)], name, [], [helper.make_tensor_value_info(name, 1, None)])


NODES = {
    "unknown": ([node("Frobnicate", ["a"], "b")], [], "the Frobnicate.*opset 17.*no such operator"),
    "recurrent": ([node("LSTM", ["a", "w", "w"], "b")], [], "LSTM, opset 17.*no such operator"),
    "other domain": ([node("FusedConv", ["a"], "b", domain="com.microsoft")], [], "com.microsoft.FusedConv"),
    "branches": (
        [node("If", ["c"], "b", then_branch=subgraph("p"), else_branch=subgraph("q"))],
        [numpy_helper.from_array(numpy.array(True), "c")],
        "the If.*attribute '(then|else)_branch' is of a kind",
    ),
    "missing tensor": ([node("Add", ["a", "nowhere"], "b")], [], "the Add.*reads 'nowhere' before any node makes it"),
    "cycle": ([node("Add", ["a", "c"], "b"), node("Relu", ["b"], "c")], [], "the Add.*reads 'c' before any node"),
    "its own output": ([node("Add", ["a", "b"], "b")], [], "the Add.*reads 'b' before any node"),
    "made twice": ([node("Relu", ["a"], "b"), node("Tanh", ["a"], "b")], [], "'b' is made twice"),
    "weights of the image": ([node("Conv", ["a", "a"], "b")], [], "its weight depends on the image"),
    "channels that do not fit": ([node("Conv", ["a", "v"], "b")], [tensor("v", 4, 5, 1, 1)], "does not fit 4 channels"),
    "groups that do not fit": ([node("Conv", ["a", "v"], "b", group=3)], [tensor("v", 4, 1, 1, 1)], "does not fit"),
    "one-dimensional": ([node("Conv", ["a", "v"], "b")], [tensor("v", 4, 4, 3)], "has not 4 dimensions"),
    "bias": ([node("Conv", ["a", "v", "u"], "b")], [tensor("v", 4, 4, 1, 1), tensor("u", 5)], "its bias .* 4 channels"),
    "window larger than its map": (
        [node("MaxPool", ["a"], "b", kernel_shape=[30, 3])],
        [],
        "30x3 is larger than .*10x10",
    ),
    "kernel_shape": ([node("Conv", ["a", "v"], "b", kernel_shape=[2, 2])], [tensor("v", 4, 4, 1, 1)], "does not fit"),
    "strides": ([node("Conv", ["a", "v"], "b", strides=[0, 1])], [tensor("v", 4, 4, 1, 1)], "strides is not 2 whole"),
    "negative padding": (
        [node("Conv", ["a", "v"], "b", pads=[-1, 0, 0, 0])],
        [tensor("v", 4, 4, 1, 1)],
        "pads is not 4",
    ),
    "auto_pad": ([node("MaxPool", ["a"], "b", kernel_shape=[2, 2], auto_pad="SOME")], [], "auto_pad"),
    "wide padding": ([node("MaxPool", ["a"], "b", kernel_shape=[2, 2], pads=[2, 0, 0, 0])], [], "wide as its window"),
    "ceil_mode": (
        [node("AveragePool", ["a"], "b", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, count_include_pad=1)],
        [],
        "ceil_mode together with count_include_pad",
    ),
    "places": ([helper.make_node("MaxPool", ["a"], ["b", "i"], "the pool", kernel_shape=[2, 2])], [], "gives places"),
    "reflected": (
        [node("Pad", ["a", "p"], "b", mode="reflect")],
        [whole("p", *[0, 0, 1, 1] * 2)],
        "other than a constant",
    ),
    "cut off": ([node("Pad", ["a", "p"], "b")], [whole("p", 0, 0, -1, 0, 0, 0, 0, 0)], "or cuts off"),
    "padded channels": (
        [node("Pad", ["a", "p"], "b")],
        [whole("p", 0, 1, 0, 0, 0, 0, 0, 0)],
        "other than height and width",
    ),
    "much padding": ([node("Pad", ["a", "p"], "b")], [whole("p", 0, 0, 2**40, 0, 0, 0, 0, 0)], "more than 64 pixels"),
    "mixed sizes": (
        [node("MaxPool", ["a"], "c", kernel_shape=[2, 2]), node("Add", ["a", "c"], "b")],
        [],
        r"shapes \[1, 4, 10, 10\] and \[1, 4, 9, 9\] do not meet",
    ),
    "mixed orders": (
        [
            node("MaxPool", ["a"], "c", kernel_shape=[7, 7]),
            node("Transpose", ["c"], "d", perm=[0, 2, 3, 1]),
            node("Add", ["c", "d"], "b"),
        ],
        [],
        r"shapes \[1, 4, 4, 4\] and \[1, 4, 4, 4\] do not meet",
    ),
    "a constant for each pixel": (
        [node("Mul", ["a", "p"], "b")],
        [tensor("p", 10, 10)],
        "neither one number nor one for each",
    ),
    "a constant that makes more": ([node("Mul", ["a", "p"], "b")], [tensor("p", 2, 4, 10, 10)], "neither one number"),
    "division by the image": ([node("Div", ["p", "a"], "b")], [tensor("p", 1)], "divides a constant by"),
    "division by 0": (
        [node("Div", ["a", "p"], "b")],
        [numpy_helper.from_array(numpy.zeros(1, "<f4"), "p")],
        "divides by 0",
    ),
    "infinite": (
        [node("Add", ["a", "p"], "b")],
        [numpy_helper.from_array(numpy.array("inf", "<f4"), "p")],
        "not finite",
    ),
    "training": (
        [node("BatchNormalization", ["a", "p", "p", "p", "q"], "b", training_mode=1)],
        [tensor("p", 4), tensor("q", 4)],
        "in training mode",
    ),
    "negative variance": (
        [node("BatchNormalization", ["a", "p", "p", "p", "p"], "b")],
        [tensor("p", 4)],
        "not positive",
    ),
    "bounds": (
        [node("Clip", ["a", "p", "q"], "b")],
        [numpy_helper.from_array(numpy.float32(2), "p"), numpy_helper.from_array(numpy.float32(1), "q")],
        "the wrong way round",
    ),
    "dropout at work": (
        [node("Dropout", ["a", "p", "q"], "b")],
        [tensor("p", 1), numpy_helper.from_array(numpy.array(True), "q")],
        "in training mode",
    ),
    "slope": ([node("LeakyRelu", ["a"], "b", alpha=float("nan"))], [], "its slope is nan"),
    "missing attribute": ([node("ConstantOfShape", [], "c"), node("Add", ["a", "c"], "b")], [], "cannot be worked out"),
    "missing input": ([node("Slice", ["a"], "b")], [], "do not fit the operator"),
    "batch moved": ([node("Transpose", ["a"], "b", perm=[1, 0, 2, 3])], [], "an order that no map has"),
    "order": ([node("Transpose", ["a"], "b", perm=[0, 1, 1, 3])], [], "is none"),
    "other order": (
        [node("Transpose", ["a"], "b", perm=[0, 2, 3, 1])],
        [],
        "the GlobalAveragePool.*order batch, channel",
    ),
    "cut in two": ([node("Reshape", ["a", "p"], "b")], [whole("p", 0, 2, 2, 10, 10)], "an order that no map has"),
    "rows cut": ([node("Reshape", ["a", "p"], "b")], [whole("p", 0, 4, 2, 5, 10)], "only whole dimensions"),
    "another count": ([node("Reshape", ["a", "p"], "b")], [whole("p", 0, 5, 10, 10)], "cannot become"),
    "batch joined": ([node("Reshape", ["a", "p"], "b")], [whole("p", 4, 10, 10)], "an order that no map has"),
    "huge": ([node("Reshape", ["a", "p"], "b")], [whole("p", 2**62, 2**62)], "cannot become"),
    "mean of the batch": ([node("ReduceMean", ["a"], "b", axes=[0])], [], "across the images"),
    "mean of everything": ([node("ReduceMean", ["a", "p"], "b")], [whole("p")], "all dimensions"),
    "mean of rows": ([node("ReduceMean", ["a"], "b", axes=[2])], [], "both and no other"),
    "softmax over rows": ([node("Softmax", ["a"], "b", axis=2)], [], "not over the channels"),
    "joined rows": ([node("Concat", ["a", "a"], "b", axis=2)], [], "other than the channels"),
    "joined with a constant": ([node("Concat", ["a", "w"], "b", axis=1)], [], "does not depend on the image"),
    "no axis": ([node("Concat", ["a", "a"], "b", axis=9)], [], "no axis 9"),
    "rows": (
        [node("Slice", ["a", "p", "q", "q"], "b")],
        [whole("p", 0), whole("q", 2)],
        "something other than the channels",
    ),
    "map times matrix": ([node("MatMul", ["a", "p"], "b")], [tensor("p", 10, 5)], "nor a vector"),
    "rounded": ([node("Cast", ["a"], "b", to=TensorProto.INT32)], [], "rounds to whole numbers"),
    "attribute of another kind": ([node("LeakyRelu", ["a"], "b", alpha=[1.0])], [], "alpha is not a number"),
    "huge constant": (
        [node("ConstantOfShape", ["p"], "c"), node("Add", ["a", "c"], "b")],
        [whole("p", 2**40)],
        "is not made",
    ),
    "endless range": (
        [node("Range", ["p", "q", "r"], "c"), node("Reshape", ["a", "c"], "b")],
        [whole("p", 0), whole("q", 2**50), whole("r", 1)],
        "is not made",
    ),
    "channels without end": (
        [
            node("Concat", ["a"] * 64, "c", axis=1),
            node("Concat", ["c"] * 64, "d", axis=1),
            node("Concat", ["d"] * 64, "e", axis=1),
            node("Concat", ["e"] * 64, "f", axis=1),
            node("Mul", ["f", "p"], "b"),
        ],
        [tensor("p", 1)],
        "larger than",
    ),
    "index outside": ([node("Gather", ["a", "p"], "b", axis=1)], [whole("p", 4)], "no axis 4|index"),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_are_refused_by_name(name, tmp_path):
    middle, tensors, words = NODES[name]
    found = refusal(tmp_path, model(middle, tensors))
    assert re.search(words, found, re.DOTALL), found


# ---- inputs and options ---------------------------------------------------------------------------------


def test_opsets(tmp_path):
    for opset in (1, 6, 29, 1000):
        assert f"opset {opset}" in refusal(tmp_path, model(opset=opset))
    made = model()
    del made.opset_import[:]
    assert "does not say which version" in refusal(tmp_path, made)
    newest = onnx.defs.onnx_opset_version()
    assert newest <= onnx_file.OPSETS[1], "a newer onnx has operators that are to be looked through"


def test_inputs(tmp_path):
    for sizes, words in (
        (("n", 3, "h", SIDE), "leaves the height .* open.*--height"),
        (("n", 1, SIDE, SIDE), "is not an image"),
        (("n", SIDE, SIDE), "is not an image"),
        (("n", 3, SIDE, 3), "is not an image"),
        (("n", 3, SIDE, 100000), "from 1 to 8192"),
        (("n", 3, SIDE, 0), "from 1 to 8192"),
        ((1 << 40, 3, SIDE, SIDE), "images at once"),
    ):
        assert re.search(words, refusal(tmp_path, model(sizes=sizes))), words
    assert "cannot be made 5" in refusal(tmp_path, model(), width=5)
    assert "it has 2 inputs" in refusal(tmp_path, model(inputs=("x", "z")))
    assert "'z', wanted as a result, is not there" in refusal(tmp_path, model(), map="z")
    assert "'w', wanted as a result, is made by no node" in refusal(tmp_path, model(), pooled="w")
    assert "'z', wanted as a result, is not there" in refusal(tmp_path, model(end="z"))


def test_open_sizes_may_be_given(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(sizes=(None, 3, None, None)).SerializeToString())
    description, _ = onnx_import.convert(path, "small", onnx_import.Options("none", width=20, height=10))
    assert description["input"]["width"] == 20 and description["input"]["height"] == 10


def test_what_the_network_wants_to_see_has_to_be_known(tmp_path):
    assert "--preprocessing caffe, tf, torch, none" in refusal(tmp_path, model(), preprocessing=None)
    assert "there are caffe" in refusal(tmp_path, model(), preprocessing="imagenet")
    assert "no std is 0" in refusal(tmp_path, model(), std=(1, 0, 1))
    assert "RGB or BGR" in refusal(tmp_path, model(), channels="GBR")
    assert "three numbers" in refusal(tmp_path, model(), mean=(1, 2))
