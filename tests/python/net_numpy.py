"""A network from its model file in NumPy and float64: the operators of transformers and ConvNeXt as their papers have
them, one image at a time. Every value is (height, width, channels)."""

import math

import numpy

ERF = numpy.vectorize(math.erf, otypes=[float])


def prepare(pixels, description):
    size = description["input"]
    x = pixels.astype(float)
    return ((x[..., ::-1] if size["channels"] == "BGR" else x) - size["mean"]) / size["std"]


def conv(x, node, weight, bias):
    """Cross-correlation with explicit padding."""
    top, left, bottom, right = node["padding"]
    x = numpy.pad(x, ((top, bottom), (left, right), (0, 0)))
    groups, (kh, kw), (sh, sw) = node["groups"], node["kernel"], node["stride"]
    windows = numpy.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(0, 1))[::sh, ::sw]
    parts = numpy.split(windows, groups, axis=2)
    weights = numpy.split(weight, groups)
    found = [numpy.einsum("yxikl,oikl->yxo", part, own) for part, own in zip(parts, weights)]
    return numpy.concatenate(found, -1) + bias


def gelu(x, form):
    if form == "erf":
        return x * 0.5 * (1 + ERF(x / math.sqrt(2)))
    if form == "tanh":
        return 0.5 * x * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / (1 + numpy.exp(-1.702 * x))


def layer_norm(x, scale, shift, epsilon):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / numpy.sqrt(x.var(-1, keepdims=True) + epsilon) * scale + shift


def attention(q, k, v, node):
    """Each (tokens, channels)."""
    heads = node["heads"]
    size = q.shape[1] // heads
    out = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T * node.get("scale", 1 / math.sqrt(size))
        if node.get("causal"):
            scores = numpy.where(numpy.tri(*scores.shape, dtype=bool), scores, -numpy.inf)
        powers = numpy.exp(scores - scores.max(1, keepdims=True))
        out.append(powers / powers.sum(1, keepdims=True) @ v[:, part])
    return numpy.concatenate(out, 1)


def apply(node, inputs, tensors):
    """The output of one node."""
    op, x = node["op"], inputs[0]

    def weight(key, otherwise=0.0):
        return tensors[node[key]].astype(float) if key in node else otherwise

    rows = x.reshape(-1, x.shape[-1])
    if op == "conv":
        return conv(x, node, weight("weight"), weight("bias"))
    if op == "dense":
        return x @ weight("weight").T + weight("bias")
    if op == "scale":
        return x * weight("scale") + weight("shift")
    if op == "layer_norm":
        return layer_norm(x, weight("scale", 1.0), weight("shift"), node["epsilon"])
    if op == "l2_norm":
        return x / numpy.maximum(numpy.sqrt((x**2).sum(-1, keepdims=True)), node["epsilon"])
    if op == "grn":
        energy = numpy.sqrt((rows**2).sum(0))
        return x + x * (energy / (energy.mean() + node["epsilon"])) * weight("scale") + weight("shift")
    if op == "local_response_norm":
        before = (node["size"] - 1) // 2
        padded = numpy.pad(x**2, ((0, 0), (0, 0), (before, node["size"] - 1 - before)))
        sums = sum(padded[..., i : i + x.shape[-1]] for i in range(node["size"]))
        return x / (node["bias"] + node["alpha"] / node["size"] * sums) ** node["beta"]
    if op == "prelu":
        return numpy.where(x < 0, x * weight("slope"), x)
    if op == "power":
        return numpy.maximum(x, 0) ** node["exponent"]
    if op == "gelu":
        return gelu(x, node["form"])
    if op == "tokens":
        rows = rows + weight("position")
        before = weight("prefix") if "prefix" in node else numpy.zeros((0, x.shape[-1]))
        return numpy.concatenate([before, rows])[:, None]
    if op == "take":
        return rows[node["first"] : node["first"] + node["count"]][:, None]
    if op == "attention":
        q, k, v = numpy.split(rows, 3, 1) if len(inputs) == 1 else (rows, *numpy.split(flat(inputs[1]), 2, 1))
        return attention(q, k, v, node).reshape(*x.shape[:2], -1)
    if op == "attention_pool":
        return attention(weight("query")[None], *numpy.split(rows, 2, 1), node)[None]
    if op == "slice":
        return x[..., node["first"] : node["first"] + node["channels"]]
    plain = {
        "tanh": numpy.tanh,
        "relu": lambda a: numpy.maximum(a, 0),
        "swish": lambda a: a / (1 + numpy.exp(-a)),
        "add": numpy.add,
        "multiply": numpy.multiply,
        "global_average_pool": lambda a: a.mean((0, 1), keepdims=True),
    }
    return plain[op](*inputs)


def flat(x):
    return x.reshape(-1, x.shape[-1])


def run(description, tensors, pixels):
    """Features of uint8 (n, h, w, 3): a dict of float64 (n, length)."""
    kinds = {kind: node for kind, node in description["features"].items() if kind != "default"}
    found = {kind: [] for kind in kinds}
    for image in pixels:
        values = {"image": prepare(image, description)}
        for node in description["nodes"]:
            values[node["name"]] = apply(node, [values[name] for name in node["inputs"]], tensors)
        for kind, node in kinds.items():
            found[kind].append(values[node].ravel())
    return {kind: numpy.stack(rows) for kind, rows in found.items()}
