"""Reads the recipes in models/: where weights come from, their hash, licence, preprocessing, feature layers.

A recipe is a JSON object; docs/models.md says what its keys mean. ``about`` of any object is for people.
"""

import json
from pathlib import Path

_GRAPH = ".graph.json"  # in the same folder when installed, and not a recipe

# Of each object, "" for the outermost: the keys it must have, and those it may have.
_KEYS = {
    "": ("name from family variant source input features", "resize config texts"),
    "source": ("title licence", "url package version file file_sha256 member sha256 md5"),
    "input": ("width height channels mean std", ""),
    "resize": ("size filter", "center default"),
    "config": ("architecture", "model_type activation"),
    "features": ("", "pooled map cls tokens tokens-mean projected logits default"),
    "texts": ("tokenizer", ""),
}
_NUMBERS = ("width", "height", "mean", "std", "size")  # or lists of them; the others are text


def folder():
    """Where the recipes lie: beside the package's library when installed, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parents[1] / "models"


def names():
    """The networks that have a recipe, sorted."""
    return sorted(path.stem for path in folder().glob("*.json") if not path.name.endswith(_GRAPH))


def read(name):
    """The recipe of a network, as nested dicts.

    Raises
    ------
    ValueError
        When there is none, or it is not a recipe; the sentence names the file and the place in it.
    """
    if name not in names():
        raise ValueError(f"there is no recipe for {name!r} in {folder()}: there are {', '.join(names())}")
    path = folder() / f"{name}.json"
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text, name):
    """Recipe text as nested dicts, without what is for people; `name` names it in messages."""

    def once(pairs):
        keys = [key for key, _ in pairs]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise ValueError(f"{name}: the key {twice[0]} is there twice")
        return {key: value for key, value in pairs if key != "about"}

    try:
        recipe = json.loads(text, object_pairs_hook=once, parse_constant=str)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    _check(recipe, "", name)
    return recipe


def _check(value, table, name):
    """Raise ValueError where an object of a recipe has not what _KEYS wants."""
    place = f" in {table}" if table else ""
    if not isinstance(value, dict):
        raise ValueError(f"{name}: {table or 'a recipe'} is not an object")
    needed, more = (keys.split() for keys in _KEYS[table])
    for key in needed:
        if key not in value:
            raise ValueError(f"{name}: the key {key} is missing{place}")
    for key, item in value.items():
        if key not in needed + more:
            raise ValueError(f"{name}: the key {key}{place} is not known")
        if not table and key in _KEYS:
            _check(item, key, name)
        elif not (_is_number(item) if key in _NUMBERS else isinstance(item, str)):
            raise ValueError(f"{name}: {key}{place} is not {'a number' if key in _NUMBERS else 'text'}")


def _is_number(item):
    items = item if isinstance(item, list) else [item]
    return bool(items) and all(type(one) in (int, float) for one in items)
