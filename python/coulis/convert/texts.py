"""The tower of texts that lies beside the tower of images in the files of CLIP and SigLIP.

Its sizes follow from its tensors, and what they do not tell from the tower of images it belongs to. Causal attention
and the vector of the text's end are CLIP's (Radford et al., 2021); attention to all tokens and the vector of the last
one are SigLIP's (Zhai et al., 2023).
"""

import json
from pathlib import Path

import numpy

from . import graph, layouts, regular, safetensors_file, vit
from .made import Made

TOKENIZER = "tokenizer.json"
TOKENIZER_MAX = 64 << 20  # bytes; that of SigLIP 2 has 34 million
HEAD = 64  # channels of a head, in all of them
LAYERS_MAX = 100

_TRANSFORMERS = {
    "table": "text_model.embeddings.token_embedding.weight",
    "position": "text_model.embeddings.position_embedding.weight",
    **vit.clip_layers("text_model"),
    "norm": "text_model.final_layer_norm",
    "clip": "text_projection.weight",
    "siglip": "text_model.head",
}
_ORIGINAL = {
    "table": "token_embedding.weight",
    "position": "positional_embedding",
    **vit.ORIGINAL_LAYERS,
    "norm": "ln_final",
    "clip": "text_projection",
    "siglip": "text_projection",
}


def find(state):
    """Names of the parts of a tower of texts and the prefix before them; None when the file has none."""
    for parts in (_TRANSFORMERS, _ORIGINAL):
        for name, values in state.items():
            if name.endswith(parts["table"]) and values.ndim == 2:
                return parts, name[: -len(parts["table"])]
    return None


def _shape(state, name, rank):
    values = state.get(name)
    if values is None or values.ndim != rank or 0 in values.shape:
        raise ValueError(f"its tower of texts has no tensor {name} of {rank} dimensions")
    return values.shape


def tower(chosen, state):
    """Description and tensors of the model file of a tower of texts; None when there is none.

    Parameters
    ----------
    chosen : dict
        The recipe that the tower of images is laid out like.
    state : dict of str to numpy.ndarray
        The tensors of the weights file, under its own names.

    Raises
    ------
    ValueError
        When a tensor is missing or of another shape.
    """
    net = vit.VARIANTS[chosen["variant"]] if chosen["family"] == "vit" else None
    found = find(state) if net and net.kind in ("clip", "siglip") else None
    if not found:
        return None
    (parts, prefix), clip = found, net.kind == "clip"
    vocabulary, channels = _shape(state, prefix + parts["table"], 2)
    tokens = _shape(state, prefix + parts["position"], 2)[0]
    if channels % HEAD:
        raise ValueError(f"its tower of texts has {channels} channels, not a multiple of {HEAD}, the size of a head")
    first = parts["n1"] + ".weight"
    depth = next(i for i in range(LAYERS_MAX + 1) if prefix + first.format(i) not in state or i == LAYERS_MAX)
    form = net.activation if clip else "tanh" if parts is _TRANSFORMERS else "erf"
    writer = vit.Writer(
        net._replace(channels=channels, heads=channels // HEAD, depth=depth), parts, 1e-5 if clip else 1e-6, form
    )
    node = writer.graph.embed("tokens", channels)
    writer.names.update({"tokens.weight": parts["table"], "tokens.position": parts["position"]})
    for index in range(depth):
        node = writer.block(index, node, **({"causal": True} if clip else {}))
    node = writer.norm("norm", node, "norm")
    if clip:  # of every token; whoever asks takes that of the text's end
        turned = parts is _ORIGINAL
        units = _shape(state, prefix + parts["clip"], 2)[1 if turned else 0]
        writer.graph.dense("projected", node, units, bias=False)
        writer.names["projected.weight"] = Made((parts["clip"],), numpy.transpose) if turned else parts["clip"]
    else:
        node = writer.graph.add("last", "take", [node], first=tokens - 1, count=1)
        writer.dense("projected", node, "siglip", _shape(state, f"{prefix}{parts['siglip']}.weight", 2)[0])
    facts = {
        "name": chosen["name"],
        "source": chosen["source"],
        "features": {"projected": "projected", "default": "projected"},
        "input": {"tokens": tokens, "vocabulary": vocabulary},
    }
    description = graph.describe(facts, writer.graph.nodes)
    inside = {name[len(prefix) :]: values for name, values in state.items() if name.startswith(prefix)}
    tensors = {
        name: layouts.tensor(writer.names[name], shape, inside, prefix, False)
        for name, shape in graph.shapes(description)[1].items()
    }
    return description, tensors


def tokenizer(path):
    """The tokenizer of a tower of texts: the bytes of a tokenizer.json of Hugging Face.

    Raises
    ------
    ValueError
        When the file is none.
    OSError
    """
    data = regular.read(path, TOKENIZER_MAX)
    try:
        given = json.loads(data.decode())
        good = isinstance(given, dict) and isinstance(given["model"]["vocab"], (dict, list))
    except (KeyError, TypeError, ValueError, RecursionError):
        good = False
    if not good:
        raise ValueError(f"{path} is not a tokenizer.json of Hugging Face")
    return data


def beside(path):
    """The tokenizer in the folder of a file of weights; None when there is none."""
    found = Path(path).parent / TOKENIZER
    return found if found.is_file() else None


def path_of(model):
    """Where the tower of texts of a network of images is."""
    return Path(model).parent / "texts" / Path(model).name


def store(model, description, tensors, data, check):
    """Writes the tower of texts of the network whose file is, or will be, `model`; `data` is its tokenizer.

    Raises
    ------
    ValueError
        When the library refuses it, or it gives no sensible numbers.
    """
    path = path_of(model)
    path.parent.mkdir(exist_ok=True)
    safetensors_file.write(
        path,
        {**tensors, "tokenizer": numpy.frombuffer(data, numpy.uint8)},
        graph.metadata(description),
        _check if check else None,
    )


def _check(path):
    from .. import Error, TextFeaturizer

    try:
        with TextFeaturizer(path) as texts:
            shape = (1, texts.tokens_length)
            values = texts.featurize_tokens(numpy.random.default_rng(1).integers(0, texts.vocabulary, shape))
    except Error as error:
        raise ValueError(f"the converted tower of texts is refused: {error}") from None
    if not numpy.isfinite(values).all():
        raise ValueError("the converted tower of texts gives numbers that are not finite: its weights are damaged")
