"""Which nodes of a network that came as ONNX give its features."""

from .onnx_values import CHANNEL, Value

OUTPUTS = ("image_embeds", "pooler_output", "sentence_embedding")  # as transformers and optimum name embeddings


def find(model, builder, options, outputs):
    """The nodes that give each kind of features; `outputs` of the graph are empty when named tensors have to do."""
    found = {}
    for kind in ("map", "pooled", "logits"):
        tensor = getattr(options, kind)
        if tensor:
            found[kind] = _named(model, builder, kind, tensor)
    if "map" in found and "pooled" in found:
        return found
    values = [builder.values[output] for output in outputs]
    # What is written down late is a node, too: the nodes are looked at after that.
    written = [builder.written(value.map) for value in values if isinstance(value, Value)]
    by_name = {node["name"]: node for node in builder.nodes}
    if not outputs:
        return _of_named(model, builder, by_name, found)
    if len(written) == len(values) > 1:
        found.setdefault("pooled", _shared(builder, written))
        if found["pooled"]:
            return _of_named(model, builder, by_name, found)
    if len(values) != 1 or not isinstance(values[0], Value):
        raise ValueError(
            f"{model.path}: it has {len(values)} outputs where one that depends on the image was looked for; name "
            "the tensors of the features (--map and --pooled)"
        )
    end = written[0]
    pooled = found.get("pooled")
    scores = _dense(by_name, builder, _scores(by_name, end))
    if (
        not pooled
        and end in by_name
        and builder.sizes[end][:2] == (1, 1)
        and (not scores or _projects(by_name, builder, scores))
    ):
        pooled = end  # what the graph gives is a vector, and no classifier made it
    pooled = pooled or _last_pooling(builder, end) or _token(by_name, builder, scores)
    if "map" not in found:
        found["map"] = _pooled_map(model, builder, by_name, pooled, end)
    found["pooled"] = pooled = pooled or _mean(builder, found["map"])
    if "logits" not in found:
        if scores and scores != pooled:
            found["logits"] = scores
    if found["map"] == "image":
        raise ValueError(f"{model.path}: it pools the image itself: there is no feature map")
    return found


def _shared(builder, ends):
    """The vector that all outputs are made from: one of themselves, or the last pooling of each; None for none."""
    for end in ends:
        if builder.sizes[end][:2] == (1, 1) and all(end in before(builder.nodes, [other]) for other in ends):
            return end
    pools = {_last_pooling(builder, end) for end in ends}
    return pools.pop() if len(pools) == 1 else None


def _of_named(model, builder, by_name, found):
    """The same from a map or a vector that a person has named, when the graph's end is not known here."""
    if "map" not in found:
        found["map"] = _pooled_map(model, builder, by_name, found["pooled"], found["pooled"])
    if "pooled" not in found:
        found["pooled"] = _mean(builder, found["map"])
    return found


def _pooled_map(model, builder, by_name, pooled, end):
    """What `pooled` is the mean or maximum of; else the last map before `end`."""
    made = by_name.get(pooled)
    return made["inputs"][0] if made and made["op"].startswith("global_") else _last_map(model, builder, end)


def _mean(builder, source):
    size = (1, 1, builder.sizes[source][CHANNEL])
    return builder.emit(f"{source}.mean", "global_average_pool", [source], size).source


def ends(model):
    """The outputs; of several, the one by whose name transformers gives the embedding."""
    known = [name for name in OUTPUTS if name in model.outputs]
    return known[:1] or model.outputs if len(model.outputs) > 1 else model.outputs


def _named(model, builder, kind, tensor):
    """The node that gives a tensor which a person has named."""
    value = builder.values.get(tensor)
    if not isinstance(value, Value):
        raise ValueError(f"{model.path}: the tensor {tensor!r:.100} for {kind} does not depend on the image")
    map = value.map
    if kind != "map" and not map.is_vector:
        if len(value.axes) != 1:
            raise ValueError(f"{model.path}: the tensor {tensor!r:.100} for {kind} is a map of {list(value.dims)}")
        map = builder.flattened(tensor, map)
    found = builder.written(map)
    if found == "image":
        raise ValueError(f"{model.path}: the tensor {tensor!r:.100} for {kind} is the image itself")
    return found


def _last_pooling(builder, end):
    """The last pooling over a whole map behind which `end` is made of vectors only; None when there is none."""
    readers = {}
    for node in builder.nodes:
        for source in node["inputs"]:
            readers.setdefault(source, []).append(node["name"])
    behind = before(builder.nodes, [end])
    for node in reversed(builder.nodes):
        if node["op"].startswith("global_") and node["name"] in behind:
            reached, waiting = set(), [node["name"]]
            while waiting:
                name = waiting.pop()
                if name not in reached:
                    reached.add(name)
                    waiting += readers.get(name, [])
            if all(builder.sizes[name][:2] == (1, 1) for name in reached & behind):
                return node["name"]
    return None


def _last_map(model, builder, end):
    """The last node with a height and a width that `end` depends on."""
    behind = before(builder.nodes, [end])
    for node in reversed(builder.nodes):
        if node["name"] in behind and builder.sizes[node["name"]][:2] != (1, 1):
            return node["name"]
    raise ValueError(f"{model.path}: it has no feature map")


def _scores(by_name, end):
    """What softmax and sigmoid were made of."""
    while end in by_name and by_name[end]["op"] in ("softmax", "sigmoid"):
        end = by_name[end]["inputs"][0]
    return end


def _dense(by_name, builder, end):
    """`end`, when a dense layer makes it, or a 1x1 convolution of a vector, perhaps with a bias of its own."""
    node = by_name.get(end)
    inner = by_name.get(node["inputs"][0]) if node and node["op"] == "batch_norm" else node
    made = inner and inner["op"] in ("dense", "conv") and builder.sizes[inner["inputs"][0]][:2] == (1, 1)
    return end if made else None


def _projects(by_name, builder, scores):
    """Whether a dense layer brings a token's vector to another space, as CLIP's does: a classifier has a bias."""
    node = by_name[scores]
    return node["op"] == "dense" and "bias" not in node and _token(by_name, builder, scores) is not None


def _token(by_name, builder, scores):
    """The vector that a classifier reads, where a token is taken for it; None where it is none."""
    if not scores:
        return None
    name = scores
    while by_name[name]["op"] in ("batch_norm", "dense"):
        name = by_name[name]["inputs"][0]
        if name not in by_name:
            return None
        if by_name[name]["op"] == "dense":
            break
    start, node = name, by_name[name]
    while (
        node
        and builder.sizes[node["name"]][:2] == (1, 1)
        and node["op"] in ("layer_norm", "batch_norm", "dense", "tanh", "take", "attention_pool")
    ):
        if node["op"] in ("take", "attention_pool"):
            return start
        node = by_name.get(node["inputs"][0])
    return None


def before(nodes, ends):
    """The names that `ends` depend on, and themselves."""
    found = set(ends)
    for node in reversed(nodes):
        if node["name"] in found:
            found.update(node["inputs"])
    return found
