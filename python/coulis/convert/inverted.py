"""MobileNetV2 and EfficientNet-B0: the graphs, and where their tensors lie in the files of torchvision and timm.

Sandler et al., MobileNetV2, 2018, table 2; Tan and Le, EfficientNet, 2019, table 1. Both are inverted residuals: widen,
convolve each channel, gate (EfficientNet), narrow.
"""

from collections import namedtuple

from .efficientnet_lite import torch_norm
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
# "tf": weights that Google trained in TensorFlow, with its padding and epsilon, as timm has them under tf_.
VARIANTS = {
    "mobilenet-v2": Net(_MOBILE, 32, 1280, "relu6", False, 1e-5, False),
    "efficientnet-b0": Net(_B0, 32, 1280, "swish", True, 1e-5, False),
    "efficientnet-b0-tf": Net(_B0, 32, 1280, "swish", True, 1e-3, True),
}
STYLES = ("torchvision", "timm")


def styles_of(variant):
    """The styles in which files of a variant are known."""
    return STYLES[1:] if variant.endswith("-tf") else STYLES


def classifier(variant, style):
    """What the file calls the classifier."""
    return "classifier.1" if style == "torchvision" else "classifier"


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


def build(variant, classes=1000, style="torchvision"):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str)."""
    net, graph, names = VARIANTS[variant], Graph(), {}
    timm, blocks = style == "timm", sum(stage[0] for stage in VARIANTS[variant].stages)

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

    last = len(net.stages) + 1 if net.gated else blocks + 1
    stem, head = (
        (("conv_stem", "bn1"), ("conv_head", "bn2"))
        if timm
        else (("features.0.0", "features.0.1"), (f"features.{last}.0", f"features.{last}.1"))
    )
    node, channels, number = layer("stem", "image", stem, channels=net.stem, kernel=3, stride=2), net.stem, 0
    for stage, (repeats, kernel, stride, expansion, out) in enumerate(net.stages):
        for repeat in range(repeats):
            name, start, inner = f"block{number}", node, channels * expansion
            layers, gate = (_timm if timm else _torchvision)(net, number, stage, repeat, expansion > 1)
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
