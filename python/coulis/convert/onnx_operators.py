"""How each ONNX operator becomes nodes of a model file.

A translation takes a Context and gives a Value, or a list of values for the outputs. What it does not raise Refused
for, it does exactly. OPERATORS says which there are.
"""

import numpy

from . import onnx_moves
from .onnx_graph import FIELD_MAX, Refused
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value, meet

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
    stride, padding, counts = c.window(kernel, value.map.size, reach)
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


def gemm(c):
    value, weight, bias = c.value(), c.weights(1, "weight", 2), c.constant(2, "bias")
    if c.whole("transA", 0):
        raise Refused("it transposes the batch (transA)")
    weight = (weight.T if c.whole("transB", 0) else weight) * numpy.float32(c.number("alpha", 1.0))
    if bias is not None:
        if bias.size not in (1, weight.shape[1]) or bias.shape[:-1] not in ((), (1,)):
            raise Refused(f"its bias of shape {list(bias.shape)} does not fit {weight.shape[1]} units")
        bias = numpy.broadcast_to(bias.reshape(-1), weight.shape[1]) * numpy.float32(c.number("beta", 1.0))
    return dense(c, value, weight, bias)


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
    return lambda c: c.same_size(op, c.value())


def clip(c):
    if c.opset < 11:
        low, high = (c.number(name, default) for name, default in (("min", -numpy.inf), ("max", numpy.inf)))
    else:
        low, high = c.scalar(1, "least value", -numpy.inf), c.scalar(2, "largest value", numpy.inf)
    if not low <= high:
        raise Refused(f"its bounds {low} and {high} are the wrong way round")
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
    value = c.value()
    axis = c.axis(c.whole("axis", 1 if c.opset < 13 else -1))
    # Before opset 13 the axis and all behind it count together.
    ways = [way for ways in (value.axes[axis:] if c.opset < 13 else [value.axes[axis]]) for way in ways]
    if ways != [CHANNEL]:
        raise Refused("it is not over the channels")
    return c.same_size("softmax", value)


# ---- arithmetic --------------------------------------------------------------------------------

ARITHMETIC = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def arithmetic(c):
    op, (first, second) = ARITHMETIC[c.node.op], (c.inputs + [None, None])[:2]
    if first is None or second is None:
        raise Refused("it has no two inputs")
    if not isinstance(first, Value) or not isinstance(second, Value):
        return with_constant(c, op, first, second)
    large = meet(first, second)
    if large is None:
        raise Refused(f"its inputs of shapes {[1, *first.dims]} and {[1, *second.dims]} do not meet channel by channel")
    if op == "multiply":
        for value, gate in ((first, second), (second, first)):
            made = c.builder.producer(gate.map)
            if made and made["inputs"] == [c.builder.written(value.map)]:
                if made["op"] == "sigmoid":
                    return value.with_map(c.emit("swish", [value.map], value.map.size))
                # An exporter writes 1/6 in float32.
                if made["op"] == "hard_sigmoid" and abs(made["alpha"] - 1 / 6) < 1e-7 and made["beta"] == 0.5:
                    return value.with_map(c.emit("hard_swish", [value.map], value.map.size))
    return large.with_map(c.emit(op, [first.map, second.map], large.map.size))


def with_constant(c, op, first, second):
    """x with a constant: a factor and a summand for each channel."""
    value, array = (first, second) if isinstance(first, Value) else (second, first)
    number = c.over_channels(value, array, "constant")
    if not numpy.isfinite(number).all():
        raise Refused("its constant is not finite everywhere")
    one, none = numpy.ones_like(number), numpy.zeros_like(number)
    if op == "add":
        scale, shift = one, number
    elif op == "multiply":
        scale, shift = number, none
    elif op == "subtract":
        scale, shift = (one, -number) if value is first else (-one, number)
    elif value is first and number.all():
        scale, shift = 1 / number, none
    else:
        raise Refused("it divides by 0" if value is first else "it divides a constant by something from the picture")
    return value.with_map(c.builder.affine(c.name, value.map, scale, shift))


def negative(c):
    value = c.value()
    one = numpy.ones(value.map.size[CHANNEL])
    return value.with_map(c.builder.affine(c.name, value.map, -one, 0 * one))


def sum_(c):
    """Any number of values, two at a time."""
    total = c.inputs[0]
    for other in c.inputs[1:]:
        if isinstance(total, Value) and isinstance(other, Value):
            large = meet(total, other)
            if large is None:
                raise Refused("its inputs do not meet channel by channel")
            total = large.with_map(c.emit("add", [total.map, other.map], large.map.size))
        else:
            total = with_constant(c, "add", total, other)
    return total


def prelu(c):
    value, slope = c.value(), c.constant(1, "slope")
    if slope is None:
        raise Refused("it has no slope")
    slope = c.over_channels(value, slope, "slope")
    return value.with_map(c.emit("prelu", [value.map], value.map.size, {"slope": slope}))


def power(c):
    """max(x, 0) to a power: what is below 0 has no power with a fraction, so it must not be there."""
    value, exponent = c.value(), c.scalar(1, "exponent")
    if exponent is None or not 0 < exponent <= FIELD_MAX:
        raise Refused(f"its exponent {exponent} is not positive")
    made = c.builder.producer(value.map)
    if made is None or not (made["op"] in ("relu", "relu6", "sigmoid", "power", "softmax") or made.get("low", -1) >= 0
                            or _of_positive(c, made)):
        raise Refused("its base may be negative")
    return c.same_size("power", value, exponent=exponent)


def _of_positive(c, made):
    """Whether a pooling's input has no negative numbers."""
    source = c.builder.producer(Map(made["inputs"][0], c.builder.sizes[made["inputs"][0]]))
    return made["op"] in ("global_average_pool", "global_max_pool") and source is not None and (
        source["op"] in ("relu", "relu6", "power") or source.get("low", -1) >= 0)


def gelu(c):
    how = c.attributes.get("approximate", b"none")
    if how not in (b"none", b"tanh"):
        raise Refused("its approximation is not known")
    return c.same_size("gelu", c.value(), form="tanh" if how == b"tanh" else "erf")


def lrn(c):
    value, size = c.nchw(), c.whole("size", 0)
    fields = {"alpha": c.number("alpha", 1e-4), "beta": c.number("beta", 0.75), "bias": c.number("bias", 1.0)}
    if not 1 <= size <= 64 or any(not 0 < number <= FIELD_MAX for number in fields.values()):
        raise Refused("its size or one of its factors is not positive, or too large")
    found = c.same_size("local_response_norm", value, **fields)
    c.builder.nodes[-1]["size"] = size
    return found


def lp_normalization(c):
    value = c.value()
    axis = c.axis(c.whole("axis", -1))
    if c.whole("p", 2) != 2 or value.axes[axis] != (CHANNEL,):
        raise Refused("it is not the Euclidean length over the channels")
    return c.same_size("l2_norm", value, epsilon=1e-30)  # ONNX has none; only a vector of zeros would need it


# ---- pooling -----------------------------------------------------------------------------------


def pool(kind):
    def work(c):
        value, kernel = c.nchw(), c.attributes.get("kernel_shape")
        if type(kernel) is not list or len(kernel) != 2 or c.wholes("kernel_shape", kernel, 1) != kernel:
            raise Refused("its window is not two whole numbers")
        if c.wholes("dilations", [1, 1], 1) != [1, 1] or any(c.node.outputs[1:]):
            raise Refused("it has dilations, or gives places as well as values")
        height, width, channels = value.map.size
        stride, padding, counts = c.window(kernel, value.map.size, kernel)
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


OPERATORS = {
    **dict.fromkeys(ARITHMETIC, arithmetic),
    "AveragePool": pool("average"),
    "BatchNormalization": batch_normalization,
    "Cast": onnx_moves.cast,
    "Clip": clip,
    "Concat": onnx_moves.concat,
    "Conv": conv,
    "Dropout": onnx_moves.dropout,
    "Flatten": onnx_moves.flatten,
    "Gather": onnx_moves.gather,
    "Gemm": gemm,
    "Gelu": gelu,
    "GlobalAveragePool": global_pool("average"),
    "GlobalMaxPool": global_pool("max"),
    "HardSigmoid": hard_sigmoid,
    "HardSwish": activation("hard_swish"),
    "Identity": onnx_moves.same,
    "LRN": lrn,
    "LeakyRelu": leaky_relu,
    "LpNormalization": lp_normalization,
    "MatMul": lambda c: dense(c, c.value(), c.weights(1, "weight", 2), None),
    "MaxPool": pool("max"),
    "Neg": negative,
    "PRelu": prelu,
    "Pad": onnx_moves.pad,
    "Pow": power,
    "ReduceMax": reduce("max"),
    "ReduceMean": reduce("average"),
    "Relu": activation("relu"),
    "Reshape": onnx_moves.reshape,
    "Shape": onnx_moves.shape,
    "Sigmoid": activation("sigmoid"),
    "Slice": onnx_moves.slice_,
    "Softmax": softmax,
    "Split": onnx_moves.split,
    "Squeeze": onnx_moves.squeeze,
    "Sum": sum_,
    "Swish": swish,
    "Tanh": activation("tanh"),
    "Transpose": onnx_moves.transpose,
    "Unsqueeze": onnx_moves.unsqueeze,
}
