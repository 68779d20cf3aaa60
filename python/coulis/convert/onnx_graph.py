"""Puts the network together while an ONNX graph is walked through; the operators are in onnx_operators."""

from math import prod

import numpy

from . import graph, onnx_constants
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value

CHANNELS_MAX = 1 << 24  # of a map, as the library reads model files
NUMBERS_MAX = 1 << 30  # of a map, as there
FIELD_MAX = 1e30  # of a number among the fields of a node, as there


class Refused(ValueError):
    """What an ONNX node does cannot be said in a model file."""


class Builder:
    """The network so far.

    Attributes
    ----------
    opset : int
    nodes : list of dict
        As in docs/model-format.md, in the order of the graph.
    tensors : dict of str to numpy.ndarray
    sizes : dict of str to tuple
        Height, width, channels of each node, and of "image".
    values : dict of str to (Value or numpy.ndarray)
        What each ONNX tensor has become.
    batch : int
        Images together in shapes that the file computes: 1 where it leaves that open.
    """

    def __init__(self, opset, height, width, batch=1):
        self.opset, self.batch = opset, batch
        self._graph = graph.Graph()
        self.nodes = self._graph.nodes
        self.tensors, self.values = {}, {}
        self.sizes = {"image": (height, width, 3)}
        self._by_name = {}
        self._flat, self._affine = {}, {}
        self.functions = {}  # of each map, those in formulas over it (see onnx_formulas)

    # ---- nodes of the network ---------------------------------------------------------------

    def emit(self, name, op, sources, size, tensors=None, **fields):
        """Writes a node; gives its Map. `tensors`: part ("weight") to array."""
        name = self._unused(name)
        if size[CHANNEL] > CHANNELS_MAX or prod(size) > NUMBERS_MAX:
            raise Refused(f"its result of {size[0]}x{size[1]}x{size[2]} is larger than a model file may have")
        for field, value in fields.items():
            if isinstance(value, float) and not abs(value) <= FIELD_MAX:
                raise Refused(f"its {field} is {value}")
        parts = {}
        for part, array in (tensors or {}).items():
            array = numpy.ascontiguousarray(array, "<f4")
            if not numpy.isfinite(array).all():
                raise Refused(f"its {part} is not finite everywhere")
            parts[part] = f"{name}.{part}"
            self.tensors[parts[part]] = array
        self._graph.add(name, op, sources, **parts, **fields)
        self._by_name[name] = self.nodes[-1]
        self.sizes[name] = size
        return Map(name, size)

    def _unused(self, name):
        wanted, number = name, 2
        while name in self.sizes:
            name, number = f"{wanted}.{number}", number + 1
        return name

    def written(self, map):
        """The name of the node that gives a map, after its factor and summand are written as one."""
        if map.scale is not None:
            count = len(map.scale)
            parts = {"scale": map.scale, "shift": map.shift, "mean": numpy.zeros(count), "variance": numpy.ones(count)}
            key = (map.source, *(parts[part].astype("<f4").tobytes() for part in ("scale", "shift")))
            if key not in self._affine:
                self._affine[key] = self.emit(map.name, "batch_norm", [map.source], map.size, parts, epsilon=0.0).source
            map.source = self._affine[key]
            map.scale = map.shift = None
        return map.source

    def producer(self, map):
        """The node that makes a map; None for the image, and for a map with factors still to be written."""
        return self._by_name.get(map.source) if map.scale is None else None

    def node(self, name):
        """The node of that name; None for the image."""
        return self._by_name.get(name)

    def affine(self, name, map, scale, shift):
        """A map of factors and summands, put after those that wait already."""
        if map.scale is not None:
            scale, shift = map.scale * scale, map.shift * scale + shift
        if (scale == 1).all() and not shift.any():
            return Map(map.source, map.size)
        return Map(map.source, map.size, scale, shift, name)

    def flattened(self, name, map):
        """A map as a vector, in the order height, width, channel."""
        if map.is_vector:
            return map
        source = self.written(map)
        if source not in self._flat:
            self._flat[source] = self.emit(f"{name}.flatten", "flatten", [source], (1, 1, prod(map.size)))
        return self._flat[source]


class Context:
    """One ONNX node and the Builder: what an operator's translation needs to know."""

    def __init__(self, builder, node):
        self.builder, self.node, self.name = builder, node, node.name
        self.opset = builder.opset
        self.attributes = node.attributes()
        self.inputs = [builder.values[name] if name else None for name in node.inputs]

    # ---- inputs and attributes ----------------------------------------------------------------

    def value(self, place=0):
        """An input that depends on the image."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None or isinstance(found, numpy.ndarray):
            raise Refused(f"its input {place} does not depend on the image")
        if not isinstance(found, Value):
            whole = found.whole(self.builder, f"{self.name}.input")
            if whole is None:
                raise Refused(f"its input {place} is {found.described}")
            self.inputs[place] = found = whole
        return found

    def anyhow(self):
        """The first input with whatever dimensions: for what works on every number alone."""
        return self.inputs[0] if hasattr(self.inputs[0], "with_map") else self.value()

    def nchw(self, place=0):
        """An input that is a map in the order batch, channel, height, width."""
        found = self.value(place)
        if not found.is_nchw:
            raise Refused("it needs a map in the order batch, channel, height, width")
        return found

    def constant(self, place, what):
        """An input that does not depend on the image; None where it is left out."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is not None and not isinstance(found, numpy.ndarray):
            raise Refused(f"its {what} depends on the image; it must be a constant")
        return found

    def weights(self, place, what, rank):
        """A constant of numbers that must be there."""
        found = self.constant(place, what)
        if found is None or found.ndim != rank or not found.size:
            raise Refused(f"its {what} is missing, or has not {rank} dimensions")
        return found

    def scalar(self, place, what, default=None):
        """A constant of one number."""
        found = self.constant(place, what)
        if found is None:
            return default
        if found.size != 1:
            raise Refused(f"its {what} is not one number")
        return float(found.reshape(()))

    def whole(self, name, default):
        """A whole number among the attributes."""
        found = self.attributes.get(name, default)
        if type(found) is not int:
            raise Refused(f"its attribute {name} is not a whole number")
        return found

    def number(self, name, default):
        """A number among the attributes."""
        found = self.attributes.get(name, default)
        if type(found) not in (int, float):
            raise Refused(f"its attribute {name} is not a number")
        return float(found)

    def wholes(self, name, default, low):
        """As many whole numbers, none below `low`, among the attributes as there are in `default`."""
        found = self.attributes.get(name, default)
        if type(found) is not list or len(found) != len(default) or any(type(n) is not int or n < low for n in found):
            raise Refused(f"its attribute {name} is not {len(default)} whole numbers from {low} on")
        return found

    def axes(self):
        """The axes that the node names, behind the batch and counted from 0 there; None for none."""
        self.constant(1, "axes")
        axes = onnx_constants.axes_of(self.inputs, self.attributes)
        return None if axes is None else [self.axis(axis) for axis in axes]

    def axis(self, axis, rank=None):
        """One axis, behind the batch and counted from 0 there."""
        axis = onnx_constants.axis_of(axis, len(self.value().axes) + 1 if rank is None else rank)
        if axis == 0:
            raise Refused("it works across the images of a batch")
        return axis - 1

    # ---- results ------------------------------------------------------------------------------

    def emit(self, op, sources, size, tensors=None, **fields):
        """Writes a node named after this one; `sources` are maps."""
        names = [self.builder.written(source) for source in sources]
        return self.builder.emit(self.name, op, names, size, tensors, **fields)

    def same_size(self, op, value, tensors=None, **fields):
        """Writes a node whose result lies as its only input does."""
        return value.with_map(self.emit(op, [value.map], value.map.size, tensors, **fields))

    # ---- windows --------------------------------------------------------------------------------

    def window(self, size, reach):
        """Stride, padding [top, left, bottom, right] and rounding up, and the size of the result."""
        stride = self.wholes("strides", [1, 1], 1)
        how = self.attributes.get("auto_pad", b"NOTSET")
        ceiling = self.whole("ceil_mode", 0)
        padding = self.wholes("pads", [0, 0, 0, 0], 0)
        if how in (b"SAME_UPPER", b"SAME_LOWER"):
            padding = [0, 0, 0, 0]
            for way in (HEIGHT, WIDTH):
                total = max((-(-size[way] // stride[way]) - 1) * stride[way] + reach[way] - size[way], 0)
                before = total // 2 if how == b"SAME_UPPER" else total - total // 2
                padding[way], padding[way + 2] = before, total - before
        elif how == b"VALID":
            padding = [0, 0, 0, 0]
        elif how != b"NOTSET":
            raise Refused("its attribute auto_pad is none of those that ONNX knows")
        counts, padding = [], list(padding)
        for way in (HEIGHT, WIDTH):
            room = size[way] + padding[way] + padding[way + 2] - reach[way]
            if room < 0:
                raise Refused(f"its window of {reach[0]}x{reach[1]} is larger than its map of {size[0]}x{size[1]}")
            count = room // stride[way] + 1
            # A last window that is not whole counts when it begins on the map, and not in the padding behind it.
            if ceiling and room % stride[way] and count * stride[way] < size[way] + padding[way]:
                if self.attributes.get("count_include_pad"):
                    raise Refused("ceil_mode together with count_include_pad: there is no such pooling here")
                padding[way + 2] += stride[way] - room % stride[way]
                count += 1
            counts.append(count)
        return stride, padding, counts

    def over_channels(self, value, array, what):
        """A constant as one number for each channel of `value`."""
        found = value.over_channels(array)
        if found is None:
            raise Refused(
                f"its {what} of shape {list(numpy.shape(array))} is neither one number nor one for each of "
                f"{value.map.size[CHANNEL]} channels"
            )
        return found
