"""The folder of a user's networks."""

import contextlib
import fcntl
import os
import re
import sys
from pathlib import Path

from . import safetensors_file
from .graph import metadata

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def folder():
    """Where new networks go: the folder COULIS_MODELS names, else coulis/models in the user's cache."""
    own, cache = os.environ.get("COULIS_MODELS"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    return (Path(cache) if cache else Path.home() / ".cache") / "coulis" / "models"


def check_name(name):
    """Raise ValueError for what cannot name a network."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r:.120} is not a name for a network: letters, digits, '.', '-' and '_', at most 100 of "
            "them, beginning with a letter or digit"
        )


def path_of(name, where):
    """The file of a network in a folder."""
    return where / f"{name}.safetensors"


def refuse_existing(name, where, elsewhere=False):
    """Raise ValueError when a network of this name is in the folder `where`, or in any that the library knows."""
    path = path_of(name, where)
    if path.exists():
        raise ValueError(f"there is a network {name!r} already, {path}: --overwrite replaces it")
    if elsewhere:
        from .. import list_models

        found = list_models().get(name, "")
        if found.endswith(path.suffix):
            raise ValueError(
                f"there is a network {name!r} already, {found}: with --overwrite, the new one is taken in its place"
            )


@contextlib.contextmanager
def locked(name, where):
    """Only one process at a time works on a name; gives whether this one had to wait."""
    where.mkdir(parents=True, exist_ok=True)
    path, waited = where / f".{name}.lock", False
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"coulis: another process is at work on {name!r}; waiting for it", file=sys.stderr, flush=True)
            waited = True
            fcntl.flock(file, fcntl.LOCK_EX)
        # The one before may have taken the file away, so that a third could lock a new one.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                break
        os.close(file)
    try:
        for left in where.glob(f".{name}.safetensors.*"):  # by a process that was killed
            if left.suffix[1:].isdigit():
                left.unlink()
        yield waited
    finally:
        path.unlink()
        os.close(file)


def store(name, description, tensors, where, check=True):
    """Write a network's file, which appears whole or not at all, and open it once with the library.

    Raises
    ------
    ValueError
        When the library refuses it, or it gives no sensible numbers.
    """
    path = path_of(name, where)
    safetensors_file.write(path, tensors, metadata({**description, "name": name}), _check if check else None)
    return path


def _check(path):
    import numpy

    from .. import Error, Featurizer

    try:
        with Featurizer(path) as network:
            size = (1, network.model_info["input_height"], network.model_info["input_width"], 3)
            pixels = numpy.random.default_rng(1).integers(0, 256, size, dtype=numpy.uint8)
            values = network.featurize_pixels(pixels)
    except Error as error:
        raise ValueError(f"the converted network is refused: {error}") from None
    if not numpy.isfinite(values).all():
        raise ValueError(
            "the converted network gives numbers that are not finite: its weights are damaged, or its layout is another"
        )
