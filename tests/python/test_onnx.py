"""ONNX networks become model files: the features are those that ONNX Runtime gets from the ONNX file itself."""

import os
import subprocess
import sys

import coulis
import numpy
import onnx
import pytest
import torch_exports
from coulis.convert import graph, onnx_import, safetensors_file
from net_helpers import assert_close, features
from net_oracle import prepare
from onnx import TensorProto, helper, numpy_helper
from real_images import real_images

HEIGHT, WIDTH = 18, 23

# ---- whole networks ----------------------------------------------------------------------------

TORCH = {
    "channels": "RGB",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "width": 224,
    "height": 224,
}


@pytest.fixture(scope="module")
def images():
    return real_images(224, 224)


@pytest.mark.quick(0)
@pytest.mark.parametrize(
    "network, style, opset, count",
    [
        ("resnet18", "script", 17, 20),
        ("resnet18", "dynamo", 18, 4),
        ("resnet50", "script", 17, 20),
        ("mobilenet_v3_large", "script", 17, 20),
        ("mobilenet_v3_large", "script", 13, 4),
    ],
)
def test_networks_of_torchvision_agree_with_onnx_runtime(network, style, opset, count, images, tmp_path):
    images = images[-count:]
    x = prepare(images, {"input": TORCH})
    plain, full = torch_exports.make(network, style, opset, x)
    onnx.save(plain, tmp_path / "net.onnx")
    description, tensors = onnx_import.convert(tmp_path / "net.onnx", network, onnx_import.Options("torch"))
    assert description["input"] == TORCH and description["name"] == network
    safetensors_file.write(tmp_path / "net.safetensors", tensors, graph.metadata(description))
    names = [output.name for output in full.graph.output]
    wanted = dict(zip(("map", "pooled", "logits"), torch_exports.session(full).run(names, {"input.1": x})))
    directions = wanted["pooled"] / numpy.linalg.norm(wanted["pooled"], axis=1, keepdims=True)
    assert (directions @ directions.T).min() < 0.99  # or the images' features would be all the same
    for kind, values in wanted.items():
        values = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
        assert_close(features(tmp_path / "net.safetensors", kind, images), values.reshape(len(values), -1))


# ---- single operators -----------------------------------------------------------------------------


class Net:
    """A small ONNX graph under construction; it begins with a convolution, which has negative numbers too."""

    def __init__(self, opset=17, nhwc=False, sizes=None, start=True):
        self.opset, self.nodes, self.tensors = opset, [], {}
        self.random = numpy.random.default_rng(3)
        self.sizes = sizes or ["n", *((HEIGHT, WIDTH, 3) if nhwc else (3, HEIGHT, WIDTH))]
        self.x = self.conv("x", 8, 3) if start else "x"

    def constant(self, values, kind=numpy.float32):
        name = f"c{len(self.tensors)}"
        self.tensors[name] = numpy.asarray(values, kind)
        return name

    def random_constant(self, *shape, low=-1.0, high=1.0):
        return self.constant(self.random.uniform(low, high, shape))

    def whole(self, *values):
        return self.constant(values, numpy.int64)

    def __call__(self, op, *inputs, outputs=1, **attributes):
        names = [f"t{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, f"node {len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, source, out, each, kernel=(3, 3), **attributes):
        weight = self.constant(self.random.normal(0, (each * kernel[0] * kernel[1]) ** -0.5, (out, each, *kernel)))
        return self("Conv", source, weight, self.random_constant(out), **attributes)

    def model(self, *outputs):
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.sizes)]
        shape = None if self.opset > 7 else ["n", 8]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs]
        tensors = [numpy_helper.from_array(values, name) for name, values in self.tensors.items()]
        ends = helper.make_graph(self.nodes, "small", given, ends, tensors)
        return helper.make_model(ends, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def check(net, tmp_path, end, nhwc=False, **options):
    """The features that convert() finds, and `end`, a tensor of any shape, against ONNX Runtime."""
    model = net.model(end)
    onnx.save(model, tmp_path / "small.onnx")
    options = {"preprocessing": "tf", "map": end, **options}
    description, tensors = onnx_import.convert(tmp_path / "small.onnx", "small", onnx_import.Options(**options))
    safetensors_file.write(tmp_path / "small.safetensors", tensors, graph.metadata(description))
    pixels = numpy.random.default_rng(5).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=numpy.uint8)
    x = prepare(pixels, {"input": {"channels": "RGB", "mean": [127.5] * 3, "std": [127.5] * 3}})
    x = x.transpose(0, 2, 3, 1) if nhwc else x
    # Its optimiser joins a Pad to a MaxPool also where the zeros would win against negative numbers.
    (values,) = torch_exports.session(model, optimise=False).run([end], {"x": numpy.ascontiguousarray(x)})
    if values.ndim == 4 and not nhwc:
        values = values.transpose(0, 2, 3, 1)
    assert_close(features(tmp_path / "small.safetensors", "map", pixels), values.reshape(3, -1))
    return description


def ops(description):
    """The operators, without the mean of the map at the end."""
    assert description["nodes"][-1]["op"].startswith("global_")
    return [node["op"] for node in description["nodes"]][:-1]


def affine(net):
    x = net("Mul", net.x, net.random_constant(8, 1, 1))
    x = net("Sub", net.random_constant(1, 8, 1, 1), x)
    x = net("Div", x, net.random_constant(1, 8, 1, 1, low=0.5))
    return net("Add", x, net.constant(0.25))


def windows(net, **attributes):
    return net.conv(net.x, 6, 4, (3, 2), group=2, **attributes)


def pooled_gate(net):
    gate = net("Reshape", net("Flatten", net("GlobalAveragePool", net.x)), net.whole(0, 8, 1, 1))
    gate = net("Sigmoid", net.conv(gate, 8, 8, (1, 1)))
    return net("Mul", gate, net.x)


def batch_norm(net):
    rest = [net.random_constant(8), net.random_constant(8), net.random_constant(8), net.random_constant(8, low=0.2)]
    return net("Relu", net("BatchNormalization", net("Relu", net.x), *rest, epsilon=1e-3))


def joined(net):
    low = net("Concat", net.x, net.conv(net.x, 5, 8, (1, 1)), axis=1)
    return net("Concat", low, net.x, low, axis=-3)


def shapes(net):
    """What PyTorch exports for x.view(x.size(0), -1)."""
    size = net("Gather", net("Shape", net.x), net.constant(0, numpy.int64), axis=0)
    size = net("Unsqueeze", size, net.whole(0))
    shape = net("Concat", size, net.whole(-1), axis=0)
    return net("Gemm", net("Reshape", net.x, shape), net.random_constant(8 * (HEIGHT - 2) * (WIDTH - 2), 7))


def quarters(net):
    one, two, three = net("Split", net.x, net.whole(2, 1, 5), outputs=3, axis=1)
    part = net("Slice", three, net.whole(-1), net.whole(-100), net.whole(1), net.whole(-2))
    return net("Concat", two, net("Gather", net.x, net.whole(7, 0, 1, -4), axis=1), part, one, axis=1)


def to_nhwc_and_back(net):
    x = net("Relu", net("Transpose", net.x, perm=[0, 2, 3, 1]))
    x = net("Add", x, net.random_constant(8))
    x = net("Concat", x, x, axis=3)
    x = net("Pad", x, net.whole(0, 1, 2, 0, 0, 3, 0, 0), net.constant(-1.5))
    return net("MaxPool", net("Transpose", x, perm=[0, 3, 1, 2]), kernel_shape=[2, 2])


def two_dense(net):
    x = net("Flatten", net("MaxPool", net.x, kernel_shape=[3, 3], strides=[3, 3]))
    weight = net.random_constant(9, 8 * 5 * 7)
    x = net("Gemm", x, weight, net.random_constant(1, 9), alpha=0.5, beta=2.0, transB=1)
    x = net("Add", net("MatMul", net("Relu", x), net.random_constant(9, 4)), net.random_constant(4))
    return net("Softmax", x)


def area(net, opset):
    axes = [net.whole(2, -1)] if opset >= 18 else []
    more = {} if opset >= 18 else {"axes": [2, -1]}
    return net("ReduceMean", net.x, *axes, keepdims=0, **more)


OPERATORS = {
    "affine": affine,
    "batch_norm": batch_norm,
    "conv, padded apart": lambda net: windows(net, pads=[0, 1, 2, 0]),
    "conv, padded more than its window": lambda net: windows(net, pads=[4, 0, 0, 3]),
    "conv, strided and dilated": lambda net: windows(net, strides=[2, 3], dilations=[3, 2]),
    "conv, same upper": lambda net: windows(net, strides=[2, 2], auto_pad="SAME_UPPER"),
    "conv, same lower": lambda net: windows(net, strides=[2, 2], auto_pad="SAME_LOWER"),
    "conv, valid": lambda net: windows(net, auto_pad="VALID"),
    "conv, depthwise": lambda net: net.conv(net.x, 8, 1, group=8),
    "clip": lambda net: net("Clip", net.x, net.constant(-0.3), net.constant(0.6)),
    "clip below": lambda net: net("Clip", net.x, net.constant(-0.3)),
    "clip above": lambda net: net("Clip", net.x, "", net.constant(0.2)),
    "clip to 6": lambda net: net("Clip", net("Mul", net.x, net.constant(9)), net.constant(0), net.constant(6)),
    "clip at 0": lambda net: net("Clip", net.x, net.constant(0), net.constant(3.4e38)),
    "leaky_relu": lambda net: net("LeakyRelu", net.x, alpha=0.3),
    "sigmoid": lambda net: net("Sigmoid", net.x),
    "hard_sigmoid": lambda net: net("HardSigmoid", net("Mul", net.x, net.constant(5)), alpha=0.3),
    "hard_swish": lambda net: net("HardSwish", net("Mul", net.x, net.constant(5))),
    "negative": lambda net: net("Relu", net("Neg", net.x)),
    "softmax over channels": lambda net: net("Softmax", net.x, axis=1),
    "sum": lambda net: net("Add", net.x, net("Relu", net.x)),
    "difference": lambda net: net("Sub", net("GlobalMaxPool", net.x), net.x),
    "quotient": lambda net: net("Div", net.x, net("Add", net("Relu", net.x), net.constant(1))),
    "squeeze and excite": lambda net: pooled_gate(net),
    "joined": joined,
    "quarters": quarters,
    "max_pool": lambda net: net("MaxPool", net.x, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "max_pool, ceil": lambda net: net("MaxPool", net.x, kernel_shape=[3, 3], strides=[2, 4], ceil_mode=1),
    "max_pool, ceil and padding": lambda net: net(
        "MaxPool", net.x, kernel_shape=[2, 2], strides=[3, 2], pads=[1] * 4, ceil_mode=1
    ),
    "max_pool of zeros around": lambda net: net(
        "MaxPool",
        net("Pad", net("Relu", net.x), net.whole(0, 0, 1, 1, 0, 0, 1, 0)),
        kernel_shape=[3, 3],
        strides=[2, 2],
    ),
    "max_pool of zeros around negatives": lambda net: net(
        "MaxPool",
        net("Pad", net("Sub", net.x, net.constant(9)), net.whole(0, 0, 1, 1, 0, 0, 1, 0)),
        kernel_shape=[3, 3],
        strides=[2, 2],
    ),
    "average_pool": lambda net: net("AveragePool", net.x, kernel_shape=[3, 2], pads=[1, 1, 1, 0]),
    "average_pool with padding": lambda net: net(
        "AveragePool", net.x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "average_pool, ceil": lambda net: net("AveragePool", net.x, kernel_shape=[3, 3], strides=[2, 4], ceil_mode=1),
    "average_pool, same": lambda net: net("AveragePool", net.x, kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
    "average_pool of everything": lambda net: net("AveragePool", net.x, kernel_shape=[HEIGHT - 2, WIDTH - 2]),
    "global_max_pool": lambda net: net("GlobalMaxPool", net.x),
    "mean, opset 17": lambda net: area(net, 17),
    "greatest": lambda net: net("ReduceMax", net.x, axes=[2, 3]),
    "shapes": shapes,
    "two_dense": two_dense,
    "to NHWC and back": to_nhwc_and_back,
    "pad": lambda net: net("Pad", net.x, net.whole(0, 0, 1, 2, 0, 0, 3, 4), net.constant(0.5)),
    "squeeze": lambda net: net("Squeeze", net("GlobalAveragePool", net.x), net.whole(2, 3)),
    "unsqueeze": lambda net: net("Mul", net.x, net("Unsqueeze", area(net, 17), net.whole(-1, 2))),
    "nothing": lambda net: net("Identity", net("Dropout", net("Cast", net.x, to=TensorProto.FLOAT))),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_agree_with_onnx_runtime(name, tmp_path):
    net = Net()
    check(net, tmp_path, OPERATORS[name](net))


OTHER_OPSETS = {
    "clip": (10, lambda net: net("Clip", net.x, min=-0.3, max=0.6)),
    "clip at 0": (7, lambda net: net("Clip", net.x, min=0.0)),
    "pad": (10, lambda net: net("Pad", net.x, pads=[0, 0, 1, 2, 0, 0, 3, 4], value=0.5)),
    "pad of named axes": (18, lambda net: net("Pad", net.x, net.whole(1, 2, 3, 4), "", net.whole(-2, 3))),
    "slice": (9, lambda net: net("Slice", net.x, starts=[0, 2], ends=[100, 6], axes=[2, 1])),
    "split": (11, lambda net: net("Concat", *net("Split", net.x, split=[3, 5], outputs=2, axis=1)[::-1], axis=1)),
    "split in halves": (7, lambda net: net("Mul", *net("Split", net.x, outputs=2, axis=1))),
    "softmax": (7, lambda net: net("Softmax", net("Flatten", net("GlobalAveragePool", net.x)))),
    "squeeze": (7, lambda net: net("Squeeze", net("GlobalAveragePool", net.x), axes=[2, 3])),
    "unsqueeze": (9, lambda net: net("Add", net.x, net("Unsqueeze", area(net, 9), axes=[2, 3]))),
    "mean": (18, lambda net: area(net, 18)),
    "swish": (24, lambda net: net("Swish", net.x)),
    "batch_norm": (9, batch_norm),
    "conv": (7, windows),
}


@pytest.mark.parametrize("name", OTHER_OPSETS)
def test_operators_of_other_opsets_agree_with_onnx_runtime(name, tmp_path):
    opset, build = OTHER_OPSETS[name]
    net = Net(opset)
    check(net, tmp_path, build(net))


def test_gates_become_one_node(tmp_path):
    net = Net()
    x = net("Mul", net("Sigmoid", net.x), net.x)
    found = check(net, tmp_path, net("Mul", x, net("HardSigmoid", x, alpha=1 / 6)))
    assert ops(found) == ["conv", "swish", "hard_swish"]


def test_the_normalisation_of_the_image_becomes_mean_and_std(tmp_path):
    net = Net(nhwc=True, start=False)
    x = net("Div", net("Sub", "x", net.constant([0.2, -0.1, 0.4])), net.constant(0.7))
    x = net.conv(net("Transpose", x, perm=[0, 3, 1, 2]), 5, 3, pads=[1, 1, 1, 1])
    found = check(net, tmp_path, net("Transpose", x, perm=[0, 2, 3, 1]), nhwc=True)
    assert ops(found) == ["conv"]
    assert numpy.allclose(found["input"]["mean"], 127.5 + 127.5 * numpy.array([0.2, -0.1, 0.4]), rtol=1e-6)
    assert numpy.allclose(found["input"]["std"], [127.5 * 0.7] * 3, rtol=1e-6)


def test_a_normalisation_that_not_all_readers_share_stays_in_the_graph(tmp_path):
    net = Net(start=False)
    x = net("Mul", "x", net.random_constant(3, 1, 1))
    found = check(net, tmp_path, net("Concat", net.conv(x, 4, 3, pads=[1] * 4), "x", axis=1))
    assert ops(found) == ["batch_norm", "conv", "concat"] and found["input"]["std"] == [127.5] * 3


def test_colours_may_be_swapped_in_the_graph(tmp_path):
    net = Net(nhwc=True, start=False)
    ends = [net.whole(value) for value in (-1, -(2**63) + 1, 3, -1)]
    x = net("Transpose", net("Slice", "x", *ends), perm=[0, 3, 1, 2])
    check(net, tmp_path, net("Transpose", net.conv(x, 5, 3), perm=[0, 2, 3, 1]), nhwc=True)


# ---- the command ------------------------------------------------------------------------------------


def test_the_command_adds_a_network(command, tmp_path):
    net = Net()
    onnx.save(net.model(net("GlobalAveragePool", net("Relu", net.x))), tmp_path / "net.onnx")
    environment = {
        **os.environ,
        "COULIS_PYTHON": sys.executable,
        "COULIS_MODELS": str(tmp_path),
        "PYTHONPATH": os.path.dirname(os.path.dirname(coulis.__file__)),
    }
    adding = [command, "models", "add", tmp_path / "net.onnx", "--name", "mine", "--from", "onnx"]
    done = subprocess.run(adding, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "say what the network wants: --preprocessing caffe" in done.stderr
    done = subprocess.run([*adding, "--preprocessing", "torch"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with coulis.Featurizer(str(tmp_path / "mine.safetensors")) as featurizer:
        assert featurizer.length == 8
