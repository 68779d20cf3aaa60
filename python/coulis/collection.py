"""From vectors to answers: neighbours, duplicates, clusters, exports and a report of what a job wrote."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy

from . import _library
from .error import InputError
from .index import Index

if TYPE_CHECKING:
    from .source import Path


def search(
    folder: Path,
    queries: Path | int | Sequence[Path | int] = (),
    *,
    text: str | None = None,
    k: int = 10,
    output: Path | None = None,
    no_sign_request: bool = False,
    requester_pays: bool = False,
    threads: int | None = None,
) -> list[dict[str, Any]]:
    """The images of a result that are nearest to some of its images, or to a text.

    Parameters
    ----------
    folder : str or os.PathLike
        What :func:`coulis.run` or :func:`coulis.featurize` wrote.
    queries : str, os.PathLike, int, or a list of these
        Paths as the column ``path`` has them, numbers of rows, other image files, or addresses. Several stand for
        their mean.
    text : str or None
        Words instead, where the vectors come from a network that has texts, too: CLIP's and SigLIP's. Needs pyarrow and
        tokenizers.
    k : int
        How many images, besides the queries.
    output : str, os.PathLike or None
        An ``.html`` to write, with a thumbnail of each image that is found. A UserWarning says how many could not be
        read again.
    no_sign_request, requester_pays : bool
        How images in S3 are read: without keys, or at the expense of the keys' owner.
    threads : int or None
        None for all cores.

    Returns
    -------
    list of dict
        ``row``, ``path``, ``label`` and ``similarity`` (the cosine), the nearest first.

    Raises
    ------
    Error
        ``invalid_argument`` when a query is not a row or has no vector; ``missing`` when the network has no texts.
    """
    if text is not None:
        if not (isinstance(queries, (list, tuple)) and len(queries) == 0):
            raise TypeError("search for images or for a text, not for both")
        return _with_sheet(
            _search_text(folder, text, k, threads),
            f"nearest to \u201c{text}\u201d",
            output,
            threads,
            no_sign_request,
            requester_pays,
        )
    if isinstance(queries, (list, tuple)):
        asked = list(queries)
    else:
        asked = [queries]
    texts = [str(query).encode() if isinstance(query, int) else _library.path_bytes(query) for query in asked]
    array = (ctypes.c_char_p * len(texts))(*texts)
    options = _options(threads, k=k, no_sign_request=int(no_sign_request), requester_pays=int(requester_pays))
    found = _call("coulis_search", options, _library.path_bytes(folder), array, len(texts))
    more = f" and {len(asked) - 1} more" if len(asked) > 1 else ""
    return _with_sheet(
        found, f"nearest to {asked[0]}{more}" if asked else "", output, threads, no_sign_request, requester_pays
    )


def _with_sheet(
    found: list[dict[str, Any]],
    title: str,
    output: Path | None,
    threads: int | None,
    no_sign_request: bool,
    requester_pays: bool,
) -> list[dict[str, Any]]:
    if output is not None:
        options = _options(threads, no_sign_request=int(no_sign_request), requester_pays=int(requester_pays))
        with _Warnings(options):
            _library.call(
                "coulis_contact_sheet",
                json.dumps(found).encode(),
                title.encode("utf-8", "replace"),
                _library.path_bytes(output),
                ctypes.byref(options),
            )
    return found


class _Warnings:
    """What the library says while it is at work, as warnings once it is done: one may be an exception."""

    def __init__(self, options: Any) -> None:
        self.said: list[bytes] = []
        options.warn = _library.WarnFunction(lambda _, sentence: self.said.append(sentence))

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *_: Any) -> None:
        for sentence in self.said if kind is None else ():
            warnings.warn(sentence.decode("utf-8", "replace"), stacklevel=4)


def _search_text(folder: Path, text: str, k: int, threads: int | None) -> list[dict[str, Any]]:
    from .tables import read_table
    from .texts import TextFeaturizer

    table = read_table(folder, "features" if os.path.isdir(os.path.join(folder, "features")) else None)
    recipe = json.loads((table.schema.metadata or {}).get(b"coulis", b"{}"))
    if table.num_rows == 0 or "features" not in table.column_names or "model" not in recipe:
        raise InputError(f"{os.fspath(folder)}: has no vectors that say which network they come from", "bad_data", 14)
    column = table["features"].combine_chunks()
    rows = numpy.flatnonzero(numpy.asarray(column.is_valid()))
    vectors = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
    with TextFeaturizer(recipe["model"], threads) as texts:
        if texts.length != vectors.shape[1]:
            raise InputError(
                f"{os.fspath(folder)}: its vectors have {vectors.shape[1]} dimensions, those of the texts "
                f"of {recipe['model']} {texts.length}",
                "conflict",
                16,
            )
        wanted = texts.featurize(text)
    similarity, found = Index(vectors, threads=threads).search(wanted, min(k, len(vectors)))
    path, label = table["path"].to_pylist(), table["label"].to_pylist()
    return [
        {"row": int(row), "path": path[row], "label": label[row], "similarity": float(near)}
        for near, row in zip(similarity[0], rows[found[0]])
    ]


def dedup(
    folder: Path,
    output: Path | None = None,
    *,
    against: Path | None = None,
    threshold: float = 0.98,
    threads: int | None = None,
) -> dict[str, Any]:
    """Groups of images that are the same, or nearly. Deletes nothing.

    Two images belong together when their files have the same SHA-256, or their vectors a cosine of at least
    `threshold`; groups are the connected components.

    Parameters
    ----------
    folder : str or os.PathLike
    output : str, os.PathLike or None
        A ``.parquet`` or ``.csv`` to write; None: the rows are in the result.
    against : str, os.PathLike or None
        Another result: find the images of `folder` that it has, too, instead of those that `folder` has twice.
    threshold : float
        -1 to 1.
    threads : int or None

    Returns
    -------
    dict
        Counts, by label and across labels; without `output`, ``rows`` too: a list of dicts with ``group``, ``path``,
        ``keep``, ``similarity`` (to the best of the group; None without a vector), ``kind`` and ``label``, the best of
        each group first.
    """
    options = _options(threads, threshold=float(threshold))
    other = None if against is None else _library.path_bytes(against)
    if output is not None:
        return _call("coulis_dedup", options, _library.path_bytes(folder), other, _library.path_bytes(output))
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "groups.csv")
        summary = _call("coulis_dedup", options, _library.path_bytes(folder), other, _library.path_bytes(path))
        summary["rows"] = _read_groups(path)
    del summary["output"]
    return summary


def cluster(
    folder: Path, k: int, output: Path | None = None, *, seed: int = 1, threads: int | None = None
) -> dict[str, Any]:
    """k-means of the vectors: writes ``clusters.parquet`` (path, cluster, distance, label) into `output`, or `folder`.

    Clusters are numbered from 0, the largest first. The same vectors, `k` and `seed` give the same clusters. Returns
    the summary as a dict.
    """
    into = None if output is None else _library.path_bytes(output)
    return _call("coulis_cluster", _options(threads, k=k, seed=seed), _library.path_bytes(folder), into)


def export(
    folder: Path,
    output: Path,
    *,
    what: Literal["features", "pca"] = "features",
    normalize: bool = False,
    dtype: Literal["float32", "float16"] = "float32",
    fixed_size: bool = False,
    threads: int | None = None,
) -> dict[str, Any]:
    """Vectors as a ``.npy``, ``.csv`` or ``.parquet``; rows without a vector are skipped.

    Parameters
    ----------
    folder, output : str or os.PathLike
    what : {"features", "pca"}
    normalize : bool
        Vectors of length 1.
    dtype : {"float32", "float16"}
    fixed_size : bool
        In a ``.parquet``: lists that Arrow, and what is built on it, reads as of a fixed size.

    Returns
    -------
    dict
    """
    options = _options(
        threads,
        what=_library.choice("what", what),
        normalize=int(bool(normalize)),
        dtype=_library.choice("dtype", dtype),
        fixed_size=int(bool(fixed_size)),
    )
    return _call("coulis_export", options, _library.path_bytes(folder), _library.path_bytes(output))


def view(
    folder: Path,
    output: Path,
    *,
    map: Literal["pca", "umap", "tsne"] = "pca",
    threshold: float = 0.98,
    max_bytes: int = 40_000_000,
    no_thumbnails: bool = False,
    no_sign_request: bool = False,
    requester_pays: bool = False,
    threads: int | None = None,
) -> dict[str, Any]:
    """A report as one HTML file that opens offline: a map of the images, their neighbours, duplicates, failures, the
    explained variance and the recipe.

    `map` says what places the images: their first two principal components, UMAP (package umap-learn) or t-SNE
    (package scikit-learn). `threshold` is the similarity from which images count as duplicates; thumbnails get smaller
    until the file has at most `max_bytes`. At most 20,000 images are shown. Returns the summary as a dict. ImportError
    when the package is not there.

    For thumbnails the images are read again, from wherever they are (in S3 without keys by `no_sign_request`, at the
    expense of the keys' owner by `requester_pays`), unless `no_thumbnails`. A UserWarning says how many could not be
    read.
    """
    options = _options(
        threads,
        threshold=float(threshold),
        max_bytes=int(max_bytes),
        no_thumbnails=int(no_thumbnails),
        no_sign_request=int(no_sign_request),
        requester_pays=int(requester_pays),
    )
    failures: list[BaseException] = []
    if _library.choice("map", map):
        from . import layout

        layout.need(map)

        def place(_: Any, vectors: Any, rows: int, cols: int, xy: Any) -> int:
            try:
                given = numpy.ctypeslib.as_array(vectors, (rows, cols))
                numpy.ctypeslib.as_array(xy, (rows, 2))[:] = layout.place(map, given, threads)
            except BaseException as error:  # raised again below: it cannot pass through the library
                failures.append(error)
            return len(failures)

        options.map = _library.MapFunction(place)
        options.map_name = layout.NAMES[map].encode()
    try:
        with _Warnings(options):
            return _call("coulis_view", options, _library.path_bytes(folder), _library.path_bytes(output))
    except Exception:
        if failures:
            raise failures[0] from None
        raise


def _options(threads: int | None, **fields: Any) -> Any:
    options = _library.new(_library.CollectionOptions)
    options.threads = _library.threads_number(threads)
    for name, value in fields.items():
        setattr(options, name, value)
    return options


def _call(name: str, options: Any, *arguments: Any) -> Any:
    """Calls a function that gives JSON."""
    text = ctypes.c_char_p()
    _library.call(name, *arguments, ctypes.byref(options), ctypes.byref(text))
    try:
        return json.loads(text.value or b"")
    finally:
        _library.library().coulis_string_free(text)


def _read_groups(path: Path) -> list[dict[str, Any]]:
    import csv

    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["group"] = int(row["group"])
        row["keep"] = row["keep"] == "true"
        row["similarity"] = float(row["similarity"]) if row["similarity"] else None
    return rows
