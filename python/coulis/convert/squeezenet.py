"""SqueezeNet 1.0 and 1.1: the graph, and where its tensors lie in torchvision's files.

Iandola et al., SqueezeNet, 2016, table 1; 1.1 is its authors' later one, with smaller layers at the beginning.
"""

from .graph import Graph

SIZED = True  # poolings round up, which is padding that follows from the size of the image
# Of the stem: channels and kernel. Then P for a pooling, or how many channels a "fire" squeezes to and widens to.
P = None
VARIANTS = {
    "1.0": ((96, 7), (P, (16, 64), (16, 64), (32, 128), P, (32, 128), (48, 192), (48, 192), (64, 256), P, (64, 256))),
    "1.1": ((64, 3), (P, (16, 64), (16, 64), P, (32, 128), (32, 128), P, (48, 192), (48, 192), (64, 256), (64, 256))),
}


def classifier(variant):
    """What the file calls the classifier."""
    return "classifier.1"


def _after(length):
    """Padding behind a map, with which a pooling of 3 with stride 2 takes its last pixels, and the pooled length."""
    count = -(-(length - 3) // 2) + 1
    return (count - 1) * 2 + 3 - length, count


def build(variant, classes=1000, size=(224, 224)):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str)."""
    (channels, kernel), layers = VARIANTS[variant]
    graph, names = Graph(), {}

    def layer(name, source, place, channels, kernel, padding, stride=1):
        node = graph.conv(f"{name}.conv", source, channels, kernel, stride, [padding] * 4, bias=True)
        names.update({f"{node}.{part}": f"{place}.{part}" for part in ("weight", "bias")})
        return graph.add(f"{name}.relu", "relu", [node])

    node = layer("stem", "image", "features.0", channels, kernel, 0, 2)
    sides = [(side - kernel) // 2 + 1 for side in size]
    for place, fire in enumerate(layers, 2):
        if fire is P:
            (below, height), (right, width) = map(_after, sides)
            node = graph.add(
                f"pool{place}", "max_pool", [node], kernel=[3, 3], stride=[2, 2], padding=[0, 0, below, right]
            )
            sides = [height, width]
            continue
        squeezed, wide = fire
        start = f"features.{place}"
        node = layer(f"fire{place}.squeeze", node, f"{start}.squeeze", squeezed, 1, 0)
        both = [
            layer(f"fire{place}.expand{kernel}", node, f"{start}.expand{kernel}x{kernel}", wide, kernel, kernel // 2)
            for kernel in (1, 3)
        ]
        node = graph.add(f"fire{place}", "concat", both)
    graph.add("pool", "global_average_pool", [node])
    if classes:
        node = layer("classifier", node, classifier(variant), classes, 1, 0)
        graph.add("logits", "global_average_pool", [node])
    return graph.nodes, names
