"""Names that earlier releases of Keras gave to the layers and weights of ResNet50, as today's.

Until 2.2.5 a layer was `res2a_branch2b` or `bn2a_branch2b` and the classifier `fc1000`; the first releases wrote
`conv1_W_1` and `running_std` for what is `kernel` and `moving_variance`.
"""

import re

_PARTS = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}
_STEM = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
_LAYER = re.compile(r"(res|bn)([2-5])([a-f])_branch(1|2[abc])")
_PLACES = {"1": 0, "2a": 1, "2b": 2, "2c": 3}


def _layer(name):
    found = _LAYER.fullmatch(name)
    if found:
        kind, stage, block, branch = found.groups()
        return f"conv{stage}_block{'abcdef'.index(block) + 1}_{_PLACES[branch]}_{'conv' if kind == 'res' else 'bn'}"
    return _STEM.get(name, name)


def _part(layer, name):
    if name.startswith(layer + "_"):
        name = re.sub(r"_\d+$", "", name[len(layer) + 1 :])
    return _PARTS.get(name, name)


def modern(state):
    """Tensors under "layer/weight" with today's names; as they are where they have none of the old ones."""
    if not any(name.startswith(("bn_conv1/", "res2a_branch2a/")) for name in state):
        return state
    found = {}
    for name, values in state.items():
        layer, _, part = name.rpartition("/")
        found[f"{_layer(layer)}/{_part(layer, part)}"] = values
    return found if len(found) == len(state) else state
