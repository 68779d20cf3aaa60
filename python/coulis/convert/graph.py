"""Puts a network's graph together and tells the shapes that follow from it; see docs/model-format.md."""

import json


ARITHMETIC = ("add", "subtract", "multiply", "divide")
# Weights of one number for each channel of the output, by operator; those in the second list may be left out.
CHANNEL_WEIGHTS = {
    "conv": ((), ("bias",)),
    "dense": ((), ("bias",)),
    "batch_norm": (("scale", "shift", "mean", "variance"), ()),
    "scale": (("scale",), ("shift",)),
    "layer_norm": ((), ("scale", "shift")),
    "grn": (("scale", "shift"), ()),
    "prelu": (("slope",), ()),
    "attention_pool": (("query",), ()),
}


def pair(value):
    """[vertical, horizontal] of a number or a pair."""
    return [value, value] if isinstance(value, int) else list(value)


class Graph:
    """Collects nodes in topological order; every method returns the new node's name."""

    def __init__(self):
        self.nodes = []

    def add(self, name, op, inputs, **fields):
        """Any node."""
        self.nodes.append({"name": name, "op": op, "inputs": list(inputs), **fields})
        return name

    def conv(self, name, source, channels, kernel, stride=1, padding="same", dilation=1, groups=1, bias=False):
        """A convolution; kernel, stride and dilation: one number, or (vertical, horizontal)."""
        tensors = {"weight": f"{name}.weight"}
        if bias:
            tensors["bias"] = f"{name}.bias"
        return self.add(
            name,
            "conv",
            [source],
            **tensors,
            channels=channels,
            kernel=pair(kernel),
            stride=pair(stride),
            padding=padding,
            dilation=pair(dilation),
            groups=groups,
        )

    def batch_norm(self, name, source, epsilon):
        """Batch normalisation with the four tensors it was trained to."""
        tensors = {part: f"{name}.{part}" for part in ("scale", "shift", "mean", "variance")}
        return self.add(name, "batch_norm", [source], **tensors, epsilon=epsilon)

    def dense(self, name, source, units, bias=True):
        """A fully connected layer, on a vector or on each token."""
        tensors = {part: f"{name}.{part}" for part in ("weight", "bias")[: 1 + bias]}
        return self.add(name, "dense", [source], **tensors, units=units)

    def layer_norm(self, name, source, epsilon):
        """Layer normalisation over the channels of each token or pixel."""
        return self.add(name, "layer_norm", [source], scale=f"{name}.scale", shift=f"{name}.shift", epsilon=epsilon)

    def tokens(self, name, source, before=0, position=True):
        """The pixels of a map as tokens, after `before` tokens of their own; `position`: with position embeddings."""
        fields = {"prefix": f"{name}.prefix", "before": before} if before else {}
        if position:
            fields["position"] = f"{name}.position"
        return self.add(name, "tokens", [source], **fields)

    def embed(self, name, units):
        """The tokens of a text as their embeddings, with those of their places added."""
        return self.add(name, "embed", ["text"], weight=f"{name}.weight", position=f"{name}.position", units=units)

    def attention(self, name, *sources, heads, **fields):
        """Softmax attention of tokens: q, k and v one after another in one source, or k and v in a second one."""
        return self.add(name, "attention", sources, heads=heads, **fields)

    def attention_pool(self, name, source, heads, **fields):
        """The same with a query of its own; k and v lie one after another in `source`."""
        return self.add(name, "attention_pool", [source], heads=heads, query=f"{name}.query", **fields)


def describe(recipe, nodes):
    """The description that a model file carries: a recipe's facts and the nodes."""
    source, size = recipe["source"], dict(recipe["input"])
    if "resize" in recipe:
        size["resize"] = {key: value for key, value in recipe["resize"].items() if key != "default"}
        if recipe["resize"].get("default", "published") != "published":
            size["resize"]["default"] = False
    return {
        "format": 1,
        "name": recipe["name"],
        "source": source["title"],
        "licence": source["licence"],
        "source_sha256": source.get("sha256", ""),
        "input": size,
        "nodes": nodes,
        "features": dict(recipe["features"]),
    }


def metadata(description):
    """The file's metadata: the description as JSON under "coulis"."""
    return {"coulis": json.dumps(description, separators=(",", ":"))}


def window(length, kernel, stride, dilation, padding):
    """Output length, and padding before and after, of a sliding window along one direction."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        count = -(-length // stride)
        total = max((count - 1) * stride + reach - length, 0)
        return count, total // 2, total - total // 2
    before, after = padding
    return (length + before + after - reach) // stride + 1, before, after


def windows(node, height, width):
    """Output height and width, and padding [top, left, bottom, right], of a node with a window."""
    padding = node.get("padding", [0, 0, 0, 0])
    sides = ("same", "same") if padding == "same" else ((padding[0], padding[2]), (padding[1], padding[3]))
    stride, dilation = node.get("stride", [1, 1]), node.get("dilation", [1, 1])
    rows, top, bottom = window(height, node["kernel"][0], stride[0], dilation[0], sides[0])
    columns, left, right = window(width, node["kernel"][1], stride[1], dilation[1], sides[1])
    return rows, columns, [top, left, bottom, right]


def area(shape):
    """Height and width of an output; a vector is one pixel."""
    return shape[:2] if len(shape) == 3 else (1, 1)


def output_shape(node, inputs):
    """Shape of a node's output, from the shapes of its inputs."""
    op, shape = node["op"], inputs[0]
    if op == "conv":
        return (*windows(node, *area(shape))[:2], node["channels"])
    if op in ("dense", "embed"):
        return (*shape[:-1], node["units"])
    if op == "tokens":
        rows, columns = area(shape)
        return (node.get("before", 0) + rows * columns, 1, shape[-1])
    if op == "take":
        return (node["count"], 1, shape[-1]) if node["count"] > 1 else (shape[-1],)
    if op == "attention":
        return (*shape[:-1], shape[-1] // 3 if len(inputs) == 1 else shape[-1])
    if op == "attention_pool":
        return (shape[-1] // 2,)
    if op in ("max_pool", "average_pool"):
        return (*windows(node, *area(shape))[:2], shape[-1])
    if op in ("global_max_pool", "global_average_pool"):
        return (shape[-1],)
    if op in ARITHMETIC:
        return shape if area(inputs[1]) == (1, 1) else inputs[1]
    if op == "concat":
        return (*shape[:-1], sum(other[-1] for other in inputs))
    if op == "slice":
        return (*shape[:-1], node["channels"])
    if op == "pad":
        top, left, bottom, right = node["padding"]
        rows, columns = area(shape)
        return (rows + top + bottom, columns + left + right, shape[-1])
    if op == "flatten":
        rows, columns = area(shape)
        return (rows * columns * shape[-1],)
    return shape


def shapes(description):
    """What follows from a graph.

    Returns
    -------
    (dict of str to tuple, dict of str to tuple)
        Output of each node, (height, width, channels) or (units,); and shape of each tensor, in
        graph order.
    """
    size = description["input"]
    texts = "tokens" in size
    outputs = {"text": (size["tokens"], 1, 3)} if texts else {"image": (size["height"], size["width"], 3)}
    tensors = {}
    for node in description["nodes"]:
        inputs = [outputs[name] for name in node["inputs"]]
        shape, op = output_shape(node, inputs), node["op"]
        if op == "conv":
            tensors[node["weight"]] = (node["channels"], inputs[0][-1] // node.get("groups", 1), *node["kernel"])
        elif op == "dense":
            tensors[node["weight"]] = (node["units"], inputs[0][-1])
        elif op == "embed":
            tensors[node["weight"]] = (size["vocabulary"], node["units"])
            if "position" in node:
                tensors[node["position"]] = (size["tokens"], node["units"])
        elif op == "tokens":
            rows, columns = area(inputs[0])
            if node.get("before", 0):
                tensors[node["prefix"]] = (node["before"], shape[-1])
            if "position" in node:
                tensors[node["position"]] = (rows * columns, shape[-1])
        needed, optional = CHANNEL_WEIGHTS.get(op, ((), ()))
        for part in needed + tuple(part for part in optional if part in node):
            tensors[node[part]] = (shape[-1],)
        outputs[node["name"]] = shape
    return outputs, tensors
