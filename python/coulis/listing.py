"""The library's own sources: what paths stand for."""

from __future__ import annotations

import collections
import ctypes
import datetime
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import _library
from .error import error_of
from .options import SourceOptions, complete, takes
from .source import EPOCH, UNKNOWN, Item, text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .source import Path


def choice(
    label: str,
    include: str | Sequence[str],
    exclude: str | Sequence[str],
    all_files: bool,
    null: bool,
    no_sign_request: bool,
    requester_pays: bool,
) -> Any:
    """``coulis_source_options`` of these."""
    options = _library.new(_library.SourceOptions)
    options.label = text(label)
    for name, patterns in (("include", include), ("exclude", exclude)):
        texts = [_library.path_bytes(p) for p in ([patterns] if isinstance(patterns, str) else patterns)]
        if not all(texts):
            raise ValueError(f"a pattern of {name} is empty")
        setattr(options, name, (ctypes.c_char_p * max(1, len(texts)))(*texts))
        setattr(options, f"{name}_count", len(texts))
    options.all_files, options.zero_terminated = int(bool(all_files)), int(bool(null))
    options.no_sign_request, options.requester_pays = int(bool(no_sign_request)), int(bool(requester_pays))
    return options


def path_array(paths: Path | Iterable[Path]) -> tuple[Any, int]:
    """Array and count of C strings."""
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    encoded = [_library.path_bytes(path) for path in paths]
    return (ctypes.c_char_p * len(encoded))(*encoded), len(encoded)


class _Data:
    """The whole file of an item, read when it is called."""

    def __init__(self, listing: Listing, item: Any) -> None:
        self.listing, self.name, self.key = listing, item.name, item.key
        self.in_turn = bool(item.now)

    def __call__(self, max_bytes: int = 1 << 30) -> bytes:
        return self.listing._read(self, max_bytes)


class Listing:
    """What paths stand for, as the command reads them: an iterator of :class:`Item`.

    Made by :func:`open_source`. An item's `data` is a callable, which may be called by any thread; one of an archive or
    a table must be called before the next item is asked for.
    """

    def __init__(self, paths: Path | Iterable[Path], options: Any, output: Path | None = None) -> None:
        self._source = ctypes.POINTER(_library.Source)()
        array, count = path_array(paths)
        where = None if output is None else _library.path_bytes(output)
        arguments = (array, count, ctypes.byref(options), where)
        _library.call("coulis_source_open", *arguments, ctypes.byref(self._source))
        table = self._source.contents
        self.columns = tuple(table.columns[i].decode("utf-8") for i in range(table.column_count))
        self.count = None if table.count < 0 else table.count
        self.identity = table.identity.decode()

    def __iter__(self) -> Listing:
        return self

    def __next__(self) -> Item:
        table = self._table()
        item = _library.Item(size=ctypes.sizeof(_library.Item), bytes=-1, modified=UNKNOWN)
        _ask(table.next, table.context, ctypes.byref(item))
        if item.name is None:
            raise StopIteration
        values = item.values if item.values else [None] * len(self.columns)
        texts = [
            value.decode("utf-8", "replace") if value is not None else None
            for value in (values[i] for i in range(len(self.columns)))
        ]
        made = Item(
            os.fsdecode(item.name),
            label=item.label.decode("utf-8", "replace") if item.label else "",
            columns=dict(zip(self.columns, texts)),
            bytes=None if item.bytes < 0 else item.bytes,
        )
        if item.modified != UNKNOWN:
            made.modified = EPOCH + datetime.timedelta(microseconds=item.modified)
        self._last = made.data = _Data(self, item)
        return made

    def _read(self, which: _Data, max_bytes: int) -> bytes:
        table = self._table()
        if which.in_turn and which is not self._last:
            raise ValueError(f"{os.fsdecode(which.name)}: to be read before the next item is asked for")
        name, now = which.name, int(which.in_turn)
        item = _library.Item(size=ctypes.sizeof(_library.Item), name=name, key=which.key, now=now)
        data, size = ctypes.c_void_p(), ctypes.c_size_t()
        _ask(table.read, table.context, ctypes.byref(item), max_bytes, ctypes.byref(data), ctypes.byref(size))
        try:
            return ctypes.string_at(data, size.value)
        finally:
            table.release(table.context, data)

    def left_out(self) -> dict[str, int]:
        """How many files and folders were left out so far: ``system``, ``hidden``, ``excluded``, ``unreadable``."""
        info = _library.new(_library.SourceInfo)
        _library.library().coulis_source_describe(self._source, ctypes.byref(info))
        return {name: getattr(info, name) for name, _ in info._fields_ if name != "size"}

    def write(self, output: Path) -> int:
        """The items that are left as a table; gives their number."""
        items = ctypes.c_int64()
        _library.call("coulis_source_write", self._source, _library.path_bytes(output), ctypes.byref(items))
        return items.value

    def _table(self) -> Any:
        if not self._source:
            raise ValueError("this source is closed")
        return self._source.contents

    def close(self) -> None:
        """Closes its files; done too when the object goes away."""
        source, self._source = self._source, ctypes.POINTER(_library.Source)()
        if source:
            _library.library().coulis_source_close(source)

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_source"):
            self.close()


def _ask(function: Any, *arguments: Any) -> None:
    """Calls a function of a source, which takes an error last."""
    error = _library.ErrorStruct()
    code = function(*arguments, ctypes.addressof(error))
    if code != _library.STATUS_OK:
        raise error_of(error.message.decode("utf-8", "replace"), _library.status_name(code), code)


@takes(SourceOptions)
def open_source(paths: Path | Iterable[Path], **options: Unpack[SourceOptions]) -> Listing:
    """What `paths` stand for: an iterator of :class:`coulis.Item`, to be closed or used by ``with``.

    Parameters
    ----------
    paths : str, os.PathLike, or a list of these
        What :func:`coulis.run` takes: images, folders, lists, archives, tables.
    **options
        See :class:`coulis.SourceOptions`.
    """
    return Listing(paths, choice(**complete(open_source, options)))


@takes(SourceOptions)
def list_images(paths: Path | Iterable[Path], output: Path, **options: Unpack[SourceOptions]) -> int:
    """Writes what would be read to a .parquet or .csv file `output`: path, label, bytes, modified and further columns.

    It can be given to :func:`coulis.run` as a path. The other parameters are those of :func:`coulis.open_source`.
    Returns the number of rows.
    """
    with Listing(paths, choice(**complete(list_images, options))) as listing:
        return listing.write(output)


def plan(paths: Path | Iterable[Path], options: Any, output: Path) -> dict[str, Any]:
    """What a job would read, as ``--dry-run --json`` says it."""
    kinds: collections.Counter[str] = collections.Counter()
    labels: collections.Counter[str | None] = collections.Counter()
    items = size = 0
    with Listing(paths, options, output) as listing:
        for item in listing:
            last = item.name.rsplit("/", 1)[-1]
            dot = last.rfind(".")
            kinds[last[dot + 1 :].lower() if 0 < dot < len(last) - 1 else "no ending"] += 1
            labels[item.label] += 1
            items += 1
            size += item.bytes or 0
        left_out = listing.left_out()
    return {
        "images": items,
        "bytes": size,
        "kinds": dict(kinds),
        "labels": dict(labels),
        "left_out": {name: left_out[name] for name in ("system", "hidden", "excluded")},
        "folders_unreadable": left_out["unreadable"],
    }
