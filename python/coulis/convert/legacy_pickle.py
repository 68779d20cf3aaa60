"""Reads PyTorch's legacy (non-zip) .pth files without PyTorch, as data from strangers; newer ones are in torch_zip.py.

The file is four pickles (magic number, protocol version, system information, the object), a fifth with
the list of storage keys, and then for each key an int64 element count and the raw little-endian elements.
:mod:`coulis.convert.pickles` carries them out.
"""

import struct
from io import BytesIO
from math import prod

import numpy

from . import checkpoint, pickles

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of every legacy file
PROTOCOL = 1001
SHARED_MAX = 4  # elements of all tensors for each of the storages; tied embeddings make 2
BFLOAT16 = pickles.STORAGES["BFloat16Storage"]


def read(data, name="the file", entry=None):
    """Tensors of a legacy .pth file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Names the file in messages.
    entry : str, optional
        Of a checkpoint, the entry that holds the weights.

    Returns
    -------
    dict of str to numpy.ndarray
        In the file's order; read-only views into `data`, with the strides the file gives.

    Raises
    ------
    ValueError
        One sentence; also for anything that is not a dictionary of tensors.
    """
    try:
        return _read(data, entry)
    except ValueError as error:
        raise ValueError(f"{name} is not a PyTorch file that can be read: {error}") from None


def _read(data, entry):
    stream = BytesIO(data)
    if not data.startswith(b"\x80"):
        raise ValueError("it does not begin with a pickle")
    if pickles.load(stream) != MAGIC:
        raise ValueError("its magic number is wrong")
    if pickles.load(stream) != PROTOCOL:
        raise ValueError(f"its protocol is not {PROTOCOL}")
    system = pickles.load(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it was not written by a little-endian machine")
    storages = {}
    found, _ = checkpoint.tensors(pickles.load(stream, storages), entry)
    keys = pickles.load(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise ValueError("its list of storages is damaged")
    arrays = _storages(data, stream.tell(), keys, storages)
    return views(found, arrays)


def _storages(data, position, keys, wanted):
    """One flat array per storage key, each a view into `data`."""
    arrays = {}
    for key in keys:
        if key not in wanted:
            raise ValueError(f"the storage {key!r:.60} belongs to no tensor")
        storage = wanted[key]
        if position + 8 > len(data):
            raise ValueError(f"it ends before the storage {key!r:.60}")
        (count,) = struct.unpack_from("<q", data, position)
        position += 8
        if count != storage.count:
            raise ValueError(f"the storage {key!r:.60} has {count} elements where {storage.count} were announced")
        kind = element(storage.dtype)
        size = count * kind.itemsize
        if size > len(data) - position:
            raise ValueError(f"it ends inside the storage {key!r:.60}")
        arrays[key] = numpy.frombuffer(data, kind, count, position) if count else numpy.empty(0, kind)
        position += size
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes are left over at its end")
    return arrays


def element(dtype):
    """NumPy's type of a storage's elements; bfloat16 is read as whole numbers of 16 bits."""
    return numpy.dtype("<u2" if dtype == BFLOAT16 else dtype)


def views(tensors, arrays):
    """All tensors as views into their storages, together not much more than these: bfloat16 becomes larger."""
    total = sum(prod(tensor.shape) for tensor in tensors.values())
    if total > SHARED_MAX * sum(map(len, arrays.values())):
        raise ValueError("its tensors share their storages more than tensors of a network do")
    return {name: view(name, tensor, arrays) for name, tensor in tensors.items()}


def view(name, tensor, arrays):
    """The tensor as a view into its storage, after checking that it stays inside."""
    storage, offset, shape, strides = tensor
    flat = arrays.get(storage.key)
    if flat is None:
        raise ValueError(f"the storage of the tensor {name!r:.60} is not in the file")
    count, last = 1, offset
    for length, stride in zip(shape, strides):
        count *= length
        last += (length - 1) * stride
    # No more elements than the storage has: a stride of 0 could repeat one without end.
    if count and (last >= len(flat) or count > len(flat)):
        raise ValueError(f"the tensor {name!r:.60} reaches outside its storage")
    if not count:
        return numpy.empty(shape, flat.dtype)
    item = flat.dtype.itemsize
    found = numpy.lib.stride_tricks.as_strided(
        flat[offset:], shape, [stride * item for stride in strides], writeable=False
    )
    return widened(found) if storage.dtype == BFLOAT16 else found


def widened(values):
    """bfloat16, read as whole numbers, as float32: the upper half of its bits."""
    return (values.astype("<u4") << 16).view("<f4")
