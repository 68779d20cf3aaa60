"""Norms, activations and ends of embedding networks in ONNX files, against ONNX Runtime."""

import coulis
import numpy
import onnx
import onnxruntime
import pytest
from coulis.convert import add, onnx_import
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
GENERATOR = numpy.random.default_rng(3)


class Net:
    """Puts an ONNX graph together."""

    def __init__(self):
        self.nodes, self.tensors = [], {}

    def constant(self, values):
        self.tensors[f"c{len(self.tensors)}"] = numpy.asarray(values, numpy.float32)
        return list(self.tensors)[-1]

    def op(self, kind, *inputs, **attributes):
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"n{len(self.nodes)}", **attributes))
        return output

    def conv(self, source, out, channels):
        weight = self.constant(GENERATOR.normal(0, (9 * channels) ** -0.5, (out, channels, 3, 3)))
        return self.op("Conv", source, weight, self.constant(GENERATOR.normal(0, 0.1, out)), pads=[1] * 4)

    def pooled(self, source):
        return self.op("Flatten", self.op("GlobalAveragePool", source))

    def model(self, end, opset):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "g",
            [value("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
            [value(end, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in self.tensors.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def gem(net, x):
    cubes = net.op("Pow", net.op("Clip", x, net.constant(1e-6)), net.constant(3.0))
    return net.op("Flatten", net.op("Pow", net.op("GlobalAveragePool", cubes), net.constant(1 / 3)))


CASES = {
    "Sum of three": (17, lambda net, x: net.pooled(net.op("Sum", net.conv(x, 8, 8), x, net.conv(x, 8, 8)))),
    "PRelu": (
        17,
        lambda net, x: net.pooled(
            net.op("PRelu", net.conv(x, 8, 8), net.constant(GENERATOR.uniform(0.1, 0.4, (8, 1, 1))))
        ),
    ),
    "Gelu": (20, lambda net, x: net.pooled(net.op("Gelu", net.conv(x, 8, 8)))),
    "Gelu, tanh": (20, lambda net, x: net.pooled(net.op("Gelu", net.conv(x, 8, 8), approximate="tanh"))),
    "Tanh": (17, lambda net, x: net.pooled(net.op("Tanh", net.conv(x, 8, 8)))),
    "LRN": (17, lambda net, x: net.pooled(net.op("LRN", x, size=5, alpha=0.1, beta=0.75, bias=1.0))),
    "GeM": (17, gem),
    "LpNormalization": (17, lambda net, x: net.op("LpNormalization", net.pooled(x), axis=1, p=2)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_graphs_own_output(name, tmp_path):
    opset, end = CASES[name]
    net = Net()
    model = net.model(end(net, net.op("Relu", net.conv("x", 8, 3))), opset)
    onnx.save(model, tmp_path / "net.onnx")
    options = onnx_import.Options(mean=[128] * 3, std=[64] * 3)
    path = add.put("n", lambda: add.convert(tmp_path / "net.onnx", "n", "onnx", None, options), tmp_path)
    pixels = GENERATOR.integers(0, 256, (3, SIDE, SIDE, 3), numpy.uint8)
    prepared = numpy.ascontiguousarray(pixels.transpose(0, 3, 1, 2).astype(numpy.float32) / 64 - 2)
    (wanted,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": prepared})
    with coulis.Featurizer(path) as featurizer:
        found = featurizer.featurize_pixels(pixels)
    # Two programs that sum 72 products and 1,024 pixels in other orders: some units in the last place of float32.
    assert found.shape == wanted.shape and abs(found - wanted).max() <= 5e-6 * abs(wanted).max()


def test_a_power_of_what_may_be_negative_is_refused(tmp_path):
    net = Net()
    onnx.save(net.model(net.pooled(net.op("Pow", net.conv("x", 8, 3), net.constant(3.0))), 17), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"\(Pow\).*may be negative"):
        add.convert(tmp_path / "net.onnx", "n", "onnx", None, onnx_import.Options(preprocessing="torch"))
