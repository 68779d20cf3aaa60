"""The layouts of weight files that are known: which graph belongs to one, and where each tensor lies in it.

Each recipe in models/ names a layout by its `family` and `variant`. A file is recognised by the names and shapes of
its tensors; only the classifier may have another number of classes than the published one, or be missing.
"""

from . import efficientnet_lite, mobilenet_v3, recipe, resnet, resnet50
from .graph import describe, shapes

FAMILIES = {
    "efficientnet-lite": efficientnet_lite,
    "mobilenet-v3-torchvision": mobilenet_v3,
    "resnet-keras": resnet50,
    "resnet-torchvision": resnet,
}
IGNORED = ".num_batches_tracked"  # PyTorch's count of training steps


def build(chosen, classes=1000):
    """Nodes of a recipe's network, and the file's name of every tensor; 0 classes for none."""
    return FAMILIES[chosen["family"]].build(chosen["variant"], classes)


def fit(chosen, state):
    """Description and tensors of a model file.

    Parameters
    ----------
    chosen : dict
        A recipe.
    state : dict of str to numpy.ndarray
        The tensors of the weights file, under its own names.

    Raises
    ------
    ValueError
        When a tensor is missing, left over, or of another shape or type than the graph says.
    """
    family, keras = FAMILIES[chosen["family"]], chosen["from"] == "keras"
    if hasattr(family, "arrange"):
        state = family.arrange(state)
    top = state.get(family.classifier(chosen["variant"]) + ("/kernel" if keras else ".weight"))
    classes = 0 if top is None or top.ndim != 2 else top.shape[1 if keras else 0]
    nodes, names = build(chosen, classes)
    description = describe(chosen, nodes)
    if not classes:
        del description["features"]["logits"]
    tensors = {}
    for name, shape in shapes(description)[1].items():
        found = state.get(names[name])
        if found is not None:
            found = _as_ours(found, len(shape), keras)
        if found is None or found.shape != shape or found.dtype != "<f4":
            have = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise ValueError(f"the tensor {names[name]} should be float32 {shape}, but is {have}")
        tensors[name] = found
    unused = {name for name in state if not name.endswith(IGNORED)} - set(names.values())
    if unused:
        raise ValueError(f"the tensor {min(unused)} belongs to no layer of {chosen['name']}")
    return description, tensors


def _as_ours(values, rank, keras):
    """A tensor in the order of a model file: (out, in, height, width) and (out, in)."""
    if keras and values.ndim == 4:
        return values.transpose(3, 2, 0, 1)
    if keras and values.ndim == 2:
        return values.T
    if values.ndim == 4 and rank == 2 and values.shape[2:] == (1, 1):
        return values[:, :, 0, 0]  # a 1x1 convolution of a vector
    return values


def choose(state, kind, published=lambda chosen: False, layout=None):
    """The recipe whose layout the tensors have.

    Parameters
    ----------
    state : dict of str to numpy.ndarray
    kind : {"keras", "torch"}
    published : callable
        Tells of a recipe whether the file is the very one that it names; decides between layouts that look the same.
    layout : str, optional
        Take this recipe.

    Raises
    ------
    ValueError
        When none fits, or more than one.
    """
    known = [chosen for chosen in map(recipe.read, recipe.names()) if chosen["from"] == kind]
    if layout is not None:
        for chosen in known:
            if chosen["name"] == layout:
                return chosen
        raise ValueError(f"there is no layout {layout!r} for --from {kind}: "
                         f"there are {', '.join(chosen['name'] for chosen in known)}")
    reasons, fitting = {}, []
    for chosen in known:
        try:
            fit(chosen, state)
            fitting.append(chosen)
        except ValueError as error:
            reasons[chosen["name"]] = str(error)
    exact = [chosen for chosen in fitting if published(chosen)]
    if exact or len(fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        raise ValueError("its tensors fit several layouts, which differ in padding or in how pictures are prepared; "
                         f"say --layout with one of {', '.join(chosen['name'] for chosen in fitting)}")
    nearest = max(known, key=lambda chosen: len(set(build(chosen)[1].values()) & set(state)))
    raise ValueError(f"its tensors fit none of the layouts {', '.join(chosen['name'] for chosen in known)}; for the "
                     f"nearest, {nearest['name']}, {reasons[nearest['name']]}. Any other network comes in as ONNX")
