"""The layouts of weight files that are known: which graph belongs to one, and where each tensor lies in it.

Each recipe in models/ names a layout by its `family` and `variant`. The same network has other names for its tensors
in the files of torchvision, timm, transformers and others: the `STYLES` of its family. A file is recognised by the
names and shapes of its tensors. What surrounds the network may differ: a prefix before every name (`module.`,
`backbone.`, `visual.`), tensors outside that prefix, another classifier or none.
"""

from collections import namedtuple
from math import prod

from . import convnext, inverted, mobilenet_v3, recipe, resnet, resnet50, squeezenet, vit
from .graph import describe, shapes
from .made import Made

FAMILIES = {
    "convnext": convnext,
    "inverted": inverted,
    "mobilenet-v3-torchvision": mobilenet_v3,
    "resnet-keras": resnet50,
    "resnet-torchvision": resnet,
    "squeezenet": squeezenet,
    "vit": vit,
}
FLOATS = ("<f4", "<f2", "<f8")
PREFIXES_DEEP = 4  # dots in a prefix, such as "model.module.backbone.visual."

Place = namedtuple("Place", "chosen style prefix")
Place.__doc__ = """Where a network was found: the recipe, how its tensors are named, and what is before each name."""


def build(chosen, classes=1000, style=None):
    """Nodes of a recipe's network, and the file's name of every tensor; 0 classes for none."""
    family = FAMILIES[chosen["family"]]
    more = {"style": style or styles(chosen)[0]} if hasattr(family, "STYLES") else {}
    if getattr(family, "SIZED", False):
        more["size"] = (chosen["input"]["height"], chosen["input"]["width"])
    return family.build(chosen["variant"], classes, **more)


def styles(chosen):
    """How the tensors of a recipe's network may be named."""
    family = FAMILIES[chosen["family"]]
    return family.styles_of(chosen["variant"]) if hasattr(family, "styles_of") else getattr(family, "STYLES", ("",))


def _classifier(chosen, style):
    family = FAMILIES[chosen["family"]]
    return (
        family.classifier(chosen["variant"], style)
        if hasattr(family, "STYLES")
        else family.classifier(chosen["variant"])
    )


def _sources(name):
    return name.sources if isinstance(name, Made) else (name,)


def fit(chosen, state, style=None, prefix="", notes=None):
    """Description and tensors of a model file.

    Parameters
    ----------
    chosen : dict
        A recipe.
    state : dict of str to numpy.ndarray
        The tensors of the weights file, under its own names.
    style : str, optional
        Of the family's STYLES; the first when left out.
    prefix : str
        Before every name of the network's tensors.
    notes : list of str, optional
        Takes sentences on what was left out.

    Raises
    ------
    ValueError
        When a tensor is missing, left over, or of another shape or type than the graph says.
    """
    family, keras = FAMILIES[chosen["family"]], chosen["from"] == "keras"
    style = style or styles(chosen)[0]
    notes = [] if notes is None else notes
    inside = {name[len(prefix) :]: values for name, values in state.items() if name.startswith(prefix)}
    if hasattr(family, "arrange"):
        inside = family.arrange(inside, notes)
    inside = {name: values for name, values in inside.items() if values.ndim and values.dtype.kind == "f"}
    classifier, bare = _classifier(chosen, style), build(chosen, 0, style)[1].values()
    if prefix:  # transformers has the network under a prefix and the classifier beside it
        root = classifier.split(".")[0] + "."
        inside.update(
            {
                name: values
                for name, values in state.items()
                if name.startswith(root) and name not in inside and values.ndim
            }
        )
    inside, classes = _head(classifier, {source for name in bare for source in _sources(name)}, inside, keras, notes)
    nodes, names = build(chosen, classes, style)
    description = describe(chosen, nodes)
    kept = {node["name"] for node in nodes}
    features = {kind: node for kind, node in description["features"].items() if kind == "default" or node in kept}
    if features.get("default", "pooled") not in features:
        features["default"] = next(iter(features))
    description["features"] = features
    tensors = {}
    for name, shape in shapes(description)[1].items():
        tensors[name] = tensor(names[name], shape, inside, prefix, keras)
    used = {source for name in names.values() for source in _sources(name)}
    beside = getattr(family, "BESIDE", ())
    unused = [name for name in inside if name not in used and not name.startswith(tuple(beside))]
    if unused:
        raise ValueError(f"the tensor {prefix}{unused[0]} belongs to no layer of {chosen['name']}")
    outside = [name for name in state if not name.startswith((prefix, *beside)) and name not in used]
    if outside:
        notes.append(f"left out: {len(outside)} tensors that do not begin with {prefix!r}, such as {outside[0]}")
    return description, tensors


def _head(classifier, others, state, keras, notes):
    """The tensors with the classifier under the name it has in a graph, and its number of classes; 0 for none.

    Whoever trains a network of their own replaces the classifier: by one behind a dropout, which only has another
    name, or by more layers, which are left out. `others`: the tensors of the rest of the network.
    """
    weight, bias = ("/kernel", "/bias") if keras else (".weight", ".bias")
    root = classifier.split(".")[0]
    head = {
        name: values
        for name, values in state.items()
        if name.startswith((root + ".", root + "/")) and name not in others
    }
    if classifier + weight in head and (classifier + bias in head or "." in classifier):
        values = head[classifier + weight]
        more = [name for name in head if not name.startswith(classifier) and "." not in classifier]
        if values.ndim in (2, 4) and not more:
            return state, values.shape[1 if keras else 0]
    rest = {name: values for name, values in state.items() if name not in head}
    if not head:
        return state, 0
    matrices = [name for name, values in head.items() if values.ndim == 2]
    if len(matrices) == 1 and matrices[0].endswith(weight) and "." not in classifier:
        own = matrices[0][: -len(weight)]
        if set(head) == {own + weight, own + bias}:
            rest.update({classifier + weight: head[own + weight], classifier + bias: head[own + bias]})
            return rest, head[own + weight].shape[1 if keras else 0]
    notes.append(
        f"left out: the classifier, which is not a single layer with a bias ({', '.join(sorted(head)[:3])} ...)"
    )
    return rest, 0


def tensor(name, shape, state, prefix, keras):
    """One tensor of the model file."""
    found = [state.get(source) for source in _sources(name)]
    for source, values in zip(_sources(name), found):
        if values is None:
            raise ValueError(f"the tensor {prefix}{source} should be float32 {_text(shape)}, but is missing")
        if values.dtype.str not in FLOATS:
            raise ValueError(f"the tensor {prefix}{source} is {values.dtype}, which is none of the types of weights")
    source = _sources(name)[0]
    if isinstance(name, Made):
        try:
            made = name.work(*(values.astype("<f4") for values in found))
        except (ValueError, IndexError, TypeError) as error:
            raise ValueError(f"the tensor {prefix}{source} {found[0].shape} does not fit: {str(error)[:120]}") from None
    else:
        made = _as_ours(found[0], len(shape), keras)
    if made.shape != shape:
        raise ValueError(
            f"the tensor {prefix}{source} should be float32 {_text(shape)}, but is {found[0].dtype} "
            f"{_text(found[0].shape)}"
        )
    return made.astype("<f4")


def _text(shape):
    return f"({', '.join(map(str, shape))})"


def _as_ours(values, rank, keras):
    """A tensor in the order of a model file: (out, in, height, width) and (out, in)."""
    if keras and values.ndim == 4:
        return values.transpose(3, 2, 0, 1)
    if keras and values.ndim == 2:
        return values.T
    if values.ndim == 4 and rank == 2 and values.shape[2:] == (1, 1):
        return values[:, :, 0, 0]  # a 1x1 convolution of a vector
    return values


def _told(chosen, facts):
    """Whether a config.json names this recipe, and nothing in it speaks against it."""
    own = chosen.get("config", {})
    given = [key for key in facts if key in own]
    return bool(given) and all(own[key] == facts[key] for key in given)


def _prefixes(state, kind):
    """What may stand before the names of a network: "" and, in PyTorch's files, beginnings of names up to a dot. Each
    with the rest of the names that begin with it, and the sizes of their tensors."""
    below = {"": {name: values.size for name, values in state.items()}}
    for name, values in state.items() if kind == "torch" else ():
        parts = name.split(".")
        for count in range(1, min(len(parts), PREFIXES_DEEP + 1)):
            prefix = ".".join(parts[:count]) + "."
            below.setdefault(prefix, {})[name[len(prefix) :]] = values.size
    return below


def _overlap(chosen, style, prefixes):
    """(likeness, tensors that are there, tensors of the network, prefix) of the prefix under which most are there."""
    nodes, names = build(chosen, 0, style)
    wanted = shapes({**describe(chosen, nodes)})[1]
    sizes = {name: prod(wanted[tensor]) for tensor, name in names.items() if not isinstance(name, Made)}
    sources = {source for name in names.values() for source in _sources(name)}
    best = (0.0, 0, len(sources), "")
    for prefix, below in prefixes.items():
        there = sum(sizes.get(source, below[source]) == below[source] for source in sources & below.keys())
        if there:
            best = max(
                best,
                (there / (len(sources) + len(below) - there), there, len(sources), prefix),
                key=lambda found: (found[0], -len(found[3])),
            )
    return best


def choose(state, kind, published=lambda chosen: False, layout=None, notes=None, facts=None):
    """Where among the known layouts the tensors of a file are.

    Parameters
    ----------
    state : dict of str to numpy.ndarray
    kind : {"keras", "torch"}
    published : callable
        Tells of a recipe whether the file is the very one that it names; decides between layouts that look the same.
    layout : str, optional
        Take this recipe.
    notes : list of str, optional
        Takes sentences on what was assumed.
    facts : dict, optional
        What a config.json says: decides between layouts that look the same.

    Returns
    -------
    Place

    Raises
    ------
    ValueError
        When none fits, or more than one.
    """
    known = [chosen for chosen in map(recipe.read, recipe.names()) if chosen["from"] == kind]
    if layout is not None:
        known = [chosen for chosen in known if chosen["name"] == layout]
        if not known:
            others = [name for name in recipe.names() if recipe.read(name)["from"] == kind]
            raise ValueError(f"there is no layout {layout!r} for --from {kind}: there are {', '.join(others)}")
    tried, fitting = [], []
    prefixes = _prefixes(state, kind)
    for chosen in known:
        for style in styles(chosen):
            likeness, there, count, prefix = _overlap(chosen, style, prefixes)
            place, reason = Place(chosen, style, prefix), ""
            if likeness or len(known) == 1:
                try:
                    fit(chosen, state, style, prefix)
                    fitting.append(place)
                except ValueError as error:
                    reason = str(error)
            tried.append((likeness, there, count, place, reason))
    exact = [place for place in fitting if published(place.chosen)]
    if exact:
        return exact[0]
    told = [place for place in fitting if facts and _told(place.chosen, facts)]
    alike = {place.chosen["name"]: place for place in reversed(told or fitting)}
    if told:
        notes = None
    # Recipes of one graph that prepare images alike differ in nothing but where their weights come from.
    same = {
        str([place.chosen[key] for key in ("family", "variant", "input")] + [place.chosen.get("resize")]): place
        for place in reversed(list(alike.values()))
    }
    if len(same) == 1 and alike:
        alike = dict([next(iter(alike.items()))])
    if len(alike) == 1:
        (found,) = alike.values()
        if notes is not None and layout is None:
            notes.append(
                f"taken for {found.chosen['name']}; names and shapes of tensors do not tell another stride or "
                "activation (--layout names the network)"
            )
        return found
    if alike:
        names = sorted(alike, key=recipe.names().index)
        raise ValueError(
            "its tensors fit several layouts, which differ in padding, in an activation or in how images "
            f"are prepared; say --layout with one of {', '.join(names)}"
        )
    likeness, there, count, place, reason = max(tried, key=lambda item: item[0])
    if not likeness:
        raise ValueError(
            "its tensors have none of the names of a known layout ('coulis models get' lists them); it "
            f"begins with {', '.join(list(state)[:3])}. Any other network comes in as ONNX"
        )
    raise ValueError(
        f"its tensors fit no known layout. The nearest is {place.chosen['name']}, of which it has {there} "
        f"of {count} tensors: {reason}. Any other network comes in as ONNX"
    )
