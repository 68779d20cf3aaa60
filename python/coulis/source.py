"""Images that a program makes or fetches itself, as a source for jobs."""

from __future__ import annotations

import collections.abc
import ctypes
import datetime
import itertools
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _library
from ._structs import CloseFunction, NextFunction, ReadFunction, ReleaseFunction
from .error import Error, error_of

if TYPE_CHECKING:
    Path = Union[str, os.PathLike[str]]
    #: What a job takes: paths, items, or a source.
    Paths = Union[Path, Iterable[Any], "Source", Any]

UNKNOWN = -(2**63)  # of a time
_INTERNAL = 18
_ENDS = 10  # statuses from here on do not belong to an image
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_FIELDS = ("name", "data", "label", "modified")


@dataclass
class Item:
    """One image of a source.

    Attributes
    ----------
    name : str
        The row's path, unique or not.
    data : bytes-like, file object, callable or None
        The whole file; a callable is asked for it when the image is needed, by any thread, and never when an earlier
        run has done it. None: the row has the status ``missing``.
    label : str or None
    columns : dict
        Further columns of the row, as text; None is null.
    modified : datetime.datetime, float (seconds since 1970) or None
    bytes : int or None
        Of the file, where that is known before it is read.
    """

    name: str
    data: Any = None
    label: Optional[str] = None
    columns: dict[str, Any] = field(default_factory=dict)
    modified: Any = None
    bytes: Optional[int] = None


class Source:
    """Images that a program makes or fetches itself, for :func:`coulis.run` and the like in place of paths.

    Parameters
    ----------
    items : iterable, or an object with ``next()`` and ``read(item, max_bytes)``
        Of :class:`Item`; of tuples ``(name, data)`` or ``(name, data, label)``; or of dicts with ``name``, ``data``,
        ``label``, ``modified`` and, under any other key, further columns. An object's ``next`` returns one of these
        without data, or None after the last one, and its ``read`` the data of one. Where ``data`` or ``read`` raises
        :class:`coulis.Error` with the status of an image (``unreadable``, ``missing``...), FileNotFoundError or
        PermissionError, that is the row's status; any other exception ends the job and is raised again.
    identity : str or None
        Changes when the items or their contents do: a job is resumed only with the same one. None (and no attribute
        ``identity`` of `items`): the job cannot be resumed.
    columns : sequence of str or None
        Names of further columns; None: those of the first item, or the attribute ``columns`` of `items`.
    count : int or None
        How many items there are, where that is known; else the attribute ``count`` of `items`.

    Examples
    --------
    >>> frames = ((f"film/{n:06}", data) for n, data in enumerate(decode("film.mp4")))   # doctest: +SKIP
    >>> coulis.run(frames, "out")                                                          # doctest: +SKIP
    """

    def __init__(
        self,
        items: Iterable[Any] | Any,
        *,
        identity: str | None = None,
        columns: Sequence[str] | None = None,
        count: int | None = None,
    ) -> None:
        self.identity = _attribute(items, "identity", identity)
        self.columns = _attribute(items, "columns", columns)
        self.count = _attribute(items, "count", count)
        self.items = _of_functions(items) if is_object(items) else iter(items)


def is_object(items: Any) -> bool:
    """Whether a source is an object with the functions of one."""
    return callable(getattr(items, "next", None)) and callable(getattr(items, "read", None))


def native(paths: Paths) -> Native | list[Any]:
    """A :class:`Native` of what is a source, or else the list of paths that were given."""
    if isinstance(paths, (str, os.PathLike)):
        return [paths]
    if isinstance(paths, Source) or is_object(paths):
        return Native(paths if isinstance(paths, Source) else Source(paths))
    first = list(itertools.islice(rest := iter(paths), 1))
    if first and isinstance(first[0], (str, bytes, os.PathLike)):
        return [*first, *rest]
    return Native(Source(itertools.chain(first, rest))) if first else []


def _attribute(items: Any, name: str, given: Any) -> Any:
    value = getattr(items, name, None) if given is None and not isinstance(items, (list, tuple)) else given
    return None if callable(value) else value


def _of_functions(items: Any) -> Iterator[Item]:
    for entry in iter(items.next, None):
        item = as_item(entry)
        item.data = _Reading(items, entry)
        yield item


class _Reading:
    """The data of an item that its source reads."""

    def __init__(self, source: Any, entry: Any) -> None:
        self.source, self.entry = source, entry

    def __call__(self, max_bytes: int) -> Any:
        return self.source.read(self.entry, max_bytes)


def as_item(entry: Any) -> Item:
    """An item from any of the forms that it may have."""
    if isinstance(entry, Item):
        return entry
    if isinstance(entry, collections.abc.Mapping):
        if "name" not in entry:
            raise ValueError(f"an item of a source has no 'name'; it has {', '.join(map(repr, entry))}")
        more = {key: value for key, value in entry.items() if key not in _FIELDS}
        return Item(entry["name"], entry.get("data"), entry.get("label"), more, entry.get("modified"))
    if isinstance(entry, tuple) and len(entry) in (1, 2, 3):
        return Item(*entry)
    raise TypeError(f"an item of a source is a coulis.Item, a tuple (name, data[, label]) or a dict, not {entry!r:.80}")


class Native:
    """A source as the library wants it; must live as long as the library uses it.

    What its callbacks raise is in `raised`.
    """

    def __init__(self, source: Source) -> None:
        self.raised: BaseException | None = None
        first = list(itertools.islice(source.items, 1))
        self._items = itertools.chain(first, source.items)
        columns = source.columns if source.columns is not None else (as_item(first[0]).columns if first else ())
        self._columns = tuple(columns)
        self._names = [text(name) for name in self._columns]
        self._waiting: dict[int, Any] = {}  # data of items that were not read yet, by key
        self._keys = itertools.count()
        self._in_turn: int | None = None  # the key of an item to be read before the next one, if at all
        self._lock = threading.Lock()
        self._given: dict[Any, list[Any]] = {}  # what the library holds, by address
        identity = str(source.identity) if source.identity is not None else f"no identity {uuid.uuid4()}"
        self._identity = text(identity)
        self._array = (ctypes.c_char_p * max(1, len(self._names)))(*self._names)
        self.struct = _library.Source(
            size=ctypes.sizeof(_library.Source),
            count=-1 if source.count is None else int(source.count),
            columns=self._array,
            column_count=len(self._names),
            identity=self._identity,
            next=NextFunction(self._next),
            read=ReadFunction(self._read),
            release=ReleaseFunction(self._release),
            close=CloseFunction(),
        )

    def _next(self, _context: Any, item: Any, error: Any) -> int:
        try:
            entry = next(self._items, None)
            if entry is None:
                return 0
            given = as_item(entry)
            unknown = [name for name in given.columns if name not in self._columns]
            if unknown:
                raise ValueError(f"the item {given.name!r} has a column {unknown[0]!r} that the first item had not")
            values = [text(given.columns.get(name)) for name in self._columns]
            # These live until the next item is asked for.
            self._values = (ctypes.c_char_p * max(1, len(values)))(*values)
            self._texts = (_library.path_bytes(given.name), text(given.label))
            to, key = item.contents, next(self._keys)
            to.name, to.label = self._texts
            to.values = self._values
            to.bytes = -1 if given.bytes is None else int(given.bytes)
            to.modified = _microseconds(given.modified)
            to.key = key
            to.now = int(not callable(given.data) or getattr(given.data, "in_turn", False))
            self._waiting[key] = given.data
            # Bytes are not to pile up where items are passed over; a callable may still be asked for.
            if self._in_turn is not None:
                self._waiting.pop(self._in_turn, None)
            self._in_turn = key if to.now else None
            return 0
        except BaseException as problem:  # may not pass through C; raised again by the job
            return self._fail(problem, error, ends=True)

    def _read(self, _context: Any, item: Any, max_bytes: int, to: Any, size: Any, error: Any) -> int:
        try:
            name = item.contents.name.decode("utf-8", "surrogateescape")
            data = self._waiting.pop(item.contents.key)
            try:
                data = _bytes_of(data, name, max_bytes)
            except (FileNotFoundError, PermissionError) as problem:
                status = "missing" if isinstance(problem, FileNotFoundError) else "unreadable"
                raise error_of(f"{name}: {problem}", status, _library.status_number(status)) from problem
            keep: list[Any] = []
            address, length = _library.buffer_address(data, keep)
            with self._lock:
                self._given.setdefault(address, []).append(keep)
            to[0], size[0] = address, length
            return 0
        except BaseException as problem:
            return self._fail(problem, error)

    def _release(self, _context: Any, address: Any) -> None:
        with self._lock:
            held = self._given[address]
            held.pop()
            if not held:
                del self._given[address]

    def _fail(self, problem: BaseException, error: Any, ends: bool = False) -> int:
        code = problem.code if isinstance(problem, Error) else _INTERNAL
        if (ends or code >= _ENDS) and self.raised is None:
            self.raised = problem
        to = ctypes.cast(error, ctypes.POINTER(_library.ErrorStruct)).contents
        to.status = code
        message = str(problem) or type(problem).__name__
        to.message = message.encode("utf-8", "replace")[:500].decode("utf-8", "ignore").encode()
        return code


def _bytes_of(data: Any, name: str, max_bytes: int) -> Any:
    """A whole file as a bytes-like object."""
    if callable(data):
        data = data(max_bytes) if isinstance(data, _Reading) else data()
    if hasattr(data, "read"):
        data = data.read(max_bytes + 1)
    if data is None:
        raise error_of(f"{name}: there is no image", "missing", _library.status_number("missing"))
    if not _library.is_bytes(data):
        raise TypeError(f"{name}: data must be bytes, a file object or a callable, not {type(data).__name__}")
    return data


def text(value: Any) -> bytes | None:
    """Text for the library; None stays None."""
    if value is None:
        return None
    encoded = str(value).encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError(f"{value!r:.80} holds a null character")
    return encoded


def _microseconds(time: Any) -> int:
    if time is None:
        return UNKNOWN
    if isinstance(time, datetime.datetime):
        aware = time if time.tzinfo else time.astimezone()
        return (aware - EPOCH) // datetime.timedelta(microseconds=1)
    return round(float(time) * 1e6)
