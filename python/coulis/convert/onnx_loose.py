"""Values whose dimensions are none of a map's: heads of attention, images joined with heads, parts of the channels.

Exporters write attention as reshapes and transpositions around products. A Loose says of every dimension, the images of
a batch among them, over which *ways* of a map it runs, the outer first: the batch, height, width, or every stride-th of
the channels. As in onnx_values, nothing is moved; what becomes a map again is a Value again.
"""

from collections import namedtuple
from math import prod

import numpy

from .onnx_graph import Refused
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Value

BATCH, KEYS = "batch", "keys"  # the images of a batch; the tokens whose scores these are (see onnx_attention)
Part = namedtuple("Part", "stride length")
Part.__doc__ = "Channels: `length` steps of `stride`. A channel is the sum of its place in every part."


def _merged(axis):
    """An axis whose parts that are one run of channels are one part; none of length 1."""
    found = []
    for way in axis:
        if isinstance(way, Part):
            if way.length == 1:
                continue
            last = found[-1] if found else None
            if isinstance(last, Part) and last.stride == way.stride * way.length:
                found[-1] = Part(way.stride, last.length * way.length)
                continue
        found.append(way)
    return tuple(found)


class Loose:
    """Dimensions over a Map.

    Attributes
    ----------
    map : Map
    batch : int
        Images in a batch, in shapes that the file computes.
    axes : tuple of tuple
        Of each dimension, its ways: BATCH, HEIGHT, WIDTH, KEYS or a Part.
    first : int
        The channel at the beginning of all parts.
    scores : Scores or None
        Set where these are scores of attention, or what a softmax made of them.
    """

    def __init__(self, map, batch, axes, first=0, scores=None):
        self.map, self.batch, self.first, self.scores = map, batch, first, scores
        # A single image is not a dimension: where it stands among the others makes no difference.
        self.axes = tuple(_merged(way for way in axis if way != BATCH or batch > 1) for axis in axes)

    @classmethod
    def of(cls, value, batch):
        """A Value, or a Loose, as a Loose."""
        if isinstance(value, Loose):
            return value
        channels = Part(1, value.map.size[CHANNEL])
        axes = [tuple(channels if way == CHANNEL else way for way in axis) for axis in value.axes]
        return cls(value.map, batch, [(BATCH,), *axes])

    def length(self, way):
        if isinstance(way, Part):
            return way.length
        return self.batch if way == BATCH else self.scores.keys if way == KEYS else self.map.size[way]

    @property
    def lead(self):
        """The axis of the images alone."""
        return (BATCH,) if self.batch > 1 else ()

    @property
    def shape(self):
        """Sizes of all dimensions."""
        return tuple(prod(map(self.length, axis)) for axis in self.axes)

    @property
    def described(self):
        """What a sentence says of it."""
        if self.scores:
            return "the scores of an attention: only a softmax, and a product with values, may follow"
        return f"of shape {list(self.shape)}, with channels or images in an order that no map has"

    def with_map(self, map):
        """The same dimensions over another map of the same size."""
        if self.scores:
            raise Refused(f"its input is {self.described}")
        return Loose(map, self.batch, self.axes, self.first)

    def over_channels(self, array):
        """A constant as one float64 for each channel of the map; None where it is another."""
        array, channels = numpy.asarray(array, numpy.float64), self.map.size[CHANNEL]
        if array.size == 1:
            return numpy.full(channels, array.reshape(()))
        places = [place for place, axis in enumerate(self.axes) if axis == (Part(1, channels),)]
        if self.first or len(places) != 1 or array.ndim > len(self.axes) or array.size != channels:
            return None
        shape = (1,) * (len(self.axes) - array.ndim) + array.shape
        return array.reshape(-1) if shape[places[0]] == channels else None

    def with_axes(self, axes, first=None):
        return Loose(self.map, self.batch, axes, self.first if first is None else first, self.scores)

    def settled(self):
        """The Value that this is, or itself where it is none."""
        ways = [way for axis in self.axes[1:] for way in axis]
        whole = Part(1, self.map.size[CHANNEL])
        if self.scores or self.first or not self.axes or self.axes[0] != self.lead:
            return self
        rest = [way for way in ways if way not in (HEIGHT, WIDTH)]
        if rest != [whole] * (whole.length > 1) or set(ways) - {whole} != self._area():
            return self
        return Value(self.map, [tuple(CHANNEL if way == whole else way for way in axis) for axis in self.axes[1:]])

    def _area(self):
        return {way for way in (HEIGHT, WIDTH) if self.map.size[way] > 1}

    def reshaped(self, shape):
        """With other dimensions; None where they would cut the area in two. Channels may be cut."""
        pending, axes = [way for axis in self.axes for way in axis], []
        for length in shape:
            axis, count = [], 1
            while pending:
                way, own = pending[0], self.length(pending[0])
                if count == length:
                    break
                if length % (count * own) == 0:
                    axis.append(pending.pop(0))
                    count *= own
                elif isinstance(way, Part) and length % count == 0 and own % (length // count) == 0:
                    inner = own // (length // count)
                    axis.append(Part(way.stride * inner, length // count))
                    pending[0] = Part(way.stride, inner)
                    count = length
                else:
                    return None
            if count != length:
                return None
            axes.append(axis)
        return None if pending else self.with_axes(axes)

    def transposed(self, order):
        return self.with_axes([self.axes[place] for place in order])

    def chosen(self, axis, number, keep=False):
        """One of the numbers along an axis of channels; None where the axis is another."""
        ways = self.axes[axis]
        if len(ways) > 1 or ways and not isinstance(ways[0], Part):
            return None
        first = self.first + (ways[0].stride * number if ways else 0)
        return self.with_axes([*self.axes[:axis], *([()] if keep else []), *self.axes[axis + 1 :]], first)

    def ranged(self, axis, numbers):
        """Neighbours along an axis of channels; None where the axis, or what is taken, is something else."""
        ways, first = self.axes[axis], numbers[0]
        if len(ways) != 1 or not isinstance(ways[0], Part) or list(numbers) != list(range(first, first + len(numbers))):
            return None
        axes = [*self.axes[:axis], (Part(ways[0].stride, len(numbers)),), *self.axes[axis + 1 :]]
        return self.with_axes(axes, self.first + ways[0].stride * first)

    def whole(self, builder, name):
        """A Value of the same numbers, which a node makes: channels in another order, or some of them; None."""
        area = [way for axis in self.axes[1:] for way in axis if not isinstance(way, Part)]
        places = [place for place, axis in enumerate(self.axes) if any(isinstance(way, Part) for way in axis)]
        if self.scores or self.axes[:1] != (self.lead,) or len(places) != 1 or set(area) != self._area():
            return None
        parts, channels = self.axes[places[0]], self.map.size[CHANNEL]
        height, width, _ = self.map.size
        if len(parts) == 1 and parts[0].stride == 1:
            count = parts[0].length
            map = builder.emit(
                name, "slice", [builder.written(self.map)], (height, width, count), first=self.first, channels=count
            )
        elif (
            len(parts) == 2
            and parts[0].stride == 1
            and parts[1].stride == parts[0].length
            and (prod(part.length for part in parts) == channels)
        ):
            map = builder.emit(name, "shuffle", [builder.written(self.map)], self.map.size, groups=parts[1].length)
        else:
            return None
        axes = [tuple(way for way in axis if not isinstance(way, Part)) for axis in self.axes[1:]]
        axes[places[0] - 1] = (CHANNEL,)
        return Value(map, axes)
