"""Layer norms, GELUs, lengths and ConvNeXt V2's response norms that exporters write out as arithmetic.

What several nodes compute from one map is kept as a sum of products: of the map's numbers x, of functions of such sums
(erf, tanh, a mean over the channels, a power), and of a constant factor for each channel. However the nodes are
ordered, the same formula comes to the same sum, and a sum that is a known operator's becomes that operator's node.
"""

import numpy

from . import onnx_constants
from .onnx_graph import FIELD_MAX, Refused
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value

NEAR = 1e-5  # how exactly factors are met: they are float32, and rounded at every step
TERMS_MAX = 64
X = "x"  # the map itself among the factors of a product
EPSILON_MAX = 1.0


class Function:
    """erf, tanh, mean (over the channels), length (the root of the sum of `inner`, which is a square, over the pixels),
    power (with an exponent) or least (the larger of it and a number)."""

    def __init__(self, kind, inner, number=None):
        self.kind, self.inner, self.number = kind, inner, number


class Formula:
    """A sum of products over the channels of one map.

    Attributes
    ----------
    value : Value
        How the dimensions lie; its map has no factors that wait.
    terms : dict of tuple to numpy.ndarray
        Of each product, X and Functions in a fixed order, its factor: float64, one for each channel.
    functions : dict
        Every function that was made from this map, so that the same one is never made twice.
    """

    def __init__(self, value, terms, functions):
        self.value, self.terms, self.functions = value, terms, functions
        if len(terms) > TERMS_MAX:
            raise Refused(f"its formula has more than {TERMS_MAX} products")

    @classmethod
    def of(cls, c, value):
        """A Value, written as what a map without factors gives."""
        map, count = value.map, value.map.size[CHANNEL]
        scale = numpy.ones(count) if map.scale is None else map.scale
        shift = numpy.zeros(count) if map.scale is None else map.shift
        made, source = c.builder.node(map.source), map.source
        while made and made["op"] == "batch_norm":  # one that had to be written
            own = [c.builder.tensors[made[part]].astype(numpy.float64) for part in ("scale", "shift")]
            scale, shift, source = scale * own[0], shift + scale * own[1], made["inputs"][0]
            made = c.builder.node(source)
        functions = c.builder.functions.setdefault(source, {})
        value = value.with_map(Map(source, map.size))
        return cls(value, {(X,): scale, (): shift}, functions)._tidy()

    made = "a node"

    @property
    def described(self):
        """What a sentence says of it."""
        return (
            f"what {self.made} made: a formula that is none of those known here, as layer norms and GELUs are, or "
            "a power of what may be negative"
        )

    def whole(self, builder, name):
        """The Value of a square; None for anything else."""
        count = self.value.map.size[CHANNEL]
        square, twice = (self.terms.get(key, numpy.zeros(count)) for key in ((X, X), (X,)))
        if set(self.terms) - {(X, X), (X,), ()} or not (square > 0).all():
            return None
        scale = square**0.5
        root = self.like({(X,): scale, (): twice / scale / 2})
        if not self.near(root.times(root)):
            return None
        map = builder.affine(name, self.value.map, scale, twice / scale / 2)
        source = builder.written(map)
        return self.value.with_map(builder.emit(f"{name}.square", "multiply", [source, source], map.size))

    def like(self, terms):
        return Formula(self.value, terms, self.functions)._tidy()

    def _tidy(self):
        self.terms = {key: factor for key, factor in self.terms.items() if factor.any()}
        return self

    def constant(self, array):
        """A constant as a Formula; None where it differs along height or width."""
        found = self.value.over_channels(array)
        return None if found is None else self.like({(): found})

    def plus(self, other, sign=1.0):
        terms = dict(self.terms)
        for key, factor in other.terms.items():
            total = terms.get(key, 0.0) + sign * factor
            # What is left of a difference of equal factors is rounding.
            terms[key] = numpy.where(abs(total) <= 1e-12 * abs(factor), 0.0, total)
        return self.like(terms)

    def times(self, other):
        terms = {}
        for left, one in self.terms.items():
            for right, two in other.terms.items():
                key = tuple(sorted(left + right, key=_order))
                terms[key] = terms.get(key, 0.0) + one * two
        return self.like(terms)

    def function(self, kind, number=None):
        """A function of this sum."""
        key = (
            kind,
            number,
            tuple(
                sorted(
                    ((tuple(map(_order, key)), factor.astype("<f4").tobytes()) for key, factor in self.terms.items())
                )
            ),
        )
        if key not in self.functions:
            self.functions[key] = Function(kind, self, number)
        return self.like({(self.functions[key],): numpy.ones(self.value.map.size[CHANNEL])})

    def power(self, exponent):
        if exponent in (2, 3):
            square = self.times(self)
            return square.times(self) if exponent == 3 else square
        inner = self._only()
        if inner and inner.kind == "power":
            return inner.inner.power(inner.number * exponent)
        if exponent == 1:
            return self
        return self.function("power", exponent)

    def _only(self):
        """The function that this is and nothing else."""
        if len(self.terms) == 1:
            ((key, factor),) = self.terms.items()
            if len(key) == 1 and key[0] is not X and (factor == 1).all():
                return key[0]
        return None

    def near(self, other):
        """Whether two sums are the same but for rounding."""
        for key in {*self.terms, *other.terms}:
            one, two = self.terms.get(key, 0.0), other.terms.get(key, 0.0)
            if (abs(one - two) > NEAR * numpy.maximum(abs(one), abs(two)) + 1e-12).any():
                return False
        return True


def _order(factor):
    return "" if factor is X else f"{id(factor):x}"


# ---- known formulas ------------------------------------------------------------------------------


def settled(c, formula):
    """The Value of a known operator, or the formula itself."""
    if set(formula.terms) <= {(X,), ()} and (X,) in formula.terms:
        return _affine(c, formula.value, formula.terms[X,], formula.terms.get((), 0.0 * formula.terms[X,]))
    functions = {factor for key in formula.terms for factor in key if factor is not X}
    for function in functions:
        found = _KNOWN.get(function.kind, lambda *_: None)(c, formula, function)
        if found is not None:
            return found
    formula.made = f"{c.name!r:.60} ({c.node.op:.60})"
    return formula


def _affine(c, value, scale, shift):
    return value.with_map(c.builder.affine(f"{c.name}.affine", value.map, scale, shift))


def _as_multiple(formula, whole, key):
    """(factor, summand) with formula = factor * whole + summand; None where there are none."""
    if key not in formula.terms or not whole.terms[key].all():
        return None
    factor = formula.terms[key] / whole.terms[key]
    rest = formula.plus(whole.times(whole.like({(): factor})), -1.0)
    summand = rest.terms.get((), 0.0 * factor)
    return (factor, summand) if rest.near(rest.like({(): summand})) or _small(rest, formula) else None


def _small(rest, formula):
    """Whether nothing but rounding is left beside the constant."""
    return all(
        (abs(factor) <= NEAR * abs(formula.terms.get(key, 0.0))).all() for key, factor in rest.terms.items() if key
    )


def _gelu(c, formula, function, form):
    """f * x * (1 + erf(x / sqrt(2))) / 2, and with tanh in place of erf."""
    y = {key: factor for key, factor in formula.terms.items() if function in key}
    if set(y) - {(function,), tuple(sorted((X, function), key=_order))}:
        return None
    # What the function is multiplied by is f * x / 2: x is known but for its size, which the inner sum has.
    product = tuple(sorted((X, function), key=_order))
    inner, size = function.inner.terms, formula.value.map.size[CHANNEL]
    if product not in y or not y[product].all():
        return None
    if form == "erf":
        if set(inner) - {(X,), ()} or (X,) not in inner:
            return None
        scale = inner[X,] * 2**0.5
    else:
        if (X, X, X) not in inner:
            return None
        scale = numpy.cbrt(inner[X, X, X] / (0.044715 * (2 / numpy.pi) ** 0.5))
    scale = numpy.where(abs(scale - 1) < NEAR, 1.0, scale)
    shift = y.get((function,), numpy.zeros(size)) * scale / y[product]
    x = formula.like({(X,): scale, (): shift})
    if form == "erf":
        wanted = x.times(x.like({(): numpy.full(size, 0.5**0.5)}))
    else:
        cube = x.power(3)
        wanted = x.plus(cube.times(cube.like({(): numpy.full(size, 0.044715)})))
        wanted = wanted.times(x.like({(): numpy.full(size, (2 / numpy.pi) ** 0.5)}))
    if not function.inner.near(wanted):
        return None
    half = x.times(x.like({(): numpy.full(size, 0.5)}))
    found = _as_multiple(formula, half.plus(half.times(half.like({(function,): numpy.ones(size)}))), product)
    if found is None:
        return None
    value = _affine(c, formula.value, scale, shift)
    made = value.with_map(c.emit("gelu", [value.map], value.map.size, form=form))
    return _affine(c, made, *found)


def _layer_norm(c, formula, function):
    """f * (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), or the l2 norm."""
    if function.kind != "power":
        return None
    if function.number == -1.0:
        found = _response(c, formula, function)
        return _length(c, formula, function) if found is None else found
    if function.number != -0.5:
        return None
    inner = dict(function.inner.terms)
    epsilon = inner.pop((), None)
    means = [key for key in inner if len(key) == 1 and key[0] is not X and key[0].kind == "mean"]
    size = formula.value.map.size[CHANNEL]
    if len(inner) != 1 or len(means) != 1 or (abs(inner[means[0]] - 1) > NEAR).any():
        return _length(c, formula, function)
    square = means[0][0].inner
    centres = {factor for key in square.terms for factor in key if factor is not X}
    epsilon = numpy.zeros(1) if epsilon is None else epsilon
    if len(centres) != 1 or (epsilon != epsilon[0]).any() or not 0 <= epsilon[0] <= EPSILON_MAX:
        return None
    (centre,) = centres
    if centre.kind != "mean" or set(centre.inner.terms) - {(X,), ()}:
        return None
    middle = centre.inner.plus(formula.like({(centre,): numpy.ones(size)}), -1.0)
    if not square.near(middle.times(middle)):
        return None
    whole = middle.times(formula.like({(function,): numpy.ones(size)}))
    found = _as_multiple(formula, whole, tuple(sorted((centre, function), key=_order)))
    if found is None:
        return None
    x = centre.inner.terms
    value = _affine(c, formula.value, x[X,], x.get((), 0.0 * x[X,]))
    made = value.with_map(c.emit("layer_norm", [value.map], value.map.size, epsilon=float(epsilon[0])))
    return _affine(c, made, *found)


def _response(c, formula, function):
    """x + f * x * g / (mean(g) + epsilon) + s, where g is the length of each channel over all pixels."""
    inner, size = dict(function.inner.terms), formula.value.map.size[CHANNEL]
    epsilon = inner.pop((), numpy.zeros(1))
    means = [key[0] for key in inner if len(key) == 1 and key[0] is not X and key[0].kind == "mean"]
    length = means[0].inner._only() if len(means) == len(inner) == 1 else None
    if length is None or length.kind != "length" or (epsilon != epsilon[0]).any() or not 0 <= epsilon[0] <= EPSILON_MAX:
        return None
    product, ones = tuple(sorted((X, length, function), key=_order)), numpy.ones(size)
    plain = {key: factor for key, factor in formula.terms.items() if key not in (product, ())}
    if (
        product not in formula.terms
        or not formula.like(plain).near(formula.like({(X,): ones}))
        or not function.inner.near(formula.like({(means[0],): ones, (): epsilon * ones}))
        or not length.inner.near(formula.like({(X, X): ones}))
    ):
        return None
    tensors = {"scale": formula.terms[product], "shift": formula.terms.get((), 0 * ones)}
    value = formula.value
    return value.with_map(c.emit("grn", [value.map], value.map.size, tensors, epsilon=float(epsilon[0])))


def _length(c, formula, function):
    """f * x / max(sqrt(sum(x^2)), epsilon)."""
    epsilon, size = 1e-30, formula.value.map.size[CHANNEL]
    square = function.inner
    if function.number == -1.0:
        outer = square._only()
        if outer is None or outer.kind != "least":
            return None
        epsilon, root = outer.number, outer.inner._only()
        if root is None or root.kind != "power" or root.number != 0.5:
            return None
        square = root.inner
    inner = dict(square.terms)
    if len(inner) != 1:
        return None
    ((key, factor),) = inner.items()
    if len(key) != 1 or key[0] is X or key[0].kind != "mean" or (abs(factor / size - 1) > NEAR).any():
        return None
    inside = key[0].inner.terms
    if set(inside) != {(X, X)} or (inside[X, X] != inside[X, X][0]).any() or not inside[X, X][0] > 0:
        return None
    scale = numpy.full(size, inside[X, X][0] ** 0.5)
    whole = formula.like({tuple(sorted((X, function), key=_order)): scale})
    found = _as_multiple(formula, whole, tuple(sorted((X, function), key=_order)))
    if found is None:
        return None
    value = _affine(c, formula.value, scale, 0 * scale)
    made = value.with_map(c.emit("l2_norm", [value.map], value.map.size, epsilon=float(max(epsilon, 1e-30))))
    return _affine(c, made, *found)


_KNOWN = {
    "erf": lambda c, formula, function: _gelu(c, formula, function, "erf"),
    "tanh": lambda c, formula, function: _gelu(c, formula, function, "tanh"),
    "power": _layer_norm,
}


# ---- operators -----------------------------------------------------------------------------------


def take(c, given):
    """An input of a formula: a Value, or a formula already."""
    if isinstance(given, Formula):
        return given
    if not isinstance(given, Value):
        raise Refused("its input is none that a formula can be made of")
    return Formula.of(c, given)


def arithmetic(c, op, first, second):
    """Add, Sub, Mul or Div, where at least one is a formula."""
    pair = [first, second]
    for place, given in enumerate(pair):
        if isinstance(given, numpy.ndarray):
            pair[place] = take(c, pair[1 - place]).constant(given)
            if pair[place] is None:
                raise Refused(
                    f"its constant of shape {list(given.shape)} is neither one number nor one for each channel"
                )
        else:
            pair[place] = take(c, given)
    first, second = pair
    if first.functions is not second.functions or first.value.axes != second.value.axes:
        raise Refused("it takes formulas over two maps together")
    if op in ("add", "subtract"):
        return settled(c, first.plus(second, 1.0 if op == "add" else -1.0))
    if op == "divide":
        if set(second.terms) <= {()}:
            inverse = second.terms.get((), numpy.zeros(1))
            if not inverse.all():
                raise Refused("it divides by 0")
            second = second.like({(): 1 / inverse})
        else:
            second = second.power(-1.0)
    return settled(c, first.times(second))


def function(kind):
    return lambda c: settled(c, take(c, c.inputs[0]).function(kind))


def root(exponent):
    return lambda c: settled(c, take(c, c.inputs[0]).power(exponent))


def power(c, exponent):
    if exponent not in (2, 3, 0.5, -0.5, -1) or not abs(exponent) <= FIELD_MAX:
        raise Refused("its base may be negative")
    return settled(c, take(c, c.inputs[0]).power(exponent))


def least(c, number):
    """The larger of a formula and a number."""
    return take(c, c.inputs[0]).function("least", float(number))


def over_channels(c, kind):
    """ReduceMean, ReduceSum, ReduceL2 or ReduceSumSquare over the channels."""
    given = c.inputs[0]
    formula = take(c, given)
    if not c.whole("keepdims", 1):
        raise Refused("it reduces the channels and drops their dimension (keepdims 0)")
    if kind in ("l2", "square"):
        formula = formula.power(2)
    formula = formula.function("mean")
    if kind != "mean":
        count = float(formula.value.map.size[CHANNEL])
        formula = formula.like({key: factor * count for key, factor in formula.terms.items()})
    return formula.power(0.5) if kind == "l2" else formula


def over_area(c):
    """ReduceL2 over height and width: the length of each channel."""
    formula, axes = take(c, c.inputs[0]), onnx_constants.axes_of(c.inputs, c.attributes) or []
    places = [onnx_constants.axis_of(axis, len(formula.value.axes) + 1) for axis in axes]
    ways = {way for place in places if place for way in formula.value.axes[place - 1]}
    of_area = {way for way in (HEIGHT, WIDTH) if formula.value.map.size[way] > 1}
    if 0 in places or ways != of_area or not c.whole("keepdims", 1):
        raise Refused("it is neither over the channels nor over height and width, with these kept (keepdims 1)")
    return formula.power(2).function("length")


def is_over_channels(c):
    """Whether a reduction is over the channels alone."""
    value = c.inputs[0].value if isinstance(c.inputs[0], Formula) else c.inputs[0]
    c.constant(1, "axes")
    axes = onnx_constants.axes_of(c.inputs, c.attributes)
    if not isinstance(value, Value) or not axes or len(axes) != 1:
        return False
    axis = onnx_constants.axis_of(axes[0], len(value.axes) + 1)
    return axis > 0 and value.axes[axis - 1] == (CHANNEL,)
