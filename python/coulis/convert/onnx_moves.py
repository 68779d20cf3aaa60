"""ONNX operators that move numbers without changing them: borders, parts, joins, and other names for dimensions."""

from math import prod

import numpy

from . import onnx_constants, onnx_file
from .onnx_graph import Refused
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Value

PADDING_MAX = 64  # of a pad node
JOINED_MAX = 64  # inputs of a concat node
FLOATS = ("<f4", "<f2", "<f8")


def border(c, map, padding, number):
    """A pad node."""
    if max(padding) > PADDING_MAX:
        raise Refused(f"it pads more than {PADDING_MAX} pixels")
    height, width, channels = map.size
    size = (height + padding[0] + padding[2], width + padding[1] + padding[3], channels)
    return c.builder.emit(
        f"{c.name}.pad" if c.node.op == "Conv" else c.name,
        "pad",
        [c.builder.written(map)],
        size,
        padding=padding,
        value=number,
    )


def pad(c):
    value = c.value()
    if c.attributes.get("mode", b"constant") != b"constant":
        raise Refused("it pads with something other than a constant")
    pads = c.attributes.get("pads") if c.opset < 11 else c.constant(1, "padding")
    number = c.number("value", 0.0) if c.opset < 11 else c.scalar(2, "padded number", 0.0)
    named = c.constant(3, "axes")
    rank = len(value.axes) + 1
    places = range(rank) if named is None else [onnx_constants.axis_of(axis, rank) for axis in named]
    pads = [] if pads is None else [int(count) for count in pads]
    if len(pads) != 2 * len(places):
        raise Refused("its padding does not fit the dimensions of its input")
    padding = [0, 0, 0, 0]
    for place, before, after in zip(places, pads, pads[len(places) :]):
        if not before and not after:
            continue
        axis = value.axes[place - 1] if place else ()
        if axis not in ((HEIGHT,), (WIDTH,)) or min(before, after) < 0:
            raise Refused("it pads something other than height and width, or cuts off")
        padding[axis[0]], padding[axis[0] + 2] = before, after
    return value.with_map(border(c, value.map, padding, number)) if any(padding) else value


def concat(c):
    axis = c.axis(c.whole("axis", 1))
    values = [c.value(place) for place in range(len(c.inputs))]
    first = values[0]
    for value in values:
        rest = [other for place, other in enumerate(value.axes) if place != axis]
        if rest != [other for place, other in enumerate(first.axes) if place != axis] or (
            value.axes[axis] not in ((CHANNEL,), ()) or value.dims[axis] != value.map.size[CHANNEL]
        ):
            raise Refused("it joins something other than the channels of maps in the same order")
        if value.map.size[:2] != first.map.size[:2]:
            raise Refused("it joins maps of different heights or widths")
    if len(values) == 1:
        return first
    if len(values) > JOINED_MAX:
        raise Refused(f"it joins more than {JOINED_MAX} maps")
    size = (*first.map.size[:2], sum(value.map.size[CHANNEL] for value in values))
    axes = list(first.axes)
    axes[axis] = (CHANNEL,)
    return Value(c.emit("concat", [value.map for value in values], size), axes)


def channels_of(c, value, axis, chosen):
    """The channels whose numbers `chosen` lists, in that order; `axis` must be that of the channels."""
    if value.axes[axis] not in ((CHANNEL,), ()) or value.dims[axis] != value.map.size[CHANNEL]:
        raise Refused("it takes a part of something other than the channels")
    chosen, count = list(chosen), value.map.size[CHANNEL]
    if chosen == list(range(count)):
        return value
    runs = []
    for number in chosen:
        if runs and number == sum(runs[-1]):
            runs[-1][1] += 1
        else:
            runs.append([number, 1])
    if not 0 < len(runs) <= JOINED_MAX:
        raise Refused(f"it takes no channels, or more than {JOINED_MAX} that are no neighbours")
    size, source = (*value.map.size[:2], len(chosen)), c.builder.written(value.map)
    parts = []
    for first, length in runs:
        name = c.name if len(runs) == 1 else f"{c.name}.{first}"
        parts.append(c.builder.emit(name, "slice", [source], (*size[:2], length), first=first, channels=length))
    axes = [(CHANNEL,) if place == axis else other for place, other in enumerate(value.axes)]
    return Value(parts[0] if len(parts) == 1 else c.emit("concat", parts, size), axes)


def slice_(c):
    value = c.value()
    rest = [c.constant(place, "bounds") for place in range(1, len(c.inputs))]
    ranges = onnx_constants.slices(rest, c.attributes, c.opset, len(value.axes) + 1)
    if ranges[0] != slice(None):
        raise Refused("it works across the pictures of a batch")
    for axis, chosen in enumerate(ranges[1:]):
        numbers = range(value.dims[axis])[chosen]
        if numbers != range(value.dims[axis]):
            value = channels_of(c, value, axis, numbers)
    return value


def gather(c):
    value, indices = c.value(), c.constant(1, "indices")
    if indices is None or indices.ndim != 1:
        raise Refused("its indices are not a list")
    axis = c.axis(c.whole("axis", 0))
    return channels_of(c, value, axis, [onnx_constants.axis_of(i, value.dims[axis]) for i in indices])


def split(c):
    value, axis, outputs = c.value(), c.axis(c.whole("axis", 0)), len(c.node.outputs)
    sizes = c.attributes.get("split") if c.opset < 13 else c.constant(1, "sizes")
    if sizes is None:
        each = -(-value.dims[axis] // outputs)
        sizes = [each] * (outputs - 1) + [value.dims[axis] - each * (outputs - 1)]
    if len(sizes) != outputs or sum(sizes) != value.dims[axis] or min(sizes) < 1:
        raise Refused("its parts do not come to the whole")
    ends = [int(end) for end in numpy.cumsum(sizes)]
    return [channels_of(c, value, axis, range(end - int(size), end)) for end, size in zip(ends, sizes)]


def reshaped(c, dims):
    value = c.value()
    found = value.reshaped(dims)
    if found is None:
        raise Refused(
            f"it makes {[c.builder.batch, *dims]} of {[c.builder.batch, *value.dims]}: only whole dimensions "
            "can be joined or taken apart again"
        )
    return found


def flatten(c):
    dims, axis = (c.builder.batch, *c.value().dims), c.whole("axis", 1)
    axis = axis + len(dims) if axis < 0 else axis
    if not 0 < axis <= len(dims) or prod(dims[1:axis]) != 1:
        raise Refused(f"it joins the pictures of a batch (axis {axis})")
    return reshaped(c, [prod(dims[axis:])])


def reshape(c):
    wanted, dims = c.constant(1, "shape"), (c.builder.batch, *c.value().dims)
    if wanted is None:
        raise Refused("it has no shape")
    target = onnx_constants.target_shape(dims, numpy.ravel(wanted), c.whole("allowzero", 0))
    if not target or target[0] != c.builder.batch:
        raise Refused(f"it makes {list(target)} of {list(dims)}: the first dimension has to stay the batch")
    return reshaped(c, target[1:])


def squeeze(c):
    value, axes = c.value(), c.axes()
    if axes is None:
        axes = [place for place, length in enumerate(value.dims) if length == 1]
    if any(value.dims[axis] != 1 for axis in axes):
        raise Refused("it takes away a dimension that is not 1")
    return Value(value.map, [axis for place, axis in enumerate(value.axes) if place not in axes])


def unsqueeze(c):
    value = c.value()
    c.constant(1, "axes")
    axes = onnx_constants.axes_of(c.inputs, c.attributes) or []
    rank = len(value.axes) + 1 + len(axes)
    places, rest = {c.axis(axis, rank) for axis in axes}, iter(value.axes)
    if len(places) != len(axes):
        raise Refused("it names an axis twice")
    return Value(value.map, [() if place in places else next(rest) for place in range(rank - 1)])


def transpose(c):
    value = c.value()
    rank = len(value.axes) + 1
    order = c.attributes.get("perm", list(range(rank))[::-1])
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise Refused(f"its order {order} of {rank} dimensions is none, or moves the batch")
    return Value(value.map, [value.axes[place - 1] for place in order[1:]])


def cast(c):
    if onnx_file.dtype(c.whole("to", 0)) not in FLOATS:
        raise Refused("it rounds to whole numbers, or to a type that is not read")
    return c.value()


def shape(c):
    return onnx_constants.shape_of((c.builder.batch, *c.value().dims), c.attributes)


def dropout(c):
    training = c.constant(2, "training mode")
    if training is not None and training.any():
        raise Refused("it is in training mode")
    return c.value()


def same(c):
    return c.value()
