"""Works out the nodes of an ONNX graph whose inputs are constants, such as computations of shapes.

NumPy's functions follow ONNX's definitions but for what is written out here. What a result takes is known before it
is made: nothing larger than ELEMENTS_MAX is.
"""

from math import prod

import numpy

from . import onnx_file, onnx_resize

ELEMENTS_MAX = 1 << 27  # of a result: 512 MiB of float32, more than the largest dense layer of VGG16


def _limited(shape):
    """The shape, when it is not too large."""
    shape = tuple(int(size) for size in shape)
    if any(size < 0 for size in shape) or prod(shape) > ELEMENTS_MAX:
        raise ValueError(f"a result of shape {list(shape)[:8]} is not made")
    return shape


def _elementwise(function):
    def work(inputs, attributes, opset):
        _limited(numpy.broadcast_shapes(*(value.shape for value in inputs)))
        result = inputs[0] if len(inputs) == 1 else function(inputs[0], inputs[1])
        for value in inputs[2:]:
            result = function(result, value)
        return result

    return work


def _unary(function):
    return lambda inputs, attributes, opset: function(inputs[0]).astype(inputs[0].dtype)


def _divide(a, b):
    if numpy.issubdtype(a.dtype, numpy.integer):  # truncates, as C does
        return (numpy.sign(a) * numpy.sign(b) * (numpy.abs(a) // numpy.abs(b))).astype(a.dtype)
    return a / b


def _constant(inputs, attributes, opset):
    kinds = {
        "value": lambda value: value,
        "value_float": numpy.float32,
        "value_int": numpy.int64,
        "value_floats": lambda value: numpy.array(value, numpy.float32),
        "value_ints": lambda value: numpy.array(value, numpy.int64),
    }
    (key,) = [key for key in attributes if key in kinds]
    return numpy.asarray(kinds[key](attributes[key]))


def _concat(inputs, attributes, opset):
    _limited([sum(value.size for value in inputs)])
    return numpy.concatenate(inputs, attributes["axis"])


def _constant_of_shape(inputs, attributes, opset):
    value = attributes.get("value", numpy.zeros(1, numpy.float32))
    return numpy.full(_limited(inputs[0]), value.reshape(()), value.dtype)


def _cast(inputs, attributes, opset):
    kind = onnx_file.dtype(attributes["to"])
    if kind is None:
        raise ValueError("it casts to a type that is not read")
    return inputs[0].astype(kind)


def _gather(inputs, attributes, opset):
    data, indices = inputs
    axis = axis_of(attributes.get("axis", 0), data.ndim)
    _limited(data.shape[:axis] + indices.shape + data.shape[axis + 1 :])
    return numpy.take(data, indices, axis)


def slices(inputs, attributes, opset, rank):
    """The slice of each dimension that a node Slice takes; `inputs` are those behind the data."""
    if opset < 10:
        starts, ends, axes, steps = attributes["starts"], attributes["ends"], attributes.get("axes"), None
    else:
        four = [*inputs, None, None, None, None][:4]
        starts, ends, axes, steps = (None if given is None else [int(number) for number in given] for given in four)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps):
        # An end far below 0 means "to the first, backwards", which a Python slice writes as None.
        found[axis_of(axis, rank)] = slice(start, None if step < 0 and end < -(1 << 30) else end, step)
    return tuple(found)


def _slice(inputs, attributes, opset):
    return inputs[0][slices(inputs[1:], attributes, opset, inputs[0].ndim)]


def axis_of(axis, rank):
    """An axis counted from 0; ValueError when there is none."""
    axis = int(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis}")
    return axis % rank


def axes_of(inputs, attributes, place=1):
    """The axes that a node names in an attribute, or in an input in later opsets; None for none."""
    if "axes" in attributes:
        return list(attributes["axes"])
    axes = inputs[place] if len(inputs) > place else None
    return None if axes is None else [int(axis) for axis in numpy.ravel(axes)]


def target_shape(shape, wanted, allowzero=False):
    """The shape that Reshape asks for, with its 0 (as before) and -1 (what is left) worked out."""
    target = [int(size) for size in wanted]
    if not allowzero:
        target = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(target)]
    if -1 in target:
        rest = prod(size for size in target if size != -1)
        target[target.index(-1)] = prod(shape) // rest if rest > 0 else 0
    if any(size < 0 for size in target) or prod(target) != prod(shape):
        raise ValueError(f"a tensor of shape {list(shape)} cannot become {[int(size) for size in wanted]}")
    return tuple(target)


def _reshape(inputs, attributes, opset):
    return inputs[0].reshape(target_shape(inputs[0].shape, inputs[1], attributes.get("allowzero", 0)))


def _squeeze(inputs, attributes, opset):
    axes = axes_of(inputs, attributes)
    return numpy.squeeze(inputs[0], None if axes is None else tuple(axes))


def _unsqueeze(inputs, attributes, opset):
    return numpy.expand_dims(inputs[0], tuple(axes_of(inputs, attributes)))


def _range(inputs, attributes, opset):
    start, limit, delta = (value.reshape(()).item() for value in inputs)
    _limited([max(0, -(-(limit - start) // delta))])
    return numpy.arange(start, limit, delta, inputs[0].dtype)


def _expand(inputs, attributes, opset):
    return numpy.broadcast_to(inputs[0], _limited(numpy.broadcast_shapes(inputs[0].shape, tuple(inputs[1]))))


def _reduce(function):
    def work(inputs, attributes, opset):
        axes = axes_of(inputs, attributes)
        keep = bool(attributes.get("keepdims", 1))
        return function(inputs[0], axis=None if axes is None else tuple(axes), keepdims=keep, dtype=inputs[0].dtype)

    return work


def _matmul(inputs, attributes, opset):
    first, second = inputs
    _limited(
        [
            *numpy.broadcast_shapes(first.shape[:-2], second.shape[:-2]),
            first.shape[-2] if first.ndim > 1 else 1,
            second.shape[-1],
        ]
    )
    return numpy.matmul(first.astype(numpy.float64), second).astype(first.dtype)


def _tile(inputs, attributes, opset):
    data, counts = inputs
    _limited([int(size) * int(count) for size, count in zip(data.shape, counts)])
    return numpy.tile(data, [int(count) for count in counts])


def _split(inputs, attributes, opset):
    data, axis = inputs[0], axis_of(attributes.get("axis", 0), inputs[0].ndim)
    sizes = attributes.get("split") if opset < 13 else inputs[1] if len(inputs) > 1 else None
    if sizes is None:
        raise ValueError("it does not say the sizes of its parts")
    return numpy.split(data, numpy.cumsum([int(size) for size in sizes])[:-1], axis)


def _dequantize(inputs, attributes, opset):
    data, scale = inputs[:2]
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else numpy.zeros_like(scale)
    if scale.ndim:
        shape = [1] * data.ndim
        shape[axis_of(attributes.get("axis", 1), data.ndim)] = scale.size
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((data.astype(numpy.float64) - zero) * scale).astype(scale.dtype)


def _resize(inputs, attributes, opset):
    """As onnx_resize does it: embeddings of places for another size of image."""
    data, scales, sizes = inputs[0], *([*inputs[2:], None, None] if opset > 10 else [inputs[1], None])[:2]
    if sizes is not None and sizes.size:
        _limited(sizes)
        scales = [int(size) / own for size, own in zip(sizes, data.shape)]
    else:
        _limited([numpy.floor(own * float(scale)) for own, scale in zip(data.shape, scales)])
    return onnx_resize.resize(data, [float(scale) for scale in scales], sizes, attributes)


def _where(inputs, attributes, opset):
    _limited(numpy.broadcast_shapes(*(value.shape for value in inputs)))
    return numpy.where(*inputs)


_OPERATORS = {
    "Add": _elementwise(numpy.add),
    "And": _elementwise(numpy.logical_and),
    "Cast": _cast,
    "Ceil": _unary(numpy.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": _dequantize,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(numpy.equal),
    "Exp": _unary(numpy.exp),
    "Expand": _expand,
    "Floor": _unary(numpy.floor),
    "Gather": _gather,
    "Greater": _elementwise(numpy.greater),
    "Identity": lambda inputs, attributes, opset: inputs[0],
    "Less": _elementwise(numpy.less),
    "Max": _elementwise(numpy.maximum),
    "MatMul": _matmul,
    "Min": _elementwise(numpy.minimum),
    "Mul": _elementwise(numpy.multiply),
    "Neg": _unary(numpy.negative),
    "Not": _unary(numpy.logical_not),
    "Or": _elementwise(numpy.logical_or),
    "Pow": _elementwise(lambda a, b: numpy.power(a, b).astype(a.dtype)),
    "Range": _range,
    "Reciprocal": _unary(numpy.reciprocal),
    "ReduceProd": _reduce(numpy.prod),
    "ReduceSum": _reduce(numpy.sum),
    "Reshape": _reshape,
    "Shape": lambda inputs, attributes, opset: shape_of(inputs[0].shape, attributes),
    "Resize": _resize,
    "Size": lambda inputs, attributes, opset: numpy.array(inputs[0].size, numpy.int64),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _unary(numpy.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(numpy.subtract),
    "Tile": _tile,
    "Transpose": lambda inputs, attributes, opset: numpy.transpose(inputs[0], attributes.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}


def shape_of(shape, attributes):
    """What a node Shape gives."""
    return numpy.array(shape[attributes.get("start", 0) : attributes.get("end", len(shape))], numpy.int64)


def can_fold(op):
    """Whether an operator on constants is known here."""
    return op in _OPERATORS


def fold(op, inputs, attributes, opset):
    """The result, or a list of results, of one operator on arrays (None for inputs left out); ValueError when they do
    not fit it."""
    try:
        with numpy.errstate(all="ignore"):  # what comes to no finite number is refused where a network would use it
            found = _OPERATORS[op](inputs, attributes, opset)
            return found if isinstance(found, list) else numpy.asarray(found)
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it cannot be worked out: {str(error)[:200]}") from None
