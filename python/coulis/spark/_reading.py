"""Images by their names, as they come in a column of paths or URIs: files, and objects in stores."""

import functools
import os
import re
import struct
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import coulis
import numpy

from .. import _library

READERS = 8  # of objects in a store, whose answer takes longer than its bytes
_LOCAL = re.compile(r"(?:file:(?://[^/]*(?=/))?)?(/.*|[^:]*)$", re.DOTALL)  # file://host/path, too
_REMOTE = re.compile(r"(?!file:)(\w[\w+.-]*)://([^/]*)/(.*)", re.DOTALL)


def names_of(path):
    """What a path or URI may name, in the order of trying; empty for null.

    Spark writes URIs both with ``%20`` (``input_file_name()``, ``_metadata.file_path``, which begin with ``file:///``)
    and with blanks as they are (the column ``path`` of ``binaryFile``); a name may hold ``%20`` itself. Only a plain
    path is never anything else.
    """
    if path is None:
        return []
    remote = _REMOTE.match(path)
    local = None if remote else _LOCAL.match(path)
    if not remote and not local:
        raise ValueError(f"{path}: neither a path nor a URI such as s3a://bucket/name")
    if not remote and not path.startswith("file:"):
        return [path]
    name = local[1] if local else path
    head, tail = (remote[0][: remote.start(3)], remote[3]) if remote else ("", name)
    decoded = head + unquote(tail, errors="surrogateescape")
    if decoded == name or remote and remote[1].lower() in ("http", "https"):
        return [name]
    return [decoded, name] if path.startswith("file://") else [name, decoded]


def is_remote(name):
    """Whether a name is not a file of this machine."""
    return bool(_REMOTE.match(name))


def read_all(names):
    """The bytes of what each of these names elsewhere, or the error that belongs to that image."""
    served = [row for row, name in enumerate(names) if serves(name)]
    others = [row for row, name in enumerate(names) if not serves(name)]
    found = [*read_served([names[row] for row in served]), *read_others([names[row] for row in others])]
    return [data for _, data in sorted(zip([*served, *others], found), key=lambda pair: pair[0])]


@functools.lru_cache(maxsize=1024)
def _serves_scheme(scheme):
    return bool(_library.library().coulis_source_serves(f"{scheme}://x/y".encode()))


def serves(name):
    """Whether the library itself reads what this name stands for."""
    return _serves_scheme(_REMOTE.match(name)[1])


def read_served(names):
    """The bytes of each through the library, many at a time, or the error that belongs to that image."""
    if not names:
        return []
    with tempfile.NamedTemporaryFile(prefix="coulis-names-") as file:
        file.write(b"".join(os.fsencode(name) + b"\0" for name in names))
        file.flush()
        with coulis.open_source(f"@{file.name}", null=True, all_files=True, label="none") as source:
            with ThreadPoolExecutor(READERS) as pool:
                return list(pool.map(_data_of, source))


def _data_of(item):
    try:
        return item.data()
    except coulis.Error as error:
        if error.code >= 10:  # no property of the image
            raise
        return error


def read_others(names):
    """The bytes of each through pyarrow, or the error."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read_by_arrow, names))


def read_by_arrow(path):
    """The bytes of an object of a file system that Arrow knows; an error where there is none of that name."""
    scheme, authority, name = _REMOTE.match(path).groups()
    system, base = open_file_system(scheme, authority)
    try:
        with system.open_input_stream(f"{base}/{name}") as stream:
            return stream.read()
    except FileNotFoundError:
        return coulis.Error(f"{path}: does not exist", "missing", 5)
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error}") from error


@functools.lru_cache(maxsize=16)
def open_file_system(scheme, authority):
    """Arrow's file system of a URI, and the path of its root there."""
    from pyarrow import fs

    if scheme in ("s3", "s3a", "s3n"):
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not endpoint and not region:
            region = fs.resolve_s3_region(authority)
        return fs.S3FileSystem(endpoint_override=endpoint, region=region), authority
    system, base = fs.FileSystem.from_uri(f"{scheme}://{authority}/")
    return system, base.rstrip("/")


# ---- pixels ---------------------------------------------------------------------------

IMAGE_FIELDS = ("height", "width", "nChannels", "data")  # of Spark's data source `image` that are needed


def png_of(image):
    """A row of Spark's data source ``image``, whose pixels are BGR, as a PNG without compression; None for null.

    An error where the sides do not fit the pixels.
    """
    if image is None or image["data"] is None:
        return None
    height, width, channels = (image[name] or 0 for name in IMAGE_FIELDS[:3])
    data = image["data"]
    if height < 1 or width < 1 or channels not in (1, 3, 4) or height * width * channels != len(data):
        name = image.get("origin") or "an image"
        return coulis.Error(f"{name} has pixels that do not fit its height, width and channels", "unreadable", 1)
    pixels = numpy.frombuffer(data, numpy.uint8).reshape(height, width, channels)
    if channels > 1:
        pixels = pixels[..., [2, 1, 0, 3][:channels]]
    lines = numpy.zeros((height, 1 + width * channels), numpy.uint8)  # each begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
