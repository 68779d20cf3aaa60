"""Small ONNX models for the tests of what the import refuses."""

import numpy
import pytest
from coulis.convert import onnx_import
from onnx import TensorProto, helper, numpy_helper

SIDE = 12


def tensor(name, *shape):
    return numpy_helper.from_array(
        numpy.linspace(-1, 1, int(numpy.prod(shape)), dtype=numpy.float32).reshape(shape), name
    )


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], name=f"the {op}", **attributes)


def model(middle=(), tensors=(), opset=17, end="y", sizes=("n", 3, SIDE, SIDE), inputs=("x",), first="x"):
    """A convolution, what a test puts behind it (from "a" to "b"), and an average."""
    middle = list(middle) or [node("Relu", ["a"], "b")]
    nodes = [node("Conv", [first, "w"], "a"), *middle, node("GlobalAveragePool", ["b"], "y")]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in inputs]
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", 4, 1, 1])]
    graph = helper.make_graph(nodes, "small", given, ends, [tensor("w", 4, 3, 3, 3), *tensors])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def refusal(tmp_path, made, **options):
    """The sentence with which a model, or bytes, is refused."""
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(ValueError) as caught:
        onnx_import.convert(path, "small", onnx_import.Options(**{"preprocessing": "none", **options}))
    assert str(path) in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def whole(name, *values):
    return numpy_helper.from_array(numpy.array(values, numpy.int64), name)
