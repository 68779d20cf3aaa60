"""MobileNetV3-Large as torchvision builds it: the graph, and where its tensors lie in torchvision's files.

Howard et al., Searching for MobileNetV3, 2019, table 1. torchvision normalises with an epsilon of 0.001, squeezes to a
quarter of the widened channels, and gates by a hard sigmoid.
"""

from .inverted import scaled_channels, torch_norm
from .graph import Graph

# kernel, widened channels, channels, squeeze and excite, activation, stride
BLOCKS = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
STEM, HEAD, HIDDEN = 16, 960, 1280
EPSILON = 1e-3


def classifier(variant):
    """What the file calls the classifier."""
    return "classifier.3"


def build(variant="large", classes=1000):
    """The nodes, and torchvision's name of every tensor: (list of dict, dict of str to str)."""
    graph, names = Graph(), {}

    def layer(name, source, torch_name, activation, *, kernel, **conv):
        node = graph.conv(f"{name}.conv", source, kernel=kernel, padding=[kernel // 2] * 4, **conv)
        names[f"{node}.weight"] = f"{torch_name}.0.weight"
        node = graph.batch_norm(f"{name}.norm", node, EPSILON)
        names.update(torch_norm(node, f"{torch_name}.1"))
        return graph.add(f"{name}.{activation}", activation, [node]) if activation else node

    def dense(name, source, torch_name, units):
        node = graph.dense(name, source, units)
        names.update({f"{node}.{part}": f"{torch_name}.{part}" for part in ("weight", "bias")})
        return node

    node = layer("stem", "image", "features.0", "hard_swish", channels=STEM, kernel=3, stride=2)
    channels = STEM
    for index, (kernel, inner, out, excite, activation, stride) in enumerate(BLOCKS, 1):
        name, start, part = f"block{index}", node, f"features.{index}.block"
        parts = iter(range(4))
        if inner != channels:
            node = layer(f"{name}.expand", node, f"{part}.{next(parts)}", activation, channels=inner, kernel=1)
        node = layer(
            f"{name}.depthwise",
            node,
            f"{part}.{next(parts)}",
            activation,
            channels=inner,
            kernel=kernel,
            stride=stride,
            groups=inner,
        )
        if excite:
            gate, torch_name = graph.add(f"{name}.squeeze", "global_average_pool", [node]), f"{part}.{next(parts)}"
            gate = dense(f"{name}.reduce", gate, f"{torch_name}.fc1", scaled_channels(inner // 4, 1))
            gate = dense(f"{name}.restore", graph.add(f"{name}.relu", "relu", [gate]), f"{torch_name}.fc2", inner)
            gate = graph.add(f"{name}.gate", "hard_sigmoid", [gate], alpha=1 / 6, beta=0.5)
            node = graph.add(f"{name}.excite", "multiply", [node, gate])
        node = layer(f"{name}.project", node, f"{part}.{next(parts)}", None, channels=out, kernel=1)
        if stride == 1 and out == channels:
            node = graph.add(f"{name}.add", "add", [node, start])
        channels = out
    node = layer("head", node, f"features.{len(BLOCKS) + 1}", "hard_swish", channels=HEAD, kernel=1)
    node = graph.add("pool", "global_average_pool", [node])
    if classes:
        node = dense("hidden", node, "classifier.0", HIDDEN)
        node = graph.add("hidden.hard_swish", "hard_swish", [node])
        dense("classifier", node, "classifier.3", classes)
    return graph.nodes, names
