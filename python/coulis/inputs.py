"""What may be given as an image, and as several."""

from __future__ import annotations

import ctypes
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy

from . import _library

if TYPE_CHECKING:
    from typing import Protocol

    import PIL.Image

    class BinaryFile(Protocol):
        """Something that gives bytes when it is read."""

        def read(self, size: int = ..., /) -> bytes: ...

    #: One image.
    Image = Union[
        str, os.PathLike[str], bytes, bytearray, memoryview, BinaryFile, PIL.Image.Image, numpy.ndarray[Any, Any]
    ]

WANTED = (
    "an image is a path, bytes, a binary file object, a PIL image, or a uint8 array of shape (height, width), "
    "(height, width, 3) or (height, width, 4)"
)
_ORIENTATION = 0x0112  # EXIF's tag
_BYTES_TOGETHER = 1 << 27  # of images that are held in memory at once; those of paths are read by the library


@dataclass
class Entry:
    """One image on its way to the library: a path, bytes, pixels, or a failure."""

    path: Optional[str] = None
    data: Any = None
    pixels: Optional[numpy.ndarray[Any, Any]] = None
    orientation: int = 0
    failed: Optional[tuple[str, str]] = None  # status and sentence

    @property
    def held(self) -> int:
        """Bytes in memory."""
        if self.pixels is not None:
            return self.pixels.nbytes
        return 0 if self.data is None else memoryview(self.data).nbytes


def items_of(given: Any) -> tuple[Iterable[Any], Optional[int]]:
    """The images in what was given, and how many there are where that is known; one image alone is a list of one."""
    if _kind(given):
        return [given], 1
    if isinstance(given, numpy.ndarray):
        given = _in_array(given)
    elif not isinstance(given, (dict, set, frozenset, io.TextIOBase)) and _columns(given) is not None:
        given = _column(given)
    elif isinstance(given, (dict, set, frozenset, io.TextIOBase)) or not hasattr(given, "__iter__"):
        raise TypeError(f"cannot featurize {_named(given)}: {WANTED}; several are a list, an iterator or a column")
    if isinstance(given, (list, tuple)):  # before anything is computed
        for number, item in enumerate(given):
            check(item, number)
    return given, len(given) if isinstance(given, Sized) else None


def check(item: Any, number: int) -> str:
    """The kind of an image; TypeError when it is none."""
    kind = _kind(item)
    if not kind:
        raise TypeError(f"item {number} is {_named(item)}: {WANTED}")
    return kind


def entry_of(item: Any, number: int, max_bytes: int, scale: bool) -> Entry:
    """An image as the library takes it. `scale`: grey of 16 bits is scaled to 8 instead of cut off."""
    if hasattr(item, "as_py"):  # a scalar of Arrow
        item = item.as_py()
    kind = check(item, number)
    if kind == "path":
        return Entry(path=os.fsdecode(item))
    if kind == "bytes":
        return Entry(data=item)
    if kind == "array":
        return Entry(pixels=numpy.ascontiguousarray(item))
    if kind == "PIL":
        return _of_pillow(item, scale)
    data = item.read(max_bytes + 1)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"item {number} is {_named(item)}, which gives {type(data).__name__} and not bytes: {WANTED}")
    return Entry(data=data)


def chunks(entries: Iterator[Entry], most: int) -> Iterator[list[Entry]]:
    """Entries to be worked on together: at most so many, and not more than fit in memory."""
    together: list[Entry] = []
    held = 0
    for entry in entries:
        together.append(entry)
        held += entry.held
        if len(together) == most or held >= _BYTES_TOGETHER:
            yield together
            together, held = [], 0
    if together:
        yield together


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _kind(item: Any) -> str:
    """What kind of image this is; "" for none."""
    if isinstance(item, (str, os.PathLike)):
        return "path"
    if isinstance(item, (bytes, bytearray, memoryview)):
        return "bytes"
    if isinstance(item, numpy.ndarray):
        right = item.dtype == numpy.uint8 and (item.ndim == 2 or item.ndim == 3 and item.shape[2] in (3, 4))
        return "array" if right else ""
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(item, pillow.Image):
        return "PIL"
    if callable(getattr(item, "read", None)) and not isinstance(item, io.TextIOBase):
        return "file"
    as_py = getattr(item, "as_py", None)
    return _kind(as_py()) if as_py else ""


def _named(item: Any) -> str:
    """How a message names what is not an image."""
    if isinstance(item, numpy.ndarray):
        return f"an array of {item.dtype} of shape {item.shape}"
    if isinstance(item, io.TextIOBase):
        return f"a file opened as text ({getattr(item, 'name', type(item).__name__)}; open it with 'rb')"
    kind = type(item)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "None" if item is None else f"{where}{kind.__qualname__} {item!r:.60}"


def _in_array(array: numpy.ndarray[Any, Any]) -> Any:
    """The images in an array that is not one itself."""
    if array.dtype.kind in "OUT":
        if array.ndim == 1:
            return array
        if array.ndim == 2 and array.shape[1] == 1:
            return array[:, 0]
    elif array.dtype == numpy.uint8 and array.ndim == 4 and array.shape[3] in (3, 4):
        return array
    raise TypeError(f"cannot featurize {_named(array)}: {WANTED}; several are (n, height, width, 3 or 4)")


def _columns(given: Any) -> Optional[list[Any]]:
    """Names of the columns of a table or data frame; None when it is none."""
    for name in ("column_names", "columns"):  # columns of an Arrow table are not names
        names = getattr(given, name, None)
        if names is not None and not callable(names):
            return list(names)
    return None


def _column(table: Any) -> Any:
    names = _columns(table) or []
    if len(names) != 1:
        raise TypeError(
            f"cannot featurize a {type(table).__name__} of {len(names)} columns: give the one that holds "
            f"images, such as table[{(names or ['image'])[0]!r}]"
        )
    return table.iloc[:, 0] if hasattr(table, "iloc") else table[names[0]]


def _of_pillow(image: PIL.Image.Image, scale: bool) -> Entry:
    """The pixels of a PIL image, loaded now. What Pillow cannot decode is a failure; other faults are raised."""
    try:
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        pixels = _pixels(image, scale)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        name = getattr(image, "filename", "") or "the PIL image"
        return Entry(failed=("unreadable", f"{name}: Pillow cannot decode it: {error}"))
    known = isinstance(orientation, int) and 1 <= orientation <= 8
    return Entry(pixels=pixels, orientation=orientation if known else 1)


def _pixels(image: PIL.Image.Image, scale: bool) -> numpy.ndarray[Any, Any]:
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "I" or image.mode.startswith("I;16"):
        wide = numpy.asarray(image).astype(numpy.int64)
        # As the library scales: rounded, the largest of 16 bits is 255.
        small = (wide.clip(0, 65535) * 255 + 32767) // 65535 if scale else wide.clip(0, 255)
        return small.astype(numpy.uint8)
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")
    return numpy.ascontiguousarray(numpy.asarray(image))


def fill_input(to: Any, entry: Entry, keep: list[Any]) -> None:
    """``coulis_input`` of an entry; `keep` holds what it points to."""
    if entry.path is not None:
        to.path = _library.path_bytes(entry.path)
    else:
        to.bytes, to.byte_count = _library.buffer_address(entry.data, keep)


def fill_pixels(to: Any, entry: Entry, keep: list[Any]) -> None:
    """``coulis_pixels`` of an entry."""
    pixels = entry.pixels
    assert pixels is not None
    keep.append(pixels)
    to.pixels = _library.pointer(pixels, ctypes.c_uint8)
    to.height, to.width = pixels.shape[:2]
    to.channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    to.orientation = entry.orientation
