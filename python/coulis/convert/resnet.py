"""ResNet as torchvision builds it: the graph, and where its tensors lie in torchvision's files.

He et al., Deep Residual Learning for Image Recognition, 2015, table 1. Unlike Keras (resnet50.py), torchvision has the
stride of a bottleneck in its 3x3 convolution, and convolutions without bias.
"""

from .efficientnet_lite import torch_norm
from .graph import Graph

# variant -> blocks of each stage, and how many times wider a block's output is than its inside
VARIANTS = {"18": ((2, 2, 2, 2), 1), "50": ((3, 4, 6, 3), 4)}
EPSILON = 1e-5  # PyTorch's default


def classifier(variant):
    """What the file calls the classifier."""
    return "fc"


def build(variant, classes=1000):
    """The nodes, and torchvision's name of every tensor: (list of dict, dict of str to str)."""
    blocks, expansion = VARIANTS[variant]
    graph, names = Graph(), {}

    def layer(name, source, conv_name, norm_name, activation=True, *, kernel, **conv):
        node = graph.conv(f"{name}.conv", source, kernel=kernel, padding=[kernel // 2] * 4, **conv)
        names[f"{node}.weight"] = f"{conv_name}.weight"
        node = graph.batch_norm(f"{name}.norm", node, EPSILON)
        names.update(torch_norm(node, norm_name))
        return graph.add(f"{name}.relu", "relu", [node]) if activation else node

    node = layer("stem", "image", "conv1", "bn1", channels=64, kernel=7, stride=2)
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
                    f"{name}.conv{index + 1}",
                    f"{name}.bn{index + 1}",
                    activation=not last,
                    channels=inner * (expansion if last else 1),
                    kernel=kernel,
                    stride=stride if index == strided else 1,
                )
            if stride != 1 or channels != inner * expansion:
                start = layer(
                    f"{name}.downsample",
                    start,
                    f"{name}.downsample.0",
                    f"{name}.downsample.1",
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
        names.update({f"{node}.{part}": f"fc.{part}" for part in ("weight", "bias")})
    return graph.nodes, names
