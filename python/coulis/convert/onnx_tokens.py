"""Tokens in ONNX graphs: class tokens put before a map's pixels, embeddings of places, and parts of a sequence."""

import numpy

from .onnx_graph import Refused
from .onnx_loose import Loose
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value

TOKENS_MAX = 1024  # before the pixels, as the library reads model files


def area(map):
    """The ways of an axis over all pixels."""
    return tuple(way for way in (HEIGHT, WIDTH) if map.size[way] > 1)


def is_sequence(value):
    """Whether the dimensions are (image, pixel or token, channel)."""
    return (
        isinstance(value, Value)
        and len(value.axes) == 2
        and value.axes[0] == area(value.map)
        and (value.map.size[CHANNEL] == value.dims[1])
    )


def _made(c, map):
    """Prefix, position (None where there is none) and source of a sequence that a node `tokens` makes."""
    node, tensors = c.builder.producer(map), c.builder.tensors
    if node and node["op"] == "tokens":
        prefix = tensors[node["prefix"]] if node.get("before") else numpy.zeros((0, map.size[CHANNEL]))
        return prefix, tensors[node["position"]] if "position" in node else None, node["inputs"][0]
    return numpy.zeros((0, map.size[CHANNEL])), None, c.builder.written(map)


def _write(c, prefix, position, source):
    """The node `tokens`."""
    height, width, channels = c.builder.sizes[source]
    if len(prefix) > TOKENS_MAX:
        raise Refused(f"it puts more than {TOKENS_MAX} tokens before a sequence")
    tensors, fields = {}, {}
    if len(prefix):
        tensors["prefix"], fields["before"] = prefix, len(prefix)
    if position is not None:
        tensors["position"] = position
    map = c.builder.emit(c.name, "tokens", [source], (len(prefix) + height * width, 1, channels), tensors, **fields)
    return Value(map, [(HEIGHT,), (CHANNEL,)])


def placed(c, value, array):
    """A sequence plus a constant that differs between its tokens; None where it is something else."""
    array = numpy.asarray(array)
    while array.ndim > 2 and (array[:1] == array).all():
        array = array[0]
    if not is_sequence(value) or value.map.is_vector or array.shape != value.dims:
        return None
    prefix, position, source = _made(c, value.map)
    before = len(prefix)
    position = array[before:] if position is None else position + array[before:]
    return _write(c, prefix + array[:before], position, source)


def joined(c, axis):
    """Constants, and what a node `tokens` has put first, before a sequence; None where it joins something else."""
    pieces, rest = [], None
    for given in c.inputs:
        if isinstance(given, numpy.ndarray):
            if given.ndim != 3 or (given[:1] != given).any():
                return None
            pieces.append(given[0])
            continue
        if not is_sequence(given) or axis != 0 or rest is not None:
            return None
        node = c.builder.producer(given.map)
        if node and node["op"] == "take":
            made = Map(node["inputs"][0], c.builder.sizes[node["inputs"][0]])
            prefix, position, source = _made(c, made)
            first, count = node["first"], node["count"]
            if first + count <= len(prefix):
                pieces.append(prefix[first : first + count])
                continue
            if not len(prefix) or first > len(prefix) or first + count != made.size[HEIGHT] * made.size[WIDTH]:
                return None
            pieces.append(prefix[first:])
            rest = position, source
            continue
        prefix, position, source = _made(c, given.map)
        pieces.append(prefix)
        rest = position, source
    if rest is None or not isinstance(c.inputs[-1], Value):
        return None
    return _write(c, numpy.concatenate(pieces), *rest)


def taken(c, value, axis, numbers, keep):
    """Some pixels or tokens, of a Value or a Loose; `axis` must run over all of them."""
    loose = Loose.of(value, c.builder.batch)
    if loose.scores or loose.axes[axis] != area(loose.map) or not loose.axes[axis]:
        raise Refused("it takes a part of something other than the channels or the tokens")
    first, count = numbers[0], len(numbers)
    if list(numbers) != list(range(first, first + count)):
        raise Refused("it takes tokens that are not neighbours")
    map = c.emit("take", [loose.map], (count, 1, loose.map.size[CHANNEL]), first=first, count=count)
    axes = [*loose.axes[:axis], *([(HEIGHT,) if count > 1 else ()] if keep else []), *loose.axes[axis + 1 :]]
    return Loose(map, loose.batch, axes, loose.first).settled()


def picked(c, value, axis, number):
    """One number along an axis, which goes away."""
    loose = Loose.of(value, c.builder.batch)
    found = loose.chosen(axis, number)
    return found.settled() if found is not None else taken(c, loose, axis, [number], False)
