"""ResNet as torchvision, timm and transformers build it: the graph, and where its tensors lie in their files.

He et al., Deep Residual Learning for Image Recognition, 2015, table 1. Unlike Keras (resnet50.py), torchvision has the
stride of a bottleneck in its 3x3 convolution, and convolutions without bias.
"""

from .inverted import torch_norm
from .graph import Graph

# variant -> blocks of each stage, and how many times wider a block's output is than its inside
VARIANTS = {
    "18": ((2, 2, 2, 2), 1),
    "34": ((3, 4, 6, 3), 1),
    "50": ((3, 4, 6, 3), 4),
    "101": ((3, 4, 23, 3), 4),
    "152": ((3, 8, 36, 3), 4),
}
EPSILON = 1e-5  # PyTorch's default
STYLES = ("torchvision", "transformers")  # timm's names are torchvision's


def classifier(variant, style):
    """What the file calls the classifier."""
    return "fc" if style == "torchvision" else "classifier.1"


def _places(style, stage, repeat, index):
    """Names of convolution and norm of a block's layer; `index` is None for the shortcut."""
    if style == "torchvision":
        start = f"layer{stage}.{repeat}"
        if index is None:
            return f"{start}.downsample.0", f"{start}.downsample.1"
        return f"{start}.conv{index + 1}", f"{start}.bn{index + 1}"
    start = f"encoder.stages.{stage - 1}.layers.{repeat}"
    start = f"{start}.shortcut" if index is None else f"{start}.layer.{index}"
    return f"{start}.convolution", f"{start}.normalization"


def build(variant, classes=1000, style="torchvision"):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str)."""
    blocks, expansion = VARIANTS[variant]
    graph, names = Graph(), {}

    def layer(name, source, conv_name, norm_name, activation=True, *, kernel, **conv):
        node = graph.conv(f"{name}.conv", source, kernel=kernel, padding=[kernel // 2] * 4, **conv)
        names[f"{node}.weight"] = f"{conv_name}.weight"
        node = graph.batch_norm(f"{name}.norm", node, EPSILON)
        names.update(torch_norm(node, norm_name))
        return graph.add(f"{name}.relu", "relu", [node]) if activation else node

    stem = (
        ("conv1", "bn1")
        if style == "torchvision"
        else ("embedder.embedder.convolution", "embedder.embedder.normalization")
    )
    node = layer("stem", "image", *stem, channels=64, kernel=7, stride=2)
    node = graph.add("stem.pool", "max_pool", [node], kernel=[3, 3], stride=[2, 2], padding=[1, 1, 1, 1])
    channels = 64
    for stage, repeats in enumerate(blocks, 1):
        inner = 32 << stage
        for repeat in range(repeats):
            name, start, stride = f"layer{stage}.{repeat}", node, 2 if repeat == 0 and stage > 1 else 1
            kernels = (1, 3, 1) if expansion > 1 else (3, 3)
            strided = kernels.index(3)
            for index, kernel in enumerate(kernels):
                last = index == len(kernels) - 1
                node = layer(
                    f"{name}.{index + 1}",
                    node,
                    *_places(style, stage, repeat, index),
                    activation=not last,
                    channels=inner * (expansion if last else 1),
                    kernel=kernel,
                    stride=stride if index == strided else 1,
                )
            if stride != 1 or channels != inner * expansion:
                start = layer(
                    f"{name}.downsample",
                    start,
                    *_places(style, stage, repeat, None),
                    activation=False,
                    channels=inner * expansion,
                    kernel=1,
                    stride=stride,
                )
            node = graph.add(f"{name}.add", "add", [node, start])
            node = graph.add(f"{name}.relu", "relu", [node])
            channels = inner * expansion
    node = graph.add("pool", "global_average_pool", [node])
    if classes:
        node = graph.dense("fc", node, classes)
        names.update({f"{node}.{part}": f"{classifier(variant, style)}.{part}" for part in ("weight", "bias")})
    return graph.nodes, names
