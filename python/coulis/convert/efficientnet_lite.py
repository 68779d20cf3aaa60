"""EfficientNet-Lite: the graph, and where its tensors lie in the PyTorch port.

Tan and Le, EfficientNet: Rethinking Model Scaling, 2019, table 1; the lite variants leave squeeze-and-excite
out, use ReLU6, and scale neither the stem and the head in width nor the first and last stage in depth.
"""

from math import ceil

from .graph import Graph, describe, shapes

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
STEM, HEAD, CLASSES = 32, 1280, 1000
EPSILON = 1e-3

# variant -> width and depth multipliers
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}


def scaled_channels(channels, width):
    """Channels times `width`, rounded to a multiple of 8 but not down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def build(variant):
    """The nodes, and the PyTorch name of every tensor.

    Returns
    -------
    (list of dict, dict of str to str)
    """
    width, depth = VARIANTS[variant]
    graph, names = Graph(), {}

    def norm(name, source, torch_name):
        node = graph.batch_norm(name, source, EPSILON)
        for part, torch_part in (
            ("scale", "weight"),
            ("shift", "bias"),
            ("mean", "running_mean"),
            ("variance", "running_var"),
        ):
            names[f"{node}.{part}"] = f"{torch_name}.{torch_part}"
        return node

    def layer(name, source, torch_conv, torch_norm, activation=True, **conv):
        node = graph.conv(f"{name}.conv", source, **conv)
        names[f"{node}.weight"] = f"{torch_conv}.weight"
        node = norm(f"{name}.norm", node, torch_norm)
        return graph.add(f"{name}.relu6", "relu6", [node]) if activation else node

    node = layer("stem", "image", "_conv_stem", "_bn0", channels=STEM, kernel=3, stride=2)
    channels, index = STEM, 0
    for stage, (repeats, kernel, stride, expansion, wanted) in enumerate(STAGES):
        if 0 < stage < len(STAGES) - 1:
            repeats = ceil(repeats * depth)
        for repeat in range(repeats):
            name, torch_name, start = f"block{index}", f"_blocks.{index}", node
            out, step, inner = scaled_channels(wanted, width), stride if repeat == 0 else 1, channels * expansion
            if expansion != 1:
                node = layer(
                    f"{name}.expand",
                    node,
                    f"{torch_name}._expand_conv",
                    f"{torch_name}._bn0",
                    channels=inner,
                    kernel=1,
                )
            node = layer(
                f"{name}.depthwise",
                node,
                f"{torch_name}._depthwise_conv",
                f"{torch_name}._bn1",
                channels=inner,
                kernel=kernel,
                stride=step,
                groups=inner,
            )
            node = layer(
                f"{name}.project",
                node,
                f"{torch_name}._project_conv",
                f"{torch_name}._bn2",
                activation=False,
                channels=out,
                kernel=1,
            )
            if step == 1 and out == channels:
                node = graph.add(f"{name}.add", "add", [node, start])
            channels, index = out, index + 1
    node = layer("head", node, "_conv_head", "_bn1", channels=HEAD, kernel=1)
    node = graph.add("pool", "global_average_pool", [node])
    node = graph.dense("classifier", node, CLASSES)
    names.update({f"{node}.weight": "_fc.weight", f"{node}.bias": "_fc.bias"})
    return graph.nodes, names


def convert(recipe, state):
    """Description and tensors of a model file.

    Parameters
    ----------
    recipe : dict
        As read by :mod:`coulis.convert.recipe`.
    state : dict of str to numpy.ndarray
        The PyTorch file's tensors.

    Raises
    ------
    ValueError
        When a tensor is missing, left over, or of another shape or type than the graph says.
    """
    nodes, names = build(recipe["variant"])
    description = describe(recipe, nodes)
    tensors = {}
    for name, shape in shapes(description)[1].items():
        found = state.get(names[name])
        if found is None or found.shape != shape or found.dtype != "<f4":
            have = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise ValueError(f"the tensor {names[name]} should be float32 {shape}, but is {have}")
        tensors[name] = found
    unused = {name for name in state if not name.endswith(".num_batches_tracked")} - set(names.values())
    if unused:
        raise ValueError(f"the tensor {min(unused)} belongs to no layer of EfficientNet-{recipe['variant']}")
    return description, tensors
