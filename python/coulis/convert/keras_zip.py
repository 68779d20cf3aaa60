"""Reads Keras 3's `.keras` files as data from strangers.

The file is a zip archive of `config.json`, the description of the model, and `model.weights.h5`. In this the weights of
a layer lie in a group `vars`, numbered; layers are named after their classes in the order of the model, and since 3.7
the group says the layer's own name, too. `metadata.json` and `assets` are not read.
"""

import json
import re
import zipfile
from io import BytesIO

from . import h5_file

WEIGHTS, CONFIG = "model.weights.h5", "config.json"
MEMBERS_MAX = 1000
CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_layers")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def is_one(data):
    """Whether these are the bytes of such a file, to judge by the names in the archive."""
    if not data.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return {WEIGHTS, CONFIG} <= set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
        return False


def read(data, name="the file"):
    """The tensors, as :func:`coulis.convert.h5_file.read`, and the description of the model as text."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if len(archive.infolist()) > MEMBERS_MAX:
                raise ValueError("it has too many members")
            config = _member(archive, CONFIG, h5_file.CONFIG_MAX).decode("utf-8")
            weights = _member(archive, WEIGHTS, len(data))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, UnicodeError) as error:
        raise ValueError(f"{name} is a damaged archive: {str(error)[:200]}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    names = _names(config, name)
    found = {}
    for group, variables, own in h5_file.numbered(weights, name):
        if not set(group) & set(CONTAINERS):
            continue  # the optimizer's
        path = tuple(part for part in group if part not in CONTAINERS)
        layer = own or names.get(path) or "/".join(path)
        parts = NORM if len(variables) == 4 and all(values.ndim == 1 for values in variables) else ("kernel", "bias")
        if len(variables) > len(parts) or variables and variables[0].ndim == 1 and parts is not NORM:
            parts = [f"vars{place}" for place in range(len(variables))]
        for part, values in zip(parts, variables):
            if f"{layer}/{part}" in found:
                raise ValueError(f"{name}: there are two weights called {layer}/{part}")
            found[f"{layer}/{part}"] = values
    if not found:
        raise ValueError(f"{name}: there are no weights in it")
    return found, config


def _member(archive, name, limit):
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise ValueError(f"its {name} claims {info.file_size} bytes, more than the file has")
    with archive.open(info) as file:
        return file.read(info.file_size)


def _snake(name):
    """A class as Keras writes it in names of groups: BatchNormalization is batch_normalization."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _names(config, name):
    """The layer's own name by its path of groups: of files that do not say it there."""
    try:
        return dict(_paths(json.loads(config), (), 0))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"{name}: its description of the model is damaged") from None


def _paths(config, path, depth):
    count = {}
    for layer in (config.get("config") or {}).get("layers") or [] if depth < h5_file.GROUPS_DEEP else []:
        kind = _snake(layer["class_name"])
        number = count.get(kind, 0)
        count[kind] = number + 1
        own = (*path, f"{kind}_{number}" if number else kind)
        yield own, str((layer.get("config") or {}).get("name"))
        yield from _paths(layer, own, depth + 1)
