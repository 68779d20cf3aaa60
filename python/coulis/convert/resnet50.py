"""ResNet50 as keras.applications builds it: the graph, under Keras' layer names.

He et al., Deep Residual Learning for Image Recognition, 2015, table 1. Keras has the stride of a stage in the first
1x1 convolution, convolutions with bias, and zero padding as layers of its own. That padding is folded in
here: before max-pool it follows a ReLU, where zeros and padding that never wins give the same maximum.
"""

from .graph import Graph

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels, blocks
EXPANSION = 4
EPSILON = 1.001e-5
COLOURS_MAX = 4
NORM = {"scale": "gamma", "shift": "beta", "mean": "moving_mean", "variance": "moving_variance"}


def classifier(variant):
    """What the file calls the classifier."""
    return "predictions"


def build(variant="50", classes=1000):
    """The nodes, and Keras' name of every tensor: (list of dict, dict of str to str)."""
    graph, names = Graph(), {}

    def layer(name, source, activation=True, **conv):
        node = graph.conv(f"{name}_conv", source, bias=True, **conv)
        names.update({f"{node}.weight": f"{node}/kernel", f"{node}.bias": f"{node}/bias"})
        node = graph.batch_norm(f"{name}_bn", node, EPSILON)
        names.update({f"{node}.{part}": f"{node}/{keras_part}" for part, keras_part in NORM.items()})
        return graph.add(f"{name}_relu", "relu", [node]) if activation else node

    node = layer("conv1", "image", channels=64, kernel=7, stride=2, padding=[3, 3, 3, 3])
    node = graph.add("pool1_pool", "max_pool", [node], kernel=[3, 3], stride=[2, 2], padding=[1, 1, 1, 1])
    for stage, (channels, blocks) in enumerate(STAGES, 2):
        for block in range(1, blocks + 1):
            name, start = f"conv{stage}_block{block}", node
            stride = 2 if block == 1 and stage > 2 else 1
            if block == 1:
                start = layer(f"{name}_0", node, False, channels=EXPANSION * channels, kernel=1, stride=stride)
            node = layer(f"{name}_1", node, channels=channels, kernel=1, stride=stride)
            node = layer(f"{name}_2", node, channels=channels, kernel=3)
            node = layer(f"{name}_3", node, False, channels=EXPANSION * channels, kernel=1)
            node = graph.add(f"{name}_add", "add", [start, node])
            node = graph.add(f"{name}_out", "relu", [node])
    node = graph.add("avg_pool", "global_average_pool", [node])
    if classes:
        node = graph.dense("predictions", node, classes)
        names.update({f"{node}.weight": f"{node}/kernel", f"{node}.bias": f"{node}/bias"})
    return graph.nodes, names


def arrange(state, notes):
    """`state` with the classifier under the name it has in :func:`build`, and without more layers behind the network.

    Older releases of Keras call it otherwise (probs, fc1000), and whoever trains one of their own calls it anything;
    it is the only layer with a matrix, and reads what the network gives. More layers than that are left out.
    """
    own = {name.rpartition("/")[0] for name in build()[1].values()} - {"predictions"}
    others = {}
    for name, values in state.items():
        layer, _, part = name.rpartition("/")
        if layer not in own:
            others.setdefault(layer, {})[part] = values
    dense = [layer for layer, parts in others.items() if "kernel" in parts and parts["kernel"].ndim == 2]
    # What stands before the network sees three colours, and is not left out.
    behind = [
        layer
        for layer, parts in others.items()
        if layer in dense
        and len(parts["kernel"]) > COLOURS_MAX
        or set(parts) == set(NORM.values())
        and parts["gamma"].size > COLOURS_MAX
    ]
    if len(others) == 1 == len(dense) and len(others[dense[0]]["kernel"]) == EXPANSION * STAGES[-1][0]:
        return {
            "predictions/" + name.rpartition("/")[2] if name.rpartition("/")[0] == dense[0] else name: values
            for name, values in state.items()
        }
    if not behind or len(behind) != len(others):
        return state
    notes.append(f"left out: {len(behind)} layers behind the network ({', '.join(sorted(behind)[:3])})")
    return {name: values for name, values in state.items() if name.rpartition("/")[0] in own}
