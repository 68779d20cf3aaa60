"""The networks that are here."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from . import _library


def find_model(name: str | os.PathLike[str]) -> str:
    """Path of a model, by name or path.

    Looked for in ``COULIS_MODELS``, the user's data folder (``$XDG_CACHE_HOME`` or ``~/.cache``, then
    ``coulis/models``) and the folder ``models`` beside the library.

    Raises
    ------
    Error
        ``missing``, with a sentence that says what to do.
    """
    path = ctypes.create_string_buffer(4096)
    _library.call("coulis_model_find", _library.path_bytes(name), path, len(path))
    return os.fsdecode(path.value)


def list_models() -> dict[str, str]:
    """Every model in the folders that :func:`find_model` looks in.

    Returns
    -------
    dict of str to str
        Name to path, by name; a ``.safetensors`` file, or a ``.graph.json`` where only the graph is here.
    """
    found = {}

    def each(_context: Any, name: bytes, path: bytes) -> None:
        found[os.fsdecode(name)] = os.fsdecode(path)

    _library.call("coulis_model_list", _library.ModelFunction(each), None)
    return found
