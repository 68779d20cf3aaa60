"""Makes model files of image networks in ONNX: convert() is the way in; docs/models.md says what it can read."""

from collections import namedtuple

import numpy

from . import graph, onnx_constants, onnx_features, onnx_file
from .onnx_graph import Builder, Context, Refused
from .onnx_operators import OPERATORS
from .onnx_values import CHANNEL, HEIGHT, WIDTH, Map, Value

SIDE_MAX = 8192  # of an image, as the library reads model files
NODES_MAX = 20000  # as there
# A graph that divides the image by less leaves numbers of 16 and more, so something else was to come before it.
STD_MIN = 16

# How the frameworks' own networks want images: channels, mean, std (ImageNet's statistics for the first and last).
PREPROCESSING = {
    "caffe": ("BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "tf": ("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": ("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "none": ("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

Options = namedtuple(
    "Options",
    "preprocessing channels mean std width height map pooled logits source licence entry config resize tokenizer",
    defaults=(None,) * 9 + ("", "", None, (), None, None),
)
Options.__doc__ = """What a file does not say of itself; None, or empty text, for what is not given.

Attributes
----------
preprocessing : str
    "caffe", "tf", "torch", or "none" for images as they are, 0 to 255.
channels : str
    "RGB" or "BGR"; replaces that of `preprocessing`, as do
mean, std : sequence of three numbers
    in the order of `channels`: the network sees (x - mean) / std with x from 0 to 255.
width, height : int
    Of the image, for a file that leaves them open.
map, pooled, logits : str
    Names of the ONNX tensors that give these features, where what convert() finds is not what is wanted.
source, licence : str
    Facts for people, kept in the model file.
entry : str
    Of a checkpoint of PyTorch, the entry that holds the weights.
config : sequence of paths
    Configuration files of Hugging Face, timm or open_clip.
resize : tuple
    How the publisher resizes, as in a model file, to which height and width.
tokenizer : path
    The tokenizer.json of a tower of texts beside the one of images.
"""


def convert(path, name, options=Options()):
    """Description and tensors of a model file, from an ONNX file.

    Without names in `options`, the features are found so: `pooled` is what the graph gives, when that is a vector and
    no classifier makes it, else the token that the classifier reads, or the last pooling over a whole map behind which
    there are only vectors; `map` is what it pools, and `logits` the last dense layer. Where there is none of these,
    `map` is the last feature map and `pooled` its mean.

    Parameters
    ----------
    path : str or os.PathLike
    name : str
        What the network is to be called.
    options : Options

    Returns
    -------
    (dict, dict of str to numpy.ndarray)
        As :func:`coulis.convert.graph.metadata` and :func:`coulis.convert.safetensors_file.write` take them.

    Raises
    ------
    ValueError
        When the file is damaged, or the network cannot be said in a model file; the sentence names file and node.
    OSError
    """
    model = onnx_file.Model(path)
    image, layout, height, width, batch = _input_image(model, options)
    wanted = [tensor for tensor in (options.map, options.pooled, options.logits) if tensor]
    ends = [] if options.map and options.pooled else onnx_features.ends(model)

    def walked(tensors):
        builder = Builder(model.opset, height, width, batch)
        builder.values[image] = Value(Map("image", builder.sizes["image"]), layout)
        _walk(model, builder, _needed(model, tensors))
        if len(builder.nodes) > NODES_MAX:
            raise ValueError(f"{path}: the network has more than {NODES_MAX} nodes")
        return builder

    try:
        builder = walked(wanted + ends)
    except ValueError:
        if not (ends and (options.map or options.pooled)):
            raise
        builder, ends = walked(wanted), []  # what is named decides; what lies behind it need not be known here
    features = onnx_features.find(model, builder, options, ends)
    return _finish(model, builder, name, features, options)


def _input_image(model, options):
    """Name and dimensions of the input that is the image, its height and width, and the images in a batch."""
    if len(model.inputs) != 1:
        raise ValueError(f"{model.path}: it has {len(model.inputs)} inputs; a network of images has one")
    ((name, (sizes, _)),) = model.inputs.items()
    if len(sizes) != 4 or (sizes[1] == 3) == (sizes[3] == 3):
        raise ValueError(
            f"{model.path}: its input {name!r:.60} of shape {sizes} is not an image: it should be (batch, 3, height, "
            "width) or (batch, height, width, 3)"
        )
    first = sizes[1] == 3
    layout = [(CHANNEL,), (HEIGHT,), (WIDTH,)] if first else [(HEIGHT,), (WIDTH,), (CHANNEL,)]
    found = []
    for way, own, given in zip(
        ("height", "width"), sizes[2:] if first else sizes[1:3], (options.height, options.width)
    ):
        if own is not None and given is not None and own != given:
            raise ValueError(f"{model.path}: its {way} is {own}, and cannot be made {given}")
        length = own if own is not None else given
        if length is None:
            raise ValueError(f"{model.path}: it leaves the {way} of its images open: say which (--{way})")
        if not 1 <= length <= SIDE_MAX:
            raise ValueError(f"{model.path}: images of {way} {length}; from 1 to {SIDE_MAX} are possible")
        found.append(length)
    if sizes[0] is not None and not 1 <= sizes[0] <= 1 << 20:
        raise ValueError(f"{model.path}: its input is for {sizes[0]} images at once")
    return name, layout, *found, sizes[0] or 1


def _needed(model, wanted):
    """The nodes that `wanted` depends on, in the file's order."""
    makers = {}
    for place, node in enumerate(model.nodes):
        for output in node.outputs:
            if output and (output in makers or output in model.inputs or model.has(output)):
                raise ValueError(f"{model.path}: the tensor {output!r:.100} is made twice")
            makers[output] = place
    for tensor in wanted:
        if tensor not in makers:
            what = "is made by no node" if tensor in model.inputs or model.has(tensor) else "is not there"
            raise ValueError(f"{model.path}: the tensor {tensor!r:.100}, wanted as a result, {what}")
    places, waiting = set(), list(wanted)
    while waiting:
        tensor = waiting.pop()
        if tensor in makers and makers[tensor] not in places:
            places.add(makers[tensor])
            waiting += [name for name in model.nodes[makers[tensor]].inputs if name]
    return [model.nodes[place] for place in sorted(places)]


def _walk(model, builder, nodes):
    """Translates the nodes one by one."""
    for node in nodes:
        which = f"{model.path}: the node {node.name!r:.100} ({node.op:.60}, opset {model.opset})"
        try:
            for name in node.inputs:
                if name and name not in builder.values:
                    if not model.has(name):
                        raise ValueError(f"it reads {name!r:.100} before any node makes it")
                    builder.values[name] = model.tensor(name)
            results = _translate(Context(builder, node))
        except Refused as error:
            raise ValueError(f"{which} is not supported: {error}") from None
        except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError):
            raise ValueError(f"{which}: its inputs and attributes do not fit the operator") from None
        except ValueError as error:
            raise ValueError(f"{which}: {str(error)[:300]}") from None
        results = results if isinstance(results, list) else [results]
        builder.values.update({output: result for output, result in zip(node.outputs, results) if output})


def _translate(context):
    op = context.node.op
    constant = all(value is None or isinstance(value, numpy.ndarray) for value in context.inputs)
    if constant and onnx_constants.can_fold(op):
        return onnx_constants.fold(op, context.inputs, context.attributes, context.opset)
    if op not in OPERATORS:
        raise Refused(
            "there is no such operator here; to leave out what comes behind the features, name their tensors (--map "
            "and --pooled)"
        )
    return OPERATORS[op](context)


# ---- the description ------------------------------------------------------------------------------


def _finish(model, builder, name, features, options):
    """Leaves out what no feature needs, joins what need not stand alone, and describes the rest."""
    keep = onnx_features.before(builder.nodes, features.values())
    nodes = [node for node in builder.nodes if node["name"] in keep]
    nodes, features = _join_biases(builder, nodes, features)
    normalised = _normalisation(builder, nodes)
    nodes, preprocessing = _preprocessing(model, options, nodes, normalised, builder)
    description = graph.describe(
        {
            "name": name,
            "source": {
                "title": options.source or f"{model.path.name} (ONNX, opset {model.opset})",
                "licence": options.licence,
                "sha256": model.sha256,
            },
            "input": {"width": builder.sizes["image"][1], "height": builder.sizes["image"][0], **preprocessing},
            **(
                {"resize": options.resize[0]}
                if options.resize and options.resize[1:] == builder.sizes["image"][:2]
                else {}
            ),
            "features": features,
        },
        nodes,
    )
    wanted = graph.shapes(description)[1]
    for tensor, shape in wanted.items():
        if builder.tensors[tensor].shape != shape:
            raise ValueError(
                f"{model.path}: the tensor {tensor} is of shape {builder.tensors[tensor].shape}, not {shape}"
            )
    return description, {tensor: builder.tensors[tensor] for tensor in wanted}


def _join_biases(builder, nodes, features):
    """Factors and summands right behind a dense layer or a layer norm become part of its weights."""
    count = {}
    for source in [source for node in nodes for source in node["inputs"]] + list(features.values()):
        count[source] = count.get(source, 0) + 1
    by_name, renamed, kept = {node["name"]: node for node in nodes}, {}, []
    for node in nodes:
        source = by_name.get(node["inputs"][0])
        if node["op"] == "batch_norm" and source and source["op"] == "dense" and count[source["name"]] == 1:
            scale, shift = (builder.tensors[node[part]].astype(numpy.float64) for part in ("scale", "shift"))
            bias = builder.tensors[source["bias"]] * scale if "bias" in source else 0
            source["bias"] = f"{source['name']}.bias"
            builder.tensors[source["bias"]] = (bias + shift).astype("<f4")
            weight = builder.tensors[source["weight"]] * scale[:, None]
            builder.tensors[source["weight"]] = weight.astype("<f4")
            renamed[node["name"]] = source["name"]
        elif node["op"] == "batch_norm" and source and source["op"] == "layer_norm" and count[source["name"]] == 1:
            scale, shift = (builder.tensors[node[part]].astype(numpy.float64) for part in ("scale", "shift"))
            own = [
                builder.tensors[source[part]] if part in source else default
                for part, default in (("scale", 1.0), ("shift", 0.0))
            ]
            for part, values in (("scale", own[0] * scale), ("shift", own[1] * scale + shift)):
                source[part] = f"{source['name']}.{part}"
                builder.tensors[source[part]] = values.astype("<f4")
            renamed[node["name"]] = source["name"]
        else:
            node["inputs"] = [renamed.get(name, name) for name in node["inputs"]]
            kept.append(node)
    return kept, {kind: renamed.get(name, name) for kind, name in features.items()}


def _normalisation(builder, nodes):
    """The nodes that read the image, when each takes it times the same factors plus the same summands; else none."""
    readers = [node for node in nodes if "image" in node["inputs"]]
    for node in readers:
        if node["op"] != "batch_norm":
            return []
        for part in ("scale", "shift"):
            if (builder.tensors[node[part]] != builder.tensors[readers[0][part]]).any():
                return []
    return readers if builder.tensors[readers[0]["scale"]].all() else []


def _preprocessing(model, options, nodes, normalised, builder):
    """The nodes, with what they do to the image first put into mean and std; and these."""
    if options.preprocessing not in (None, *PREPROCESSING):
        raise ValueError(
            f"{model.path}: no preprocessing {options.preprocessing!r:.60}: there are {', '.join(PREPROCESSING)}"
        )
    channels, mean, std = PREPROCESSING[options.preprocessing or "none"]
    channels = options.channels or channels
    mean = numpy.array(mean if options.mean is None else options.mean, numpy.float64)
    std = numpy.array(std if options.std is None else options.std, numpy.float64)
    if channels not in ("RGB", "BGR") or mean.shape != (3,) or std.shape != (3,) or not std.all():
        raise ValueError(f"{model.path}: channels are RGB or BGR, mean and std three numbers each, and no std is 0")
    if normalised:
        scale, shift = (builder.tensors[normalised[0][part]].astype(numpy.float64) for part in ("scale", "shift"))
        std = std / scale
        mean = mean - shift * std
    if options.preprocessing is None and options.mean is None and options.std is None:
        if not normalised or numpy.abs(std).min() < STD_MIN:
            raise ValueError(
                f"{model.path}: the graph does not bring the image to numbers around 0, so say what the network "
                f"wants: --preprocessing {', '.join(PREPROCESSING)}, or --mean and --std"
            )
    if not (numpy.isfinite(mean).all() and numpy.isfinite(std).all()):
        raise ValueError(f"{model.path}: mean and std of the image are not finite")
    names = {node["name"] for node in normalised}
    kept = [node for node in nodes if node["name"] not in names]
    for node in kept:
        node["inputs"] = ["image" if name in names else name for name in node["inputs"]]
    return kept, {"channels": channels, "mean": mean.tolist(), "std": std.tolist()}
