"""Results that are there: shards put together, and a result checked against what it says of itself."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _library, jobs, listing

if TYPE_CHECKING:
    from ._progress import Watching
    from .source import Path


def merge(
    directories: Iterable[Path],
    output: Path,
    *,
    threads: int | None = None,
    overwrite: bool = False,
    work: Path | None = None,
    progress: Watching = None,
) -> dict[str, Any]:
    """The shards of one job, all of them, put together; writes the files that one machine would have written.

    Parameters
    ----------
    directories : list of str or os.PathLike
        What :func:`run` or :func:`featurize` wrote with ``shard=(I, N)``, in any order.
    output : str or os.PathLike
        Folder of the result.
    threads, overwrite, work, progress
        As in :func:`run`.

    Returns
    -------
    dict
        The content of ``run.json``.

    Raises
    ------
    Error
        ``missing`` when a shard is, ``conflict`` when one is of another job, and what :func:`run` raises.
    """
    native = jobs._options(0.99, threads, overwrite, work)
    folders = listing.path_array([os.fspath(path) for path in directories])
    return jobs._job("coulis_job_merge", [*folders, _library.path_bytes(output)], native, progress)


def verify(directory: Path) -> dict[str, Any]:
    """Holds a finished result against its own ``run.json``: every digest, row and recipe.

    Parameters
    ----------
    directory : str or os.PathLike
        The output of :func:`run`, :func:`featurize` or :func:`transform`.

    Returns
    -------
    dict
        ``files``, ``rows`` and ``bytes`` that were checked.

    Raises
    ------
    Error
        With a sentence that names the first difference: ``bad_data``, ``conflict`` for a PCA of another recipe,
        ``missing`` when there is no ``run.json``.
    """
    text = ctypes.c_char_p()
    try:
        _library.call("coulis_job_verify", _library.path_bytes(directory), ctypes.byref(text))
        checked: dict[str, Any] = json.loads((text.value or b"").decode("utf-8"))
        return checked
    finally:
        if text:
            _library.library().coulis_string_free(text)
