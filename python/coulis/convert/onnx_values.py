"""Tensors of an ONNX graph while it is translated: how their dimensions lie on maps of height, width and channel.

ONNX has maps as (batch, channel, height, width), or as (batch, height, width, channel) between the transpositions that
exporters of TensorFlow leave, or as rows of a flattened map. Ours are height, width, channel. A Value says over which
of our three directions each of its dimensions runs, so that Transpose, Reshape, Flatten and Squeeze only rename, and
nothing is moved but the weights of the dense layer behind them.
"""

from math import prod

import numpy

HEIGHT, WIDTH, CHANNEL = 0, 1, 2


class Map:
    """A map of the network, and a factor and a summand for each channel that wait to be written as a node.

    Attributes
    ----------
    source : str
        The node that makes it, or "image".
    size : tuple of int
        Height, width, channels.
    scale, shift : numpy.ndarray or None
        float64, one for each channel: what `source` gives is multiplied by the one and the other added.
    name : str or None
        Of the node to write for scale and shift: that of the ONNX node that made them.
    """

    def __init__(self, source, size, scale=None, shift=None, name=None):
        self.source, self.size = source, tuple(int(length) for length in size)
        self.scale, self.shift, self.name = scale, shift, name

    @property
    def is_vector(self):
        return self.size[:2] == (1, 1)


class Value:
    """A Map, and its dimensions behind the batch: each a tuple of directions, the outer first, none of length 1."""

    def __init__(self, map, axes):
        self.map = map
        self.axes = tuple(tuple(way for way in axis if map.size[way] > 1) for axis in axes)

    @classmethod
    def nchw(cls, map):
        return cls(map, [(CHANNEL,), (HEIGHT,), (WIDTH,)])

    @classmethod
    def vector(cls, map):
        return cls(map, [(CHANNEL,)])

    @property
    def dims(self):
        """Sizes of the dimensions behind the batch."""
        return tuple(prod(self.map.size[way] for way in axis) for axis in self.axes)

    @property
    def is_nchw(self):
        return self.axes == Value.nchw(self.map).axes

    def with_map(self, map):
        """The same dimensions over another map; both have the same directions of length 1."""
        return Value(map, self.axes)

    def reshaped(self, dims):
        """The value with other dimensions; None where one of them would cut a direction in two."""
        ways, axes = [way for axis in self.axes for way in axis], []
        for length in dims:
            axis, count = [], 1
            while ways and count < length:
                axis.append(ways.pop(0))
                count *= self.map.size[axis[-1]]
            if count != length:
                return None
            axes.append(axis)
        return None if ways else Value(self.map, axes)

    def over_channels(self, array):
        """A constant that an operator spreads over this value, as one float64 for each channel.

        None when it differs along height or width, or would make the value larger.
        """
        array, dims = numpy.asarray(array), (None, *self.dims)  # the size of the batch is open
        if array.ndim > len(dims):
            return None
        array = array.reshape((1,) * (len(dims) - array.ndim) + array.shape)
        if array.shape[0] != 1 or any(size not in (1, own) for size, own in zip(array.shape[1:], dims[1:])):
            return None
        array = array.astype(numpy.float64)
        if array.size and (array == array.flat[0]).all():
            return numpy.full(self.map.size[CHANNEL], array.flat[0])
        for place, axis in enumerate(self.axes, 1):
            if axis != (CHANNEL,) and array.shape[place] > 1:
                return None
        return array.reshape(-1)


def meet(first, second):
    """Of two values that an operator takes together, the one whose size the result has; None where they cannot meet.

    They have the same size, or one is a vector of as many channels, in the place of the other's channels.
    """
    large, small = (second, first) if first.map.is_vector else (first, second)
    if large.map.size != small.map.size and (
        not small.map.is_vector or large.map.size[CHANNEL] != small.map.size[CHANNEL]
    ):
        return None
    if len(large.axes) != len(small.axes):
        return None
    fits = all(own == other or (not own and small.map.is_vector) for own, other in zip(small.axes, large.axes))
    return large if fits else None
