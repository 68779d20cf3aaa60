"""Reads the .pth files that PyTorch has written since 1.6, without PyTorch, as data from strangers.

The file is a zip archive of one folder: ``data.pkl``, a pickle that refers to storages by key, ``data/KEY`` with the
raw elements of each, ``version``, and in newer files ``byteorder``. The pickle is carried out by
:mod:`coulis.convert.pickles`. No member that is read is compressed, so none can be larger than the file; the code of
TorchScript is not read.
"""

import struct
import zipfile
import zlib
from io import BytesIO

import numpy

from . import checkpoint, legacy_pickle, pickles

MEMBERS_MAX = 100_000
# What the standard library raises on damaged archives, a ValueError besides.
DAMAGE = (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, RuntimeError, zlib.error, struct.error)
VERSIONS = [b"%d" % version for version in range(1, 11)]  # they differ in what operators of TorchScript mean


def is_one(data):
    """Whether these are the bytes of such a file, to judge by the names in the archive."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (*DAMAGE, ValueError):
        return False


def read(data, name="the file", entry=None):
    """Tensors of a zip-format .pth file: as :func:`coulis.convert.legacy_pickle.read`."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _read(archive, len(data), entry)
    except DAMAGE as error:
        reason = f"the archive is damaged: {str(error)[:200]}"
    except ValueError as error:
        reason = str(error)
    raise ValueError(f"{name} is not a PyTorch file that can be read: {reason}")


def _read(archive, size, entry):
    members, left = {}, [size]
    for info in archive.infolist():
        if info.filename in members or len(members) == MEMBERS_MAX:
            raise ValueError("it has two members of one name, or too many")
        members[info.filename] = info
    roots = [member[: -len("data.pkl")] for member in members if member.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError("it does not hold one data.pkl")
    root = roots[0]

    def member(part, default=None):
        info = members.get(root + part)
        if info is None and default is None:
            raise ValueError(f"it has no {part!r:.60}")
        if info:
            left[0] -= info.file_size
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or left[0] < 0:
                raise ValueError(f"the member {info.filename!r:.100} is compressed, or larger than the file")
        return archive.read(info) if info else default

    if member("byteorder", b"little").strip() != b"little":
        raise ValueError("it was not written by a little-endian machine")
    version = member("version").strip()
    if version not in VERSIONS:
        raise ValueError(f"its version is {version[:20]!r}, not one of 1 to 10")
    stream = BytesIO(member("data.pkl"))
    tensors, _ = checkpoint.tensors(pickles.load(stream), entry)
    if stream.read(1):
        raise ValueError("bytes are left over behind its pickle")
    arrays = {}
    for tensor in tensors.values():
        key, dtype, count = tensor.storage
        if key in arrays:
            continue
        elements = member(f"data/{key}")
        kind = legacy_pickle.element(dtype)
        if len(elements) != count * kind.itemsize:
            raise ValueError(f"the storage {key!r:.60} has {len(elements)} bytes where {count} elements were announced")
        arrays[key] = numpy.frombuffer(elements, kind) if count else numpy.empty(0, kind)
    return legacy_pickle.views(tensors, arrays)
