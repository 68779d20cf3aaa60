"""ONNX operators that pool, and reductions; see onnx_operators."""

import numpy

from . import onnx_formulas
from .onnx_graph import Refused
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value


def pool(kind):
    def work(c):
        value, kernel = c.nchw(), c.attributes.get("kernel_shape")
        if type(kernel) is not list or len(kernel) != 2 or c.wholes("kernel_shape", kernel, 1) != kernel:
            raise Refused("its window is not two whole numbers")
        if c.wholes("dilations", [1, 1], 1) != [1, 1] or any(c.node.outputs[1:]):
            raise Refused("it has dilations, or gives places as well as values")
        height, width, channels = value.map.size
        stride, padding, counts = c.window(value.map.size, kernel)
        if kernel == [height, width] and not any(padding):
            return Value.nchw(c.emit(f"global_{kind}_pool", [value.map], (1, 1, channels)))
        source, fields = value.map, {}
        if kind == "average":
            fields["count_include_pad"] = bool(c.whole("count_include_pad", 0))
        else:
            source, padding = zeros_as_padding(c, source, padding, kernel)
        if any(before >= kernel[place % 2] for place, before in enumerate(padding)):
            raise Refused("its padding is as wide as its window, or wider")
        size = (*counts, channels)
        return Value.nchw(
            c.emit(f"{kind}_pool", [source], size, kernel=kernel, stride=stride, padding=padding, **fields)
        )

    return work


def zeros_as_padding(c, source, padding, kernel):
    """Zeros around a map without negative numbers are padding of a max-pool: neither ever wins against another."""
    border_node = c.builder.producer(source)
    if border_node and border_node["op"] == "pad" and border_node["value"] == 0:
        inner = border_node["inputs"][0]
        made = c.builder.producer(Map(inner, c.builder.sizes[inner]))
        total = [one + other for one, other in zip(padding, border_node["padding"])]
        fits = all(before < kernel[place % 2] for place, before in enumerate(total))
        if fits and made and (made["op"] in ("relu", "relu6", "sigmoid") or made.get("low", -1) >= 0):
            return Map(inner, c.builder.sizes[inner]), total
    return source, padding


def global_pool(kind):
    def work(c):
        value = c.nchw()
        return Value.nchw(c.emit(f"global_{kind}_pool", [value.map], (1, 1, value.map.size[CHANNEL])))

    return work


def reduce(kind):
    def work(c):
        if kind == "average" and onnx_formulas.is_over_channels(c):
            return onnx_formulas.over_channels(c, "mean")
        value, axes = c.value(), c.axes()
        size = value.map.size
        if not axes:
            raise Refused("it reduces all dimensions, the batch among them")
        ways = {way for axis in axes for way in value.axes[axis]}
        if ways != {way for way in (HEIGHT, WIDTH) if size[way] > 1}:
            raise Refused("it is not over height and width, both and no other")
        found = value.with_map(c.emit(f"global_{kind}_pool", [value.map], (1, 1, size[CHANNEL])))
        if c.whole("keepdims", 1):
            return found
        return Value(found.map, [axis for place, axis in enumerate(found.axes) if place not in axes])

    return work


def reduce_sum(c):
    """A sum over the channels, or over height and width: so many times the mean."""
    if onnx_formulas.is_over_channels(c):
        return onnx_formulas.over_channels(c, "sum")
    height, width, channels = c.value().map.size
    value = reduce("average")(c)
    count = numpy.full(channels, float(height * width))
    return value.with_map(c.builder.affine(f"{c.name}.sum", value.map, count, 0 * count))


def length(kind):
    def work(c):
        if onnx_formulas.is_over_channels(c):
            return onnx_formulas.over_channels(c, kind)
        if kind != "l2":
            raise Refused("it is not over the channels")
        return onnx_formulas.over_area(c)

    return work
