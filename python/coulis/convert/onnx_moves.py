"""ONNX operators that move numbers without changing them: borders, parts, joins, and other names for dimensions."""

from math import prod

import numpy

from . import onnx_constants, onnx_file, onnx_tokens
from .onnx_formulas import Formula
from .onnx_graph import Refused
from .onnx_loose import Loose
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
    known = next(given for given in c.inputs if not isinstance(given, numpy.ndarray))
    axis = c.axis(c.whole("axis", 1), len(known.axes) + 1 if isinstance(known, Value) else None)
    tokens = onnx_tokens.joined(c, axis)
    if tokens is not None:
        return tokens
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
        raise Refused(f"it takes no channels, or more than {JOINED_MAX} that are not neighbours")
    size, source = (*value.map.size[:2], len(chosen)), c.builder.written(value.map)
    parts = []
    for first, length in runs:
        name = c.name if len(runs) == 1 else f"{c.name}.{first}"
        parts.append(c.builder.emit(name, "slice", [source], (*size[:2], length), first=first, channels=length))
    axes = [(CHANNEL,) if place == axis else other for place, other in enumerate(value.axes)]
    return Value(parts[0] if len(parts) == 1 else c.emit("concat", parts, size), axes)


def _loose(c):
    """The first input, where it is, or becomes, one whose dimensions are none of a map's."""
    if isinstance(c.inputs[0], Loose):
        return c.inputs[0]
    return Loose.of(c.value(), c.builder.batch)


def slice_(c):
    value = c.inputs[0] if isinstance(c.inputs[0], Loose) else c.value()
    rest = [c.constant(place, "bounds") for place in range(1, len(c.inputs))]
    ranges = onnx_constants.slices(rest, c.attributes, c.opset, _rank(value))
    for axis, chosen in enumerate(ranges):
        if not axis and isinstance(value, Value):
            if range(c.builder.batch)[chosen] != range(c.builder.batch):
                raise Refused("it works across the images of a batch")
            continue
        length = value.dims[axis - 1] if isinstance(value, Value) else value.shape[axis]
        numbers = range(length)[chosen]
        if numbers == range(length):
            continue
        value = part_of(c, value, axis, numbers)
    return value


def part_of(c, value, axis, numbers):
    """Some of the numbers along an axis, the batch being the first."""
    if not len(numbers):
        raise Refused("it takes nothing")
    if isinstance(value, Loose):
        found = value.ranged(axis, numbers)
        if found is not None:
            return found.settled()
        if axis and value.axes[axis] != onnx_tokens.area(value.map):
            value = value.whole(c.builder, f"{c.name}.input") or value
    if isinstance(value, Value):
        if not axis:
            raise Refused("it works across the images of a batch")
        if value.axes[axis - 1] in ((CHANNEL,), ()):
            return channels_of(c, value, axis - 1, numbers)
    return onnx_tokens.taken(c, value, axis, numbers, keep=True)


def _rank(value):
    return len(value.axes) + isinstance(value, Value)


def gather(c):
    value, indices = c.inputs[0] if isinstance(c.inputs[0], Loose) else c.value(), c.constant(1, "indices")
    axis = onnx_constants.axis_of(c.whole("axis", 0), _rank(value))
    if indices is None or indices.ndim > 1:
        raise Refused("its indices are not a list")
    length = (c.builder.batch, *value.dims)[axis] if isinstance(value, Value) else value.shape[axis]
    places = [onnx_constants.axis_of(i, length) for i in indices.reshape(-1)]
    return onnx_tokens.picked(c, value, axis, places[0]) if indices.ndim == 0 else part_of(c, value, axis, places)


def split(c):
    value, outputs = c.inputs[0] if isinstance(c.inputs[0], Loose) else c.value(), len(c.node.outputs)
    axis = onnx_constants.axis_of(c.whole("axis", 0), _rank(value))
    length = (c.builder.batch, *value.dims)[axis] if isinstance(value, Value) else value.shape[axis]
    sizes = c.attributes.get("split") if c.opset < 13 else c.constant(1, "sizes")
    if sizes is None:
        each = -(-length // outputs)
        sizes = [each] * (outputs - 1) + [length - each * (outputs - 1)]
    if len(sizes) != outputs or sum(sizes) != length or min(sizes) < 1:
        raise Refused("its parts do not come to the whole")
    ends = [int(end) for end in numpy.cumsum(sizes)]
    return [part_of(c, value, axis, range(end - int(size), end)) for end, size in zip(ends, sizes)]


def reshaped(c, shape):
    """With other dimensions, the batch among them."""
    value = c.inputs[0]
    if isinstance(value, Value) and shape[:1] == (c.builder.batch,):
        found = value.reshaped(shape[1:])
        if found is not None:
            return found
    loose = _loose(c)
    found = loose.reshaped(shape)
    if found is None:
        raise Refused(
            f"it makes {list(shape)} of {list(loose.shape)}: only whole dimensions, and channels, can be "
            "joined or taken apart"
        )
    return found.settled()


def flatten(c):
    dims, axis = _loose(c).shape, c.whole("axis", 1)
    axis = axis + len(dims) if axis < 0 else axis
    if not 0 <= axis <= len(dims):
        raise Refused(f"there is no axis {axis}")
    return reshaped(c, (prod(dims[:axis]), prod(dims[axis:])))


def reshape(c):
    wanted = c.constant(1, "shape")
    if wanted is None:
        raise Refused("it has no shape")
    return reshaped(c, onnx_constants.target_shape(_loose(c).shape, numpy.ravel(wanted), c.whole("allowzero", 0)))


def squeeze(c):
    value = _loose(c)
    c.constant(1, "axes")
    axes = onnx_constants.axes_of(c.inputs, c.attributes)
    if axes is None:
        axes = [place for place, length in enumerate(value.shape) if length == 1]
    places = {onnx_constants.axis_of(axis, len(value.axes)) for axis in axes}
    if any(value.shape[place] != 1 for place in places):
        raise Refused("it takes away a dimension that is not 1")
    kept = [axis for place, axis in enumerate(value.axes) if place not in places]
    if 0 in places and "axes" not in c.attributes and len(c.inputs) < 2:
        kept = [value.axes[0], *kept]  # all that are 1, but not the only image's
    return value.with_axes(kept).settled()


def unsqueeze(c):
    if isinstance(c.inputs[0], Formula):
        raise Refused(f"its input 0 is {c.inputs[0].described}")
    value = _loose(c)
    c.constant(1, "axes")
    axes = onnx_constants.axes_of(c.inputs, c.attributes) or []
    rank = len(value.axes) + len(axes)
    places, rest = {onnx_constants.axis_of(axis, rank) for axis in axes}, iter(value.axes)
    if len(places) != len(axes):
        raise Refused("it names an axis twice")
    return value.with_axes([() if place in places else next(rest) for place in range(rank)]).settled()


def transpose(c):
    value = _loose(c)
    rank = len(value.axes)
    order = c.attributes.get("perm", list(range(rank))[::-1])
    if sorted(order) != list(range(rank)):
        raise Refused(f"its order {order} of {rank} dimensions is none")
    return value.transposed(order).settled()


def expand(c):
    """A shape that is already there, or has dimensions of 1 more in front."""
    value, wanted = c.inputs[0], c.constant(1, "shape")
    if isinstance(value, Formula):
        return value
    shape = _loose(c).shape
    if wanted is None or numpy.broadcast_shapes(shape, tuple(int(size) for size in wanted)) != shape:
        raise Refused(f"it makes {None if wanted is None else list(wanted)} of {list(shape)}")
    return value


def cast(c):
    if onnx_file.dtype(c.whole("to", 0)) not in FLOATS:
        raise Refused("it rounds to whole numbers, or to a type that is not read")
    return c.inputs[0]


def shape(c):
    value = c.inputs[0].value if isinstance(c.inputs[0], Formula) else _loose(c)
    return onnx_constants.shape_of(Loose.of(value, c.builder.batch).shape, c.attributes)


def dropout(c):
    training = c.constant(2, "training mode")
    if training is not None and training.any():
        raise Refused("it is in training mode")
    return c.inputs[0]


def same(c):
    return c.inputs[0]
