"""A network from its model file as an ONNX graph for ONNX Runtime: another implementation of the same arithmetic.

Only the file's own JSON and tensors are used; the window arithmetic is written out here again, so that a mistake
in the package's own is seen.
"""

import json

import numpy
import onnx
import onnxruntime
from coulis.convert import safetensors_file
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
FEATURES = ("map", "pooled", "logits")


def read_model(path):
    """(description, tensors) of a model file."""
    tensors, metadata = safetensors_file.read(path)
    return json.loads(metadata["coulis"]), tensors


def prepare(pixels, description):
    """uint8 (n, h, w, 3) RGB to the network's float32 (n, 3, h, w)."""
    x = pixels.astype(numpy.float64)
    size = description["input"]
    if size["channels"] == "BGR":
        x = x[..., ::-1]
    x = (x - numpy.array(size["mean"])) / numpy.array(size["std"])
    return numpy.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=numpy.float32)


class Oracle:
    """Runs a description with its tensors in ONNX Runtime."""

    def __init__(self, description, tensors):
        self.description = description
        self.outputs = {k: v for k, v in description["features"].items() if v}
        model = onnx_model(description, tensors, sorted(set(self.outputs.values())))
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.log_severity_level = 3
        # One of its optimisations makes zeros before a max-pool padding that never wins (seen in ONNX Runtime 1.31).
        if any(node["op"] == "pad" for node in description["nodes"]):
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def run(self, pixels, batch=20):
        """Features of uint8 (n, h, w, 3): a dict of float32 (n, length)."""
        names = sorted(set(self.outputs.values()))
        rows = {kind: [] for kind in self.outputs}
        for first in range(0, len(pixels), batch):
            x = prepare(pixels[first : first + batch], self.description)
            found = dict(zip(names, self.session.run(names, {"image": x})))
            for kind, node in self.outputs.items():
                y = found[node]
                rows[kind].append(y.transpose(0, 2, 3, 1).reshape(len(y), -1))
        return {kind: numpy.concatenate(parts) for kind, parts in rows.items()}


OPERATORS = {}  # in ONNX: those whose tests say it themselves


def operator(function):
    """Makes onnx_NAME(node, size, emit, constant) the ONNX of operator NAME. It emits what writes the node's value, and
    returns its height and width; `size` are those of the first input."""
    OPERATORS[function.__name__.removeprefix("onnx_")] = function
    return function


def _pads(node, height, width):
    """ONNX pads (top, left, bottom, right), and output height and width."""
    padding, dilation = node["padding"], node.get("dilation", [1, 1])
    pads, size = [0, 0, 0, 0], [0, 0]
    for axis, length in enumerate((height, width)):
        reach = 1 + dilation[axis] * (node["kernel"][axis] - 1)
        stride = node["stride"][axis]
        if padding == "same":
            # TensorFlow: ceil(length / stride) outputs; an odd number of padded places has the extra one after
            size[axis] = (length + stride - 1) // stride
            total = max(0, stride * (size[axis] - 1) + reach - length)
            pads[axis], pads[axis + 2] = total // 2, total - total // 2
        else:
            pads[axis], pads[axis + 2] = padding[axis], padding[axis + 2]
            size[axis] = 1 + (length + padding[axis] + padding[axis + 2] - reach) // stride
    return pads, size


def _simple(node, inputs):
    """(operator, inputs, attributes) in ONNX of a node that is one operator there, and the constants it takes."""
    op = node["op"]
    plain = {"relu": "Relu", "sigmoid": "Sigmoid", "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div"}
    plain.update(global_average_pool="GlobalAveragePool", global_max_pool="GlobalMaxPool", hard_swish="HardSwish")
    if op in plain:
        return plain[op], inputs, {}, []
    if op == "batch_norm":
        parts = [node[part] for part in ("scale", "shift", "mean", "variance")]
        return "BatchNormalization", [inputs[0], *parts], {"epsilon": node["epsilon"]}, []
    if op == "relu6":
        return "Clip", inputs, {}, [numpy.float32(0), numpy.float32(6)]
    if op == "clip":
        bounds = (node.get("low", -numpy.inf), node.get("high", numpy.inf))
        return "Clip", inputs, {}, [numpy.float32(bound) for bound in bounds]
    if op == "leaky_relu":
        return "LeakyRelu", inputs, {"alpha": float(node["slope"])}, []
    if op == "hard_sigmoid":
        return "HardSigmoid", inputs, {"alpha": node["alpha"], "beta": node["beta"]}, []
    if op == "softmax":
        return "Softmax", inputs, {"axis": 1}, []
    if op == "concat":
        return "Concat", inputs, {"axis": 1}, []
    if op == "slice":
        first = node["first"]
        return "Slice", inputs, {}, [numpy.int64([n]) for n in (first, first + node["channels"], 1)]
    if op == "pad":
        top, left, bottom, right = node["padding"]
        pads = numpy.int64([0, 0, top, left, 0, 0, bottom, right])
        return "Pad", inputs, {}, [pads, numpy.float32(node.get("value", 0))]
    raise AssertionError(op)


def onnx_model(description, tensors, outputs):
    """Every value has four dimensions, a vector an area of one pixel."""
    nodes, constants = [], {}
    sizes = {"image": [description["input"]["height"], description["input"]["width"]]}

    def emit(kind, name, arguments, **attributes):
        nodes.append(helper.make_node(kind, list(arguments), [name], **attributes))
        return name

    def constant(name, value):
        constants[name] = numpy.array(value)
        return name

    for node in description["nodes"]:
        name, op, inputs = node["name"], node["op"], node["inputs"]
        size = sizes[inputs[0]]
        if op in ("conv", "max_pool", "average_pool"):
            pads, size = _pads(node, *size)
            common = {"kernel_shape": node["kernel"], "strides": node["stride"], "pads": pads}
            if op == "conv":
                extra = [node["bias"]] if "bias" in node else []
                common.update(dilations=node["dilation"], group=node["groups"])
                emit("Conv", name, [inputs[0], node["weight"], *extra], **common)
            elif op == "max_pool":
                emit("MaxPool", name, inputs, **common)
            else:
                emit("AveragePool", name, inputs, count_include_pad=int(node["count_include_pad"]), **common)
        elif op == "dense":
            extra = [node["bias"]] if "bias" in node else []
            flat = emit("Gemm", name + "/2d", [emit("Flatten", name + "/in", inputs), node["weight"], *extra], transB=1)
            emit("Unsqueeze", name, [flat, constant(name + "/axes", numpy.int64([2, 3]))])
        elif op == "flatten":
            order = emit("Transpose", name + "/order", inputs, perm=[0, 2, 3, 1])
            emit("Reshape", name, [order, constant(name + "/shape", numpy.int64([0, -1, 1, 1]))])
        elif op == "swish":
            emit("Mul", name, [inputs[0], emit("Sigmoid", name + "/sigmoid", inputs)])
        elif op in OPERATORS:
            size = OPERATORS[op](node, size, emit, constant)
        else:
            kind, arguments, attributes, extra = _simple(node, inputs)
            extra = [constant(f"{name}/{index}", value) for index, value in enumerate(extra)]
            if op == "slice":
                extra.insert(2, constant(name + "/axes", numpy.int64([1])))
            emit(kind, name, [*arguments, *extra], **attributes)
        if op in ("add", "subtract", "multiply", "divide"):
            size = max(size, sizes[inputs[1]])
        elif op == "pad":
            size = [size[axis] + node["padding"][axis] + node["padding"][axis + 2] for axis in (0, 1)]
        elif op == "flatten" or op.startswith("global"):
            size = [1, 1]
        sizes[name] = size
    size = description["input"]
    graph = helper.make_graph(
        nodes,
        description["name"],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size["height"], size["width"]])],
        [helper.make_tensor_value_info(v, TensorProto.FLOAT, [None] * 4) for v in outputs],
        [numpy_helper.from_array(numpy.array(v), k) for k, v in {**tensors, **constants}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
