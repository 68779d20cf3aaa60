"""ResNet50 as keras.applications builds it: the graph, under Keras' layer names.

He et al., Deep Residual Learning for Image Recognition, 2015, table 1. Keras has the stride of a stage in the first
1x1 convolution, convolutions with bias, and zero padding as layers of its own. That padding is folded in
here: before max-pool it follows a ReLU, where zeros and padding that never wins give the same maximum.
"""

from .graph import Graph

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels, blocks
EXPANSION = 4
CLASSES = 1000
EPSILON = 1.001e-5


def build():
    """The nodes, as a list of dict."""
    graph = Graph()

    def layer(name, source, activation=True, **conv):
        node = graph.conv(f"{name}_conv", source, bias=True, **conv)
        node = graph.batch_norm(f"{name}_bn", node, EPSILON)
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
    graph.dense("predictions", node, CLASSES)
    return graph.nodes
