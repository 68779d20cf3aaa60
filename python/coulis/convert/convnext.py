"""ConvNeXt: the graph, and where its tensors lie in the files of timm, torchvision and transformers.

Liu et al., A ConvNet for the 2020s, 2022. The embedding is what timm gives without a classifier: the mean of the last
map, normalised.
"""

from .graph import Graph
from .made import Made

# channels and blocks of each stage
VARIANTS = {
    "tiny": ((96, 192, 384, 768), (3, 3, 9, 3)),
    "small": ((96, 192, 384, 768), (3, 3, 27, 3)),
    "base": ((128, 256, 512, 1024), (3, 3, 27, 3)),
}
EPSILON = 1e-6
_NAMES = {
    "timm": {
        "stem": ("stem.0", "stem.1"),
        "down": ("stages.{stage}.downsample.1", "stages.{stage}.downsample.0"),
        "block": "stages.{stage}.blocks.{block}",
        "parts": ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"),
        "norm": "head.norm",
        "head": "head.fc",
    },
    "torchvision": {
        "stem": ("features.0.0", "features.0.1"),
        "down": ("features.{even}.1", "features.{even}.0"),
        "block": "features.{odd}.{block}",
        "parts": ("block.0", "block.2", "block.3", "block.5", "layer_scale"),
        "norm": "classifier.0",
        "head": "classifier.2",
    },
    "transformers": {
        "stem": ("embeddings.patch_embeddings", "embeddings.layernorm"),
        "down": ("encoder.stages.{stage}.downsampling_layer.1", "encoder.stages.{stage}.downsampling_layer.0"),
        "block": "encoder.stages.{stage}.layers.{block}",
        "parts": ("dwconv", "layernorm", "pwconv1", "pwconv2", "layer_scale_parameter"),
        "norm": "layernorm",
        "head": "classifier",
    },
}
STYLES = tuple(_NAMES)


def classifier(variant, style):
    """What the file calls the classifier."""
    return _NAMES[style]["head"]


def build(variant, classes=1000, style="timm"):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str or Made)."""
    graph, names, own = Graph(), {}, _NAMES[style]

    def placed(node, place, parts=("weight", "bias")):
        names.update({f"{node}.{ours}": f"{place}.{part}" for ours, part in zip(parts, ("weight", "bias"))})
        return node

    def norm(name, source, place):
        return placed(graph.layer_norm(name, source, EPSILON), place, ("scale", "shift"))

    def conv(name, source, place, channels, kernel, stride, **more):
        return placed(graph.conv(name, source, channels, kernel, stride, bias=True, **more), place)

    (width, *_), node = VARIANTS[variant][0], "image"
    node = conv("stem.conv", node, own["stem"][0], width, 4, 4, padding=[0] * 4)
    node = norm("stem.norm", node, own["stem"][1])
    for stage, (channels, blocks) in enumerate(zip(*VARIANTS[variant])):
        where = {"stage": stage, "even": 2 * stage, "odd": 2 * stage + 1}
        if stage:
            node = norm(f"down{stage}.norm", node, own["down"][1].format(**where))
            node = conv(f"down{stage}.conv", node, own["down"][0].format(**where), channels, 2, 2, padding=[0] * 4)
        for block in range(blocks):
            name, start = f"stage{stage}.{block}", node
            depthwise, normalise, widen, narrow, scale = (
                f"{own['block'].format(block=block, **where)}.{part}" for part in own["parts"]
            )
            node = conv(f"{name}.depthwise", node, depthwise, channels, 7, 1, padding=[3] * 4, groups=channels)
            node = norm(f"{name}.norm", node, normalise)
            node = placed(graph.dense(f"{name}.widen", node, 4 * channels), widen)
            node = graph.add(f"{name}.gelu", "gelu", [node], form="erf")
            node = placed(graph.dense(f"{name}.narrow", node, channels), narrow)
            node = graph.add(f"{name}.scale", "scale", [node], scale=f"{name}.scale.scale")
            names[f"{name}.scale.scale"] = Made((scale,), lambda values: values.reshape(-1))
            node = graph.add(f"{name}.add", "add", [node, start])
    node = graph.add("mean", "global_average_pool", [node])
    # transformers takes the epsilon of its configuration, 1e-12, for the last norm alone.
    node = placed(
        graph.layer_norm("pool", node, 1e-12 if style == "transformers" else EPSILON), own["norm"], ("scale", "shift")
    )
    if classes:
        placed(graph.dense("head", node, classes), own["head"])
    return graph.nodes, names
