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
                y = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
                rows[kind].append(y.reshape(len(y), -1))
        return {kind: numpy.concatenate(parts) for kind, parts in rows.items()}


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


def onnx_model(description, tensors, outputs):
    nodes, sizes = [], {"image": [description["input"]["height"], description["input"]["width"]]}
    flat = set()  # nodes whose output has no area
    for node in description["nodes"]:
        name, op, inputs = node["name"], node["op"], node["inputs"]
        size = sizes[inputs[0]]
        if inputs[0] in flat and op != "global_average_pool":
            flat.add(name)

        def emit(kind, *arguments, **attributes):
            nodes.append(helper.make_node(kind, list(arguments), [name], name=name, **attributes))

        if op in ("conv", "max_pool", "average_pool"):
            pads, size = _pads(node, *size)
            common = {"kernel_shape": node["kernel"], "strides": node["stride"], "pads": pads}
            if op == "conv":
                extra = [node["bias"]] if "bias" in node else []
                emit(
                    "Conv",
                    inputs[0],
                    node["weight"],
                    *extra,
                    dilations=node["dilation"],
                    group=node["groups"],
                    **common,
                )
            elif op == "max_pool":
                emit("MaxPool", inputs[0], **common)
            else:
                emit("AveragePool", inputs[0], count_include_pad=int(node["count_include_pad"]), **common)
        elif op == "batch_norm":
            parts = [node[part] for part in ("scale", "shift", "mean", "variance")]
            emit("BatchNormalization", inputs[0], *parts, epsilon=node["epsilon"])
        elif op == "relu":
            emit("Relu", inputs[0])
        elif op == "relu6":
            emit("Clip", inputs[0], "zero", "six")
        elif op == "add":
            emit("Add", *inputs)
        elif op == "global_average_pool":
            nodes.append(helper.make_node("GlobalAveragePool", [inputs[0]], [name + "/4d"]))
            nodes.append(helper.make_node("Flatten", [name + "/4d"], [name]))
            flat.add(name)
        elif op == "dense":
            emit("Gemm", inputs[0], node["weight"], node["bias"], transB=1)
        else:
            raise AssertionError(op)
        sizes[name] = size
    size = description["input"]
    constants = {"zero": numpy.float32(0), "six": numpy.float32(6)}
    graph = helper.make_graph(
        nodes,
        description["name"],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size["height"], size["width"]])],
        [helper.make_tensor_value_info(v, TensorProto.FLOAT, [None] * (2 if v in flat else 4)) for v in outputs],
        [numpy_helper.from_array(numpy.array(v), k) for k, v in {**tensors, **constants}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
