"""Reads the weights out of Keras' legacy HDF5 files (``.h5``) as data from strangers.

Only plain datasets are read: little-endian float32 whose numbers lie in the file itself, in one piece. Links to
elsewhere, virtual datasets, external storage and filters (which may load plugins) are refused before anything of
them is read, and so is a dataset that claims more bytes than the file has. Of attributes, the
description of the model is read: it says what is done to an image before the network.
"""

import json
import math
from io import BytesIO

GROUPS_DEEP = 8  # a model within a model within a file has 4
OBJECTS_MAX = 20_000  # ResNet152 has 1,300 datasets and groups


def read(data, name="the file"):
    """The tensors of a Keras HDF5 file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Names the file in messages.

    Returns
    -------
    dict of str to numpy.ndarray
        Under ``layer/weight``, such as ``conv1_conv/kernel``, without the ``:0`` that TensorFlow puts at the end.

    Raises
    ------
    ValueError
        One sentence.
    """
    try:
        import h5py
    except ImportError:
        raise ValueError("Keras' .h5 files are read with h5py, which is not installed: pip install h5py") from None
    try:
        with h5py.File(BytesIO(data), "r") as file:
            if "layers" in file and "model_weights" not in file:
                raise ValueError(
                    "it is of Keras 3's .weights.h5 kind, which names no layers; load it in Keras and "
                    "write the model with model.save('model.h5')"
                )
            return _Walk(h5py, len(data)).tensors(file)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as Keras' weights: {error}") from None
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError, OverflowError) as error:
        raise ValueError(f"{name} is not an HDF5 file, or damaged: {str(error)[:200]}") from None


CONFIG_MAX = 16 << 20  # bytes of the description; ResNet152's has 400,000
# What may stand before the first convolution and changes no image: padding is the network's own, what varies images in
# training does nothing after it.
BEFORE = {"InputLayer", "ZeroPadding2D", "Functional", "Model", "Sequential", "Dropout", "GaussianNoise"}


def description(data, name="the file"):
    """The description of the model in an .h5 file, as text; "{}" where there is none."""
    import h5py

    try:
        with h5py.File(BytesIO(data), "r") as file:
            text = file.attrs.get("model_config", "{}") if "model_config" in file.attrs else "{}"
        text = text.decode() if isinstance(text, bytes) else text
        return text if isinstance(text, str) and len(text) <= CONFIG_MAX else "{}"
    except (OSError, RuntimeError, AttributeError, KeyError, TypeError, OverflowError, ValueError):
        raise ValueError(f"{name}: its description of the model is damaged") from None


def rescaling(text, name="the file"):
    """What a layer Rescaling in front of the network does: (scale, offset), or None without one.

    Parameters
    ----------
    text : str
        The description of the model.

    Raises
    ------
    ValueError
        When another layer stands in front of the first convolution, and would be lost; one sentence.
    """
    try:
        layers = list(_layers(json.loads(text), 0))
    except (AttributeError, KeyError, TypeError, OverflowError, ValueError, RecursionError):
        raise ValueError(f"{name}: its description of the model is damaged") from None
    found, other = [], None
    for kind, config in layers:
        if kind in ("Conv2D", "Convolution2D"):
            break
        if kind == "Rescaling":
            found.append(config)
        elif kind not in BEFORE and not kind.startswith("Random"):
            other = other or kind
    if other or len(found) > 1:
        raise ValueError(
            f"{name}: it has a layer {other or 'Rescaling more than once'} in front of the network, which "
            "is not read from a file of this kind; export it as ONNX"
        )
    if not found:
        return None
    numbers = [found[0].get("scale", 1.0), found[0].get("offset", 0.0)]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers) or numbers[0] == 0:
        raise ValueError(
            f"{name}: its layer Rescaling has factors for each channel, which are not read; export it as ONNX"
        )
    return tuple(map(float, numbers))


def _layers(config, depth):
    """(class name, configuration) of every layer, also of models within models."""
    if isinstance(config, dict) and depth < GROUPS_DEEP:
        for layer in (config.get("config") or {}).get("layers") or []:
            yield str(layer.get("class_name")), layer.get("config") or {}
            yield from _layers(layer, depth + 1)


def numbered(data, name="the file"):
    """Of a model.weights.h5 of Keras 3: (path of groups, tensors, the layer's own name or None) of each layer."""
    try:
        import h5py
    except ImportError:
        raise ValueError("Keras' files are read with h5py, which is not installed: pip install h5py") from None
    try:
        with h5py.File(BytesIO(data), "r") as file:
            walk = _Walk(h5py, len(data), True)
            walk.group(file, ())
            places = {}
            for path, values in walk.found.items():
                *groups, last, number = path.split("/")
                if last == "vars" and number.isdigit():
                    places.setdefault(tuple(groups), {})[int(number)] = values
            return [
                (groups, [values[number] for number in sorted(values)], _own_name(file, groups))
                for groups, values in places.items()
            ]
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as Keras' weights: {error}") from None
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError, OverflowError, AttributeError) as error:
        raise ValueError(f"{name}: its weights are damaged: {str(error)[:200]}") from None


def _own_name(file, groups):
    name = file["/".join((*groups, "vars"))].attrs.get("name")
    return name if isinstance(name, str) and 0 < len(name) < 200 and "/" not in name else None


class _Walk:
    """Reads every dataset. `whole`: under its whole path, else under its last two parts."""

    def __init__(self, h5py, size, whole=False):
        self.h5py, self.left, self.objects, self.found, self.whole = h5py, size, 0, {}, whole

    def tensors(self, file):
        # A whole model keeps its weights in a group of this name, beside those of the optimizer.
        start = "model_weights"
        if start in file and isinstance(file.get(start, getlink=True), self.h5py.HardLink):
            self.group(file[start], ())
        else:
            self.group(file, ())
        if not self.found:
            raise ValueError("there are no weights in it")
        return self.found

    def group(self, group, path):
        if len(path) > GROUPS_DEEP:
            raise ValueError("its groups are nested too deeply")
        for key in group:
            place = "/".join((*path, key))[-200:]
            self.objects += 1
            if self.objects > OBJECTS_MAX:
                raise ValueError(f"it has more than {OBJECTS_MAX} groups and datasets")
            if not isinstance(group.get(key, getlink=True), self.h5py.HardLink):
                raise ValueError(f"{place} is a link to somewhere else")
            kind = group.get(key, getclass=True)
            if kind is self.h5py.Group:
                self.group(group[key], (*path, key))
            elif kind is self.h5py.Dataset:
                self.dataset(group[key], place, (*path, key)[0 if self.whole else -2 :])
            else:
                raise ValueError(f"{place} is neither a group nor a dataset")

    def dataset(self, dataset, place, names):
        properties = dataset.id.get_create_plist()
        if properties.get_layout() != self.h5py.h5d.CONTIGUOUS or properties.get_nfilters():
            raise ValueError(f"{place} is not stored in one piece (chunks, filters and virtual datasets are not read)")
        if properties.get_external_count():
            raise ValueError(f"the numbers of {place} are in another file")
        if dataset.dtype != "<f4" or dataset.ndim > 8:
            if dataset.ndim == 0 or dataset.dtype.kind in "iu":
                return  # a counter, such as an optimizer's or a random generator's
            raise ValueError(f"{place} is {dataset.dtype} of {dataset.ndim} dimensions, not float32")
        if dataset.id.get_storage_size() != dataset.nbytes or dataset.nbytes > self.left:
            raise ValueError(f"{place} claims more numbers than the file has")
        self.left -= dataset.nbytes
        name = "/".join(part.split(":")[0] for part in names)
        if name in self.found:
            raise ValueError(f"there are two weights called {name}")
        self.found[name] = dataset[()]
