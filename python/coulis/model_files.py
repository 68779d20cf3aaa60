"""The networks that are here."""

import ctypes
import os

from . import _library


def find_model(name):
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


def list_models():
    """Every model in the folders that :func:`find_model` looks in.

    Returns
    -------
    dict of str to str
        Name to path, by name; a ``.safetensors`` file, or a ``.graph.json`` where only the graph is here.
    """
    found = {}

    def each(_context, name, path):
        found[os.fsdecode(name)] = os.fsdecode(path)

    _library.call("coulis_model_list", _library.ModelFunction(each), None)
    return found
