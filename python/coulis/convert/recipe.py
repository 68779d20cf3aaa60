"""Reads the recipes in models/: where weights come from, their hash, licence, preprocessing, feature layers.

A recipe is TOML, of which these lines are understood: a comment, ``[table]``, and ``key = value`` with a string,
a number or a list of numbers on one line. Anything else is refused. (The standard library reads TOML only from Python
3.11 on.) docs/models.md says what the keys mean.
"""

import re
from pathlib import Path

_TABLE = re.compile(r"\[([a-z0-9_]+)\]")
_PAIR = re.compile(r"([a-z0-9_-]+) *= *(.+)")
_STRING = re.compile(r'"([^"\\]*)"')
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_REQUIRED = {
    "": ("name", "from", "family", "variant"),
    "source": ("title", "licence"),
    "input": ("width", "height", "channels", "mean", "std"),
    "features": (),
}


def folder():
    """Where the recipes lie: beside the package's library when installed, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parents[1] / "models"


def names():
    """The networks that have a recipe, sorted."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def read(name):
    """The recipe of a network, as nested dicts.

    Raises
    ------
    ValueError
        When there is none, or a line of it is not understood; the sentence names file and line.
    """
    if name not in names():
        raise ValueError(f"there is no recipe for {name!r} in {folder()}: there are {', '.join(names())}")
    path = folder() / f"{name}.toml"
    recipe = parse(path.read_text(encoding="utf-8"), str(path))
    for table, keys in _REQUIRED.items():
        missing = [key for key in keys if key not in (recipe.get(table, {}) if table else recipe)]
        if missing:
            raise ValueError(f"{path} has no {missing[0]}" + (f" in [{table}]" if table else ""))
    return recipe


def parse(text, name):
    """Recipe text as nested dicts; `name` names it in messages."""
    recipe = table = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        header, pair = _TABLE.fullmatch(line), _PAIR.fullmatch(line)
        key = header.group(1) if header else pair.group(1) if pair else None
        if key is None or key in (recipe if header else table):
            raise ValueError(f"{name}, line {number}: {'not understood' if key is None else key + ' is there twice'}")
        if header:
            table = recipe[key] = {}
        else:
            table[key] = _value(pair.group(2), f"{name}, line {number}")
    return recipe


def _value(text, place):
    string = _STRING.fullmatch(text)
    if string:
        return string.group(1)
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if text.startswith("[") and text.endswith("]") and text[1:-1].strip():
        items = [item.strip() for item in text[1:-1].split(",")]
        if all(_NUMBER.fullmatch(item) for item in items):
            return [_value(item, place) for item in items]
    raise ValueError(f"{place}: the value {text} is not understood")
