"""Softmax attention in ONNX graphs: products of queries with keys, a softmax, and its product with values.

Exporters write it in as many ways as there are projects: q, k and v from one product or from three, scaled before or
behind the product, with heads as a dimension of their own or joined with the images of a batch. All of them come to
scores over (heads, queries, keys), and one node of attention.
"""

import numpy

from .onnx_graph import Refused
from .onnx_loose import BATCH, KEYS, Loose, Part
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value


class Scores:
    """What a softmax is, or will be, made of.

    Attributes
    ----------
    q : Loose or numpy.ndarray
        The queries; an array of (channels) where they are a part of the network.
    k : Loose
    keys, heads : int
        How many tokens k has; of how many heads.
    scale : float
        Of the products.
    soft : bool
        The softmax is done.
    """

    def __init__(self, q, k, keys, heads, scale=1.0, soft=False):
        self.q, self.k, self.keys, self.heads, self.scale, self.soft = q, k, keys, heads, scale, soft

    def changed(self, **given):
        return Scores(**{**self.__dict__, **given})


def matmul(c):
    first, second = c.inputs
    if isinstance(second, numpy.ndarray):
        return product(c, first, second)
    if isinstance(first, numpy.ndarray):
        if not isinstance(second, (Value, Loose)):
            raise Refused("its second input is not a map")
        return _asked(first, Loose.of(second, c.builder.batch))
    if not isinstance(first, (Value, Loose)) or not isinstance(second, (Value, Loose)):
        raise Refused("it multiplies something other than two maps")
    first, second = (Loose.of(value, c.builder.batch) for value in (first, second))
    if first.scores:
        return _attended(c, first, second)
    if second.scores or len(first.axes) != len(second.axes) or len(first.axes) < 2:
        raise Refused("its inputs are not queries and keys of attention")
    heads = _heads(first.axes[:-2], first.axes[-1], second.axes[:-2], second.axes[-2])
    keys = second.shape[-1]
    _check_tokens(second, second.axes[-1])
    _check_tokens(first, first.axes[-2])
    scores = Scores(first, second, keys, heads)
    return Loose(first.map, first.batch, [*first.axes[:-1], (KEYS,)], first.first, scores)


def _asked(q, k):
    """Scores of queries that are a part of the network: one for each head."""
    each = k.axes[-2]
    if q.ndim != len(k.axes) or q.shape[-2] != 1 or len(each) != 1 or q.shape[-1] != k.shape[-2]:
        raise Refused("it multiplies a constant with a map: neither a dense layer nor one query of attention")
    _check_tokens(k, k.axes[-1])
    heads = _heads(k.axes[:-2], each, k.axes[:-2], each)
    q = q.reshape(-1, q.shape[-1])
    if len(q) != heads and len(q) != heads * k.batch or (q.reshape(-1, heads, q.shape[-1]) != q[:heads]).any():
        raise Refused("its queries differ between the images of a batch")
    scores = Scores(numpy.ascontiguousarray(q[:heads]).reshape(-1), k, k.shape[-1], heads)
    return Loose(k.map, k.batch, [*k.axes[:-2], (), (KEYS,)], k.first, scores)


def _check_tokens(value, axis):
    """All pixels or tokens in order: none of the batch, and no channels."""
    if axis != tuple(way for way in (HEIGHT, WIDTH) if value.map.size[way] > 1):
        raise Refused("its tokens are not all pixels of a map in order")


def _heads(lead, each, other_lead, other_each):
    """The number of heads; both inputs must have the same."""
    ways = [way for axis in lead for way in axis]
    if ways != [way for axis in other_lead for way in axis] or each != other_each or len(each) > 1:
        raise Refused("its inputs are not queries and keys of the same heads")
    parts = [way for way in ways if isinstance(way, Part)]
    length = each[0].length if each else 1
    if (
        set(ways) - {BATCH, *parts}
        or len(parts) > 1
        or (each and each[0].stride != 1)
        or (parts and parts[0].stride != length)
    ):
        raise Refused("its heads are not channels one after another")
    return parts[0].length if parts else 1


def softmax(c):
    value = c.inputs[0]
    axis = c.whole("axis", 1 if c.opset < 13 else -1)
    if value.scores.soft or axis not in (-1, len(value.axes) - 1) or value.axes[-1] != (KEYS,):
        raise Refused("it is not over the keys of attention")
    return Loose(value.map, value.batch, value.axes, value.first, value.scores.changed(soft=True))


def scaled(c, divide=False):
    """Scores times one number, or plus nothing."""
    value, array = c.inputs if isinstance(c.inputs[0], Loose) else c.inputs[::-1]
    array = numpy.asarray(array, numpy.float64)
    if c.node.op in ("Add", "Sub"):
        if array.any() or value.scores.soft:
            raise Refused("it adds to scores of attention: there are no masks or biases here")
        return value
    if array.size != 1 or value.scores.soft or (divide and not isinstance(c.inputs[0], Loose)):
        raise Refused("it scales scores of attention by more than one number")
    number = float(array.reshape(()))
    number = 1 / number if divide and number else number
    if not number > 0:
        raise Refused(f"its factor {number} of scores of attention is not positive")
    scores = value.scores.changed(scale=value.scores.scale * number)
    return Loose(value.map, value.batch, value.axes, value.first, scores)


def _attended(c, scores, v):
    """The node of attention."""
    s = scores.scores
    if not s.soft or scores.axes[-1] != (KEYS,):
        raise Refused("it multiplies scores of attention before their softmax")
    if len(v.axes) != len(scores.axes) or v.shape[-2] != s.keys:
        raise Refused("its values do not fit the scores")
    _check_tokens(v, v.axes[-2])
    each = v.axes[-1]
    if _heads(scores.axes[:-2], each, v.axes[:-2], each) != s.heads:
        raise Refused("its values are not of the same heads")
    channels = s.heads * v.shape[-1]
    parts = [_Rows(c.builder, value, channels) for value in (s.k, v)]
    scale = s.scale * parts[0].take_factor()
    ends = [*scores.axes[:-1], each]
    if isinstance(s.q, numpy.ndarray):
        if s.q.size != channels:
            raise Refused("its queries and values are not of the same length")
        source = _joined(c, parts, "kv")
        made = c.emit("attention_pool", [source], (1, 1, channels), {"query": s.q}, heads=s.heads, scale=scale)
        return Loose(made, v.batch, ends).settled()
    q = _Rows(c.builder, s.q, channels)
    scale *= q.take_factor()
    if not scale > 0:
        raise Refused(f"its scores have the factor {scale}, which is not positive")
    size = (*s.q.map.size[:2], channels)
    if s.q.map.size[:2] == v.map.size[:2] == s.k.map.size[:2] and q.reads == parts[0].reads:
        sources = [_joined(c, [q, *parts], "qkv")]
    else:
        sources = [_joined(c, [q], "q"), _joined(c, parts, "kv")]
    made = c.emit("attention", sources, size, heads=s.heads, scale=scale)
    return Loose(made, v.batch, ends).settled()


class _Rows:
    """Some channels of a map, and the rows of the dense layer that makes them, where one does."""

    def __init__(self, builder, value, channels):
        if channels > value.map.size[CHANNEL] - value.first:
            raise Refused("its queries, keys and values are not of the same length")
        self.builder, map, first = builder, value.map, value.first
        self.scale = numpy.ones(channels) if map.scale is None else map.scale[first : first + channels].copy()
        self.shift = numpy.zeros(channels) if map.scale is None else map.shift[first : first + channels].copy()
        source = builder.node(map.source)
        while source and source["op"] in ("slice", "batch_norm"):
            inner = source["inputs"][0]
            if source["op"] == "slice":
                first += source["first"]
            else:  # a factor and a summand that had to be written: its mean is 0 and its variance 1
                scale, shift = (builder.tensors[source[part]][first : first + channels] for part in ("scale", "shift"))
                self.shift += self.scale * shift
                self.scale *= scale
            source = builder.node(inner) or {"name": inner, "op": ""}
        self.source, self.first, self.channels = source or {"name": map.source, "op": ""}, first, channels

    @property
    def reads(self):
        """What the layer, or else the attention, reads."""
        dense = self.source["op"] == "dense"
        return (dense, self.source["inputs"][0] if dense else self.source["name"])

    def take_factor(self):
        """The one factor of all channels, taken out; 1 where they differ."""
        factor = self.scale[0]
        if factor == 0 or (self.scale != factor).any():
            return 1.0
        self.scale, self.shift = numpy.ones(self.channels), self.shift / factor
        return float(factor)

    def weights(self):
        rows = slice(self.first, self.first + self.channels)
        tensors, source = self.builder.tensors, self.source
        bias = tensors[source["bias"]][rows].astype(numpy.float64) if "bias" in source else numpy.zeros(self.channels)
        return tensors[source["weight"]][rows] * self.scale[:, None], bias * self.scale + self.shift

    def written(self, c):
        size = (*c.builder.sizes[self.source["name"]][:2], self.channels)
        name = self.source["name"]
        if self.channels != c.builder.sizes[name][CHANNEL]:
            name = c.builder.emit(
                f"{c.name}.part", "slice", [name], size, first=self.first, channels=self.channels
            ).source
        map = c.builder.affine(f"{c.name}.affine", Map(name, size), self.scale, self.shift)
        return c.builder.written(map)


def _joined(c, parts, name):
    """One map of all parts: one dense layer with their rows where they read the same, else their channels joined."""
    builder, first = c.builder, parts[0]
    count = sum(part.channels for part in parts)
    whole = all(
        part.source is first.source
        and part.first == place * first.channels
        and (part.scale == 1).all()
        and not part.shift.any()
        for place, part in enumerate(parts)
    )
    if whole and builder.sizes[first.source["name"]][CHANNEL] == count:
        return Map(first.source["name"], builder.sizes[first.source["name"]])
    if all(part.reads == first.reads for part in parts) and first.reads[0]:
        weights, biases = zip(*(part.weights() for part in parts))
        size = (*builder.sizes[first.source["name"]][:2], count)
        tensors = {"weight": numpy.concatenate(weights), "bias": numpy.concatenate(biases)}
        return builder.emit(f"{c.name}.{name}", "dense", [first.reads[1]], size, tensors, units=count)
    sources = [part.written(c) for part in parts]
    if len(sources) == 1:
        return Map(sources[0], builder.sizes[sources[0]])
    return builder.emit(f"{c.name}.{name}", "concat", sources, (*builder.sizes[sources[0]][:2], count))


def product(c, value, weight, bias=None):
    """A dense layer on every pixel or token, whose channels are the last dimension. `weight`: (inputs, units)."""
    while weight.ndim > 2 and weight.shape[0] == 1:
        weight = weight[0]
    if weight.ndim != 2 or not isinstance(value, (Value, Loose)):
        raise Refused(f"it multiplies with a constant of shape {list(weight.shape)}, which is not a matrix")
    loose = Loose.of(value, c.builder.batch)
    channels = loose.map.size[CHANNEL]
    whole = (Part(1, channels),) if channels > 1 else ()
    if loose.scores or loose.first or not loose.axes or loose.axes[-1] != whole:
        raise Refused("it multiplies neither the channels of a map nor a vector: flatten it first")
    if weight.shape[0] != channels:
        raise Refused(f"its weight of shape {list(weight.shape)} does not fit {channels} numbers")
    tensors, units = {"weight": weight.T}, weight.shape[1]
    if bias is not None:
        tensors["bias"] = bias
    made = c.emit("dense", [loose.map], (*loose.map.size[:2], units), tensors, units=units)
    return Loose(made, loose.batch, [*loose.axes[:-1], (Part(1, units),)]).settled()
