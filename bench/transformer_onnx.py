"""Transformers and ConvNeXt of a model file as ONNX, in the operators that exporters write at opset 17."""

import numpy
from onnx import TensorProto, helper, numpy_helper


class _Graph:
    def __init__(self, tensors):
        self.tensors, self.nodes, self.constants = tensors, [], {}

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, name, array):
        self.constants[name] = numpy.array(array, order="C")  # of no dimension where it has none
        return name

    def weight(self, name):
        return self.constant(name, self.tensors[name])

    def number(self, name, value):
        return self.constant(name, numpy.array(value, numpy.float32))

    def shape(self, name, *sizes):
        return self.constant(name, numpy.array(sizes, numpy.int64))


def _attention(g, node, source, channels):
    name, heads = node["name"], node["heads"]
    each = channels // heads
    tall = g.node("Reshape", [source, g.shape(f"{name}.split", 0, 0, 3, heads, each)], f"{name}.tall")
    tall = g.node("Transpose", [tall], f"{name}.first", perm=[2, 0, 3, 1, 4])
    q, k, v = (
        g.node("Gather", [tall, g.constant(f"{name}.at{part}", numpy.array(place))], f"{name}.{part}", axis=0)
        for place, part in enumerate("qkv")
    )
    q = g.node("Mul", [q, g.number(f"{name}.scale", node.get("scale", each**-0.5))], f"{name}.scaled")
    k = g.node("Transpose", [k], f"{name}.kt", perm=[0, 1, 3, 2])
    scores = g.node("Softmax", [g.node("MatMul", [q, k], f"{name}.scores")], f"{name}.weights", axis=-1)
    found = g.node("Transpose", [g.node("MatMul", [scores, v], f"{name}.heads")], f"{name}.back", perm=[0, 2, 1, 3])
    return g.node("Reshape", [found, g.shape(f"{name}.join", 0, 0, channels)], name)


def _pool(g, node, source, channels):
    """Attention of a query that is a part of the network: SigLIP's head."""
    name, heads = node["name"], node["heads"]
    each = channels // heads
    tall = g.node("Reshape", [source, g.shape(f"{name}.split", 0, 0, 2, heads, each)], f"{name}.tall")
    tall = g.node("Transpose", [tall], f"{name}.first", perm=[2, 0, 3, 1, 4])
    k, v = (
        g.node("Gather", [tall, g.constant(f"{name}.at{part}", numpy.array(place))], f"{name}.{part}", axis=0)
        for place, part in enumerate("kv")
    )
    k = g.node("Transpose", [k], f"{name}.kt", perm=[0, 1, 3, 2])
    query = g.tensors[node["query"]].reshape(1, heads, 1, each) * numpy.float32(node.get("scale", each**-0.5))
    scores = g.node("MatMul", [g.constant(f"{name}.q", query), k], f"{name}.scores")
    found = g.node("MatMul", [g.node("Softmax", [scores], f"{name}.weights", axis=-1), v], f"{name}.heads")
    return g.node("Reshape", [found, g.shape(f"{name}.join", 0, channels)], name)


def _gelu(g, node, source):
    name = node["name"]
    if node["form"] == "quick":
        gate = g.node("Mul", [source, g.number(f"{name}.factor", 1.702)], f"{name}.in")
        return g.node("Mul", [source, g.node("Sigmoid", [gate], f"{name}.gate")], name)
    inner = g.node("Erf", [g.node("Div", [source, g.number(f"{name}.root", 2**0.5)], f"{name}.in")], f"{name}.erf")
    inner = g.node("Mul", [source, g.node("Add", [inner, g.number(f"{name}.one", 1)], f"{name}.more")], f"{name}.twice")
    return g.node("Mul", [inner, g.number(f"{name}.half", 0.5)], name)


def model(description, tensors, output):
    """A ModelProto from (n, 3, height, width), normalised, to the node `output`; tokens are (n, tokens, channels)."""
    g, width = _Graph(tensors), {}
    maps, turned = {"image"}, set()  # values of four dimensions; of these, those with the channels last

    def first(value):
        """A map with the channels first."""
        if value not in turned:
            return value
        back = f"{value}.back"
        return (
            back
            if back in (node.output[0] for node in g.nodes)
            else g.node("Transpose", [value], back, perm=[0, 3, 1, 2])
        )

    for node in description["nodes"]:
        name, op, source = node["name"], node["op"], node["inputs"][0]
        if source in maps and op in ("conv", "layer_norm", "dense", "gelu", "scale", "add"):
            maps.add(name)
            if op != "conv" and (op == "layer_norm" or source in turned) and op != "add":
                turned.add(name)
        if op == "conv":
            parts = [g.weight(node[part]) for part in ("weight", "bias") if part in node]
            g.node(
                "Conv",
                [first(source), *parts],
                name,
                kernel_shape=node["kernel"],
                strides=node["stride"],
                pads=node["padding"],
                group=node["groups"],
            )
            width[name] = node["channels"]
        elif op == "tokens":
            width[name] = width[source]
            flat = g.node("Reshape", [source, g.shape(f"{name}.flat", 0, width[name], -1)], f"{name}.rows")
            flat = g.node("Transpose", [flat], f"{name}.pixels", perm=[0, 2, 1])
            before = node.get("before", 0)
            placed = g.node("Add", [flat, g.weight(node["position"])], f"{name}.placed" if before else name)
            if not before:
                continue
            count = g.node(
                "Concat",
                [g.node("Shape", [placed], f"{name}.batch", end=1), g.shape(f"{name}.rest", before, width[name])],
                f"{name}.count",
                axis=0,
            )
            prefix = g.node("Expand", [g.weight(node["prefix"]), count], f"{name}.before")
            g.node("Concat", [prefix, placed], name, axis=1)
        elif op == "layer_norm":
            width[name] = width[source]
            if source in maps and source not in turned:
                source = g.node("Transpose", [source], f"{name}.last", perm=[0, 2, 3, 1])
            g.node(
                "LayerNormalization",
                [source, g.weight(node["scale"]), g.weight(node["shift"])],
                name,
                axis=-1,
                epsilon=node["epsilon"],
            )
        elif op == "dense":
            width[name] = node["units"]
            weight = g.constant(node["weight"], tensors[node["weight"]].T)
            made = g.node("MatMul", [source, weight], f"{name}.product" if "bias" in node else name)
            if "bias" in node:
                g.node("Add", [made, g.weight(node["bias"])], name)
        elif op == "attention":
            width[name] = width[source] // 3
            _attention(g, node, source, width[name])
        elif op == "gelu":
            width[name] = width[source]
            _gelu(g, node, source)
        elif op == "scale":
            width[name] = width[source]
            g.node("Mul", [source, g.weight(node["scale"])], name)
        elif op == "add":
            width[name] = width[source]
            g.node("Add", [first(value) for value in node["inputs"]], name)
        elif op == "attention_pool":
            width[name] = width[source] // 2
            _pool(g, node, source, width[name])
        elif op == "global_average_pool" and source in maps:
            width[name] = width[source]
            g.node("Flatten", [g.node("GlobalAveragePool", [first(source)], f"{name}.mean")], name)
        elif op == "take" and node["count"] == 1:
            width[name] = width[source]
            g.node("Gather", [source, g.constant(f"{name}.place", numpy.array(node["first"]))], name, axis=1)
        if name == output:
            break
    size = description["input"]
    graph = helper.make_graph(
        g.nodes,
        "transformer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size["height"], size["width"]])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", width[output]])],
        [numpy_helper.from_array(array, name) for name, array in g.constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
