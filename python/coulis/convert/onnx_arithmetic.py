"""ONNX operators that calculate with two inputs, or with one and its own numbers; see onnx_operators."""

import numpy

from . import onnx_attention, onnx_formulas, onnx_tokens
from .onnx_formulas import Formula, X
from .onnx_graph import FIELD_MAX, Refused
from .onnx_loose import Loose
from .onnx_values import CHANNEL, Map, Value, meet

ARITHMETIC = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def arithmetic(c):
    op, (first, second) = ARITHMETIC[c.node.op], (c.inputs + [None, None])[:2]
    if first is None or second is None:
        raise Refused("it has no two inputs")
    if any(isinstance(given, Loose) for given in (first, second)):
        found = loose_arithmetic(c, op, first, second)
        if found is not None:
            return found
        first, second = (c.value(place) if isinstance(c.inputs[place], Loose) else c.inputs[place] for place in (0, 1))
    square = op == "multiply" and isinstance(first, Value) and isinstance(second, Value) and first.map is second.map
    if square or any(isinstance(given, Formula) for given in (first, second)):
        return onnx_formulas.arithmetic(c, op, first, second)
    if not isinstance(first, Value) or not isinstance(second, Value):
        return with_constant(c, op, first, second)
    large = meet(first, second)
    if large is None:
        raise Refused(f"its inputs of shapes {[1, *first.dims]} and {[1, *second.dims]} do not meet channel by channel")
    if op == "multiply":
        for value, gate in ((first, second), (second, first)):
            made = c.builder.producer(gate.map)
            if made and made["op"] == "sigmoid":
                found = quick(c, value, made)
                if found is not None:
                    return found
            if made and made["inputs"] == [c.builder.written(value.map)]:
                # An exporter writes 1/6 in float32.
                if made["op"] == "hard_sigmoid" and abs(made["alpha"] - 1 / 6) < 1e-7 and made["beta"] == 0.5:
                    return value.with_map(c.emit("hard_swish", [value.map], value.map.size))
    return large.with_map(c.emit(op, [first.map, second.map], large.map.size))


def quick(c, value, gate):
    """x * sigmoid(factor * x) as a GELU, or as swish of another factor; None where the sigmoid is of something else."""
    size = c.builder.sizes[gate["name"]]
    own, inner = (Formula.of(c, value.with_map(map)) for map in (value.map, Map(gate["inputs"][0], size)))
    scale, gated = own.terms.get((X,)), inner.terms.get((X,))
    if own.functions is not inner.functions or scale is None or gated is None or not scale.all():
        return None
    factor = float(gated[0] / scale[0])
    if not factor > 0 or not inner.near(own.times(own.like({(): numpy.full(len(scale), factor)}))):
        return None
    if abs(factor - 1) < 1e-6:
        return value.with_map(c.emit("swish", [value.map], value.map.size))
    if abs(factor - 1.702) < 1e-6:
        return value.with_map(c.emit("gelu", [value.map], value.map.size, form="quick"))
    made = c.builder.emit(f"{c.name}.swish", "swish", gate["inputs"], value.map.size)
    each = numpy.full(len(scale), 1 / factor)
    return value.with_map(c.builder.affine(c.name, made, each, 0 * each))


def loose_arithmetic(c, op, first, second):
    """Where one input is Loose: scores of attention, a constant, or two of the same dimensions; None for others."""
    for value, other in ((first, second), (second, first)):
        if isinstance(value, Loose) and isinstance(other, numpy.ndarray):
            if value.scores:
                return onnx_attention.scaled(c, op == "divide")
            return with_constant(c, op, first, second)
    if not all(isinstance(given, (Value, Loose)) for given in (first, second)):
        return None
    first, second = (Loose.of(given, c.builder.batch) for given in (first, second))
    if (
        first.axes != second.axes
        or first.map.size != second.map.size
        or first.first
        or second.first
        or (first.scores or second.scores)
    ):
        return None
    return first.with_map(c.emit(op, [first.map, second.map], first.map.size)).settled()


def with_constant(c, op, first, second):
    """x with a constant: a factor and a summand for each channel."""
    value, array = (second, first) if isinstance(first, numpy.ndarray) else (first, second)
    if op == "add" and isinstance(value, Value):
        placed = onnx_tokens.placed(c, value, array)
        if placed is not None:
            return placed
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
        raise Refused("it divides by 0" if value is first else "it divides a constant by something from the image")
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
    value, slope = c.anyhow(), c.constant(1, "slope")
    if slope is None:
        raise Refused("it has no slope")
    slope = c.over_channels(value, slope, "slope")
    return value.with_map(c.emit("prelu", [value.map], value.map.size, {"slope": slope}))


def power(c):
    """max(x, 0) to a power: what is below 0 has no power with a fraction, so it must not be there."""
    exponent = c.scalar(1, "exponent")
    if isinstance(c.inputs[0], Formula) or exponent == 2 and isinstance(c.inputs[0], Value):
        return onnx_formulas.power(c, exponent)
    value = c.anyhow()
    if exponent is None or not 0 < exponent <= FIELD_MAX:
        raise Refused(f"its exponent {exponent} is not positive")
    made = c.builder.producer(value.map)
    if made is None or not (
        made["op"] in ("relu", "relu6", "sigmoid", "power", "softmax")
        or made.get("low", -1) >= 0
        or _of_positive(c, made)
    ):
        return onnx_formulas.power(c, exponent)
    return c.same_size("power", value, exponent=exponent)


def _of_positive(c, made):
    """Whether a pooling's input has no negative numbers."""
    source = c.builder.producer(Map(made["inputs"][0], c.builder.sizes[made["inputs"][0]]))
    return (
        made["op"] in ("global_average_pool", "global_max_pool")
        and source is not None
        and (source["op"] in ("relu", "relu6", "power") or source.get("low", -1) >= 0)
    )


def gelu(c):
    how = c.attributes.get("approximate", b"none")
    if how not in (b"none", b"tanh"):
        raise Refused("its approximation is not known")
    return c.same_size("gelu", c.anyhow(), form="tanh" if how == b"tanh" else "erf")


def layer_normalization(c):
    value, axis = c.anyhow(), c.whole("axis", -1)
    if axis not in (-1, len(value.axes) - isinstance(value, Loose)) or any(c.node.outputs[1:]):
        raise Refused("it is not over the last dimension alone, or gives means as well as values")
    parts = {}
    for place, what in ((1, "scale"), (2, "shift")):
        if c.constant(place, what) is not None:
            parts[what] = Loose.of(value, c.builder.batch).over_channels(c.constant(place, what))
    loose = Loose.of(value, c.builder.batch)
    if (
        None in [None if part is None else 1 for part in parts.values()]
        or loose.first
        or (loose.shape[-1] != loose.map.size[CHANNEL])
    ):
        raise Refused("it is not over the channels")
    return c.same_size("layer_norm", value, parts, epsilon=c.number("epsilon", 1e-5))


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
