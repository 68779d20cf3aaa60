"""How each ONNX operator becomes nodes of a model file.

A translation takes a Context and gives a Value, or a list of values for the outputs. What it does not raise Refused
for, it does exactly. OPERATORS lists them.
"""

import numpy

from . import onnx_arithmetic, onnx_attention, onnx_formulas, onnx_moves, onnx_pooling
from .onnx_formulas import Formula
from .onnx_graph import FIELD_MAX, Refused
from .onnx_loose import Loose
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Value

# ---- layers with weights --------------------------------------------------------------------


def conv(c):
    value, weight = c.nchw(), c.weights(1, "weight", 4)
    bias, groups = c.constant(2, "bias"), c.whole("group", 1)
    out, each, *kernel = weight.shape
    channels = value.map.size[CHANNEL]
    if groups < 1 or each * groups != channels or out % groups or c.wholes("kernel_shape", kernel, 1) != kernel:
        raise Refused(f"its weight of shape {list(weight.shape)} in {groups} groups does not fit {channels} channels")
    tensors = {"weight": weight}
    if bias is not None:
        if bias.shape != (out,):
            raise Refused(f"its bias of shape {list(bias.shape)} does not fit {out} channels")
        tensors["bias"] = bias
    dilation = c.wholes("dilations", [1, 1], 1)
    reach = [(kernel[way] - 1) * dilation[way] + 1 for way in (HEIGHT, WIDTH)]
    stride, padding, counts = c.window(value.map.size, reach)
    source = value.map
    if any(before >= reach[place % 2] for place, before in enumerate(padding)):
        source, padding = onnx_moves.border(c, source, padding, 0.0), [0, 0, 0, 0]
    fields = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Value.nchw(c.emit("conv", [source], (*counts, out), tensors, channels=out, **fields))


def dense(c, value, weight, bias):
    """`weight`: (inputs, units)."""
    if len(value.axes) != 1:
        raise Refused("it multiplies a map, not a vector: flatten it first")
    if value.dims[0] != weight.shape[0]:
        raise Refused(f"its weight of shape {list(weight.shape)} does not fit {value.dims[0]} numbers")
    # The rows stand in the order of this value's directions; the vector has height, width, channel.
    ways = value.axes[0]
    rows = weight.reshape([value.map.size[way] for way in ways] + [-1])
    rows = rows.transpose([ways.index(way) for way in sorted(ways)] + [len(ways)]).reshape(weight.shape)
    tensors, units = {"weight": rows.T}, weight.shape[1]
    if bias is not None:
        tensors["bias"] = bias
    source = c.builder.flattened(c.name, value.map)
    return Value.vector(c.emit("dense", [source], (1, 1, units), tensors, units=units))


def matmul(c):
    if isinstance(c.inputs[0], Value) and len(c.inputs[0].axes) == 1 and isinstance(c.inputs[1], numpy.ndarray):
        return dense(c, c.value(), c.weights(1, "weight", 2), None)
    return onnx_attention.matmul(c)


def gemm(c):
    weight, bias = c.weights(1, "weight", 2), c.constant(2, "bias")
    if c.whole("transA", 0):
        raise Refused("it transposes the batch (transA)")
    weight = (weight.T if c.whole("transB", 0) else weight) * numpy.float32(c.number("alpha", 1.0))
    if bias is not None:
        if bias.size not in (1, weight.shape[1]) or bias.shape[:-1] not in ((), (1,)):
            raise Refused(f"its bias of shape {list(bias.shape)} does not fit {weight.shape[1]} units")
        bias = numpy.broadcast_to(bias.reshape(-1), weight.shape[1]) * numpy.float32(c.number("beta", 1.0))
    value = c.inputs[0]
    if isinstance(value, Value) and len(value.axes) == 1:
        return dense(c, value, weight, bias)
    return onnx_attention.product(c, value, weight, bias)


def batch_normalization(c):
    value = c.value()
    channels = value.map.size[CHANNEL]
    if not value.axes or value.axes[0] not in ((CHANNEL,), ()) or value.dims[0] != channels:
        raise Refused("its second dimension is not the channels of a map")
    if c.whole("training_mode", 0) or not c.whole("spatial", 1) or any(c.node.outputs[1:]):
        raise Refused("it is in training mode, or not over whole maps")
    parts = [c.weights(place, what, 1) for place, what in enumerate(("scale", "shift", "mean", "variance"), 1)]
    if any(len(part) != channels for part in parts):
        raise Refused(f"its weights do not fit {channels} channels")
    scale, shift, mean, variance = (part.astype(numpy.float64) for part in parts)
    variance = variance + c.number("epsilon", 1e-5)
    if not (variance > 0).all():
        raise Refused("its variance plus epsilon is not positive everywhere")
    factor = scale / numpy.sqrt(variance)
    return value.with_map(c.builder.affine(c.name, value.map, factor, shift - mean * factor))


# ---- activations ------------------------------------------------------------------------------


def activation(op):
    return lambda c: c.same_size(op, c.anyhow())


def tanh(c):
    if isinstance(c.inputs[0], Formula):
        return onnx_formulas.function("tanh")(c)
    return c.same_size("tanh", c.anyhow())


def clip(c):
    if c.opset < 11:
        low, high = (c.number(name, default) for name, default in (("min", -numpy.inf), ("max", numpy.inf)))
    else:
        low, high = c.scalar(1, "least value", -numpy.inf), c.scalar(2, "largest value", numpy.inf)
    return limited(c, low, high)


def limit(largest):
    """Max or Min with one number."""

    def work(c):
        if len(c.inputs) == 1:
            return c.inputs[0]
        if len(c.inputs) != 2:
            raise Refused("it has more than two inputs")
        c.inputs.sort(key=lambda given: isinstance(given, numpy.ndarray))
        number = c.scalar(1, "bound")
        return limited(c, -numpy.inf, number) if largest else limited(c, number, numpy.inf)

    return work


def limited(c, low, high):
    if not low <= high:
        raise Refused(f"its bounds {low} and {high} are the wrong way round")
    if isinstance(c.inputs[0], Formula):
        if high <= FIELD_MAX or not 0 <= low <= FIELD_MAX:
            raise Refused("it bounds a formula from above")
        return onnx_formulas.least(c, low)
    if (low, high) == (0, 6):
        return c.same_size("relu6", c.value())
    # Exporters write "no bound" as the largest float32.
    bounds = {key: bound for key, bound in (("low", low), ("high", high)) if abs(bound) <= FIELD_MAX}
    if bounds == {"low": 0}:
        return c.same_size("relu", c.value())
    return c.same_size("clip", c.value(), **bounds) if bounds else c.value()


def leaky_relu(c):
    return c.same_size("leaky_relu", c.value(), slope=c.number("alpha", 0.01))


def hard_sigmoid(c):
    return c.same_size("hard_sigmoid", c.value(), alpha=c.number("alpha", 0.2), beta=c.number("beta", 0.5))


def swish(c):
    if c.number("alpha", 1.0) != 1:
        raise Refused("its alpha is not 1")
    return c.same_size("swish", c.value())


def softmax(c):
    if isinstance(c.inputs[0], Loose) and c.inputs[0].scores:
        return onnx_attention.softmax(c)
    value = c.value()
    axis = c.axis(c.whole("axis", 1 if c.opset < 13 else -1))
    # Before opset 13 the axis and all behind it count together.
    ways = [way for ways in (value.axes[axis:] if c.opset < 13 else [value.axes[axis]]) for way in ways]
    if ways != [CHANNEL]:
        raise Refused("it is not over the channels")
    return c.same_size("softmax", value)


OPERATORS = {
    **dict.fromkeys(onnx_arithmetic.ARITHMETIC, onnx_arithmetic.arithmetic),
    "AveragePool": onnx_pooling.pool("average"),
    "BatchNormalization": batch_normalization,
    "Cast": onnx_moves.cast,
    "Clip": clip,
    "Concat": onnx_moves.concat,
    "Conv": conv,
    "Dropout": onnx_moves.dropout,
    "Erf": onnx_formulas.function("erf"),
    "Expand": onnx_moves.expand,
    "Flatten": onnx_moves.flatten,
    "Gather": onnx_moves.gather,
    "Gemm": gemm,
    "Gelu": onnx_arithmetic.gelu,
    "GlobalAveragePool": onnx_pooling.global_pool("average"),
    "GlobalMaxPool": onnx_pooling.global_pool("max"),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": activation("hard_swish"),
    "Identity": onnx_moves.same,
    "LRN": onnx_arithmetic.lrn,
    "LayerNormalization": onnx_arithmetic.layer_normalization,
    "LeakyRelu": leaky_relu,
    "LpNormalization": onnx_arithmetic.lp_normalization,
    "MatMul": matmul,
    "Max": limit(False),
    "MaxPool": onnx_pooling.pool("max"),
    "Min": limit(True),
    "Neg": onnx_arithmetic.negative,
    "PRelu": onnx_arithmetic.prelu,
    "Pad": onnx_moves.pad,
    "Pow": onnx_arithmetic.power,
    "Reciprocal": onnx_formulas.root(-1.0),
    "ReduceL2": onnx_pooling.length("l2"),
    "ReduceMax": onnx_pooling.reduce("max"),
    "ReduceMean": onnx_pooling.reduce("average"),
    "ReduceSum": onnx_pooling.reduce_sum,
    "ReduceSumSquare": onnx_pooling.length("square"),
    "Relu": activation("relu"),
    "Reshape": onnx_moves.reshape,
    "Shape": onnx_moves.shape,
    "Sigmoid": activation("sigmoid"),
    "Slice": onnx_moves.slice_,
    "Softmax": softmax,
    "Sqrt": onnx_formulas.root(0.5),
    "Split": onnx_moves.split,
    "Squeeze": onnx_moves.squeeze,
    "Sum": onnx_arithmetic.sum_,
    "Swish": swish,
    "Tanh": tanh,
    "Transpose": onnx_moves.transpose,
    "Unsqueeze": onnx_moves.unsqueeze,
}
