"""Writes (float32 and bytes only) and reads safetensors files: an 8-byte length, a JSON header, bytes."""

import json
import os
import struct
from math import prod
from pathlib import Path

import numpy

ALIGNMENT = 64  # of the data section, for a reader that maps the file
HEADER_MAX = 16 * 1024 * 1024
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1"}
TYPES["BOOL"] = "|b1"
RANK_MAX = 8
BFLOAT16 = "BF16"  # read as float32


def write(path, tensors, metadata, check=None):
    """Write tensors in the given order, uint8 as they are and others as float32; the same always gives the same bytes.

    Parameters
    ----------
    path : str or os.PathLike
        The file appears whole or not at all.
    tensors : dict of str to array_like
    metadata : dict of str to str
    check : callable, optional
        Called with the path of the whole file before it gets its name; what it raises leaves no file.

    Raises
    ------
    OSError
    """
    header, offset, blocks = {"__metadata__": dict(metadata)}, 0, []
    for name, values in tensors.items():
        dtype = "U8" if getattr(values, "dtype", None) == numpy.uint8 else "F32"
        block = numpy.ascontiguousarray(values, dtype=TYPES[dtype])
        # ascontiguousarray makes one dimension of none
        shape = list(numpy.shape(values))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + block.nbytes]}
        offset += block.nbytes
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    replace(path, [struct.pack("<Q", len(text)), text, *blocks], check)


def replace(path, blocks, check=None):
    """Write `blocks` (bytes-like) one after the other to a file beside `path`, then give it its name."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if check:
            check(temporary)
        os.replace(temporary, path)
    finally:
        if temporary.exists():
            temporary.unlink()


def read(path):
    """Read a file.

    Returns
    -------
    (dict of str to numpy.ndarray, dict of str to str)
        Tensors in the file's order, and its metadata.

    Raises
    ------
    ValueError
        When the file does not fit its own header.
    OSError
    """
    return parse(Path(path).read_bytes(), path)


def parse(data, path):
    """The same from bytes; `path` names them in messages."""
    if len(data) < 8:
        raise ValueError(f"{path} is too short for a safetensors file")
    (length,) = struct.unpack_from("<Q", data)
    if not 2 <= length <= min(HEADER_MAX, len(data) - 8):
        raise ValueError(f"{path} claims a header of {length} bytes")
    try:
        header = json.loads(data[8 : 8 + length].decode())
        metadata = header.pop("__metadata__", {})
        entries = []
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            entries.append((name, entry["dtype"], entry["shape"], first, last))
        start, tensors, end, unknown = 8 + length, {}, 0, []
        for name, dtype, shape, first, last in sorted(entries, key=lambda entry: (entry[3], entry[4])):
            if dtype not in TYPES and dtype != BFLOAT16:
                unknown.append((name, dtype))
                end = last
                continue
            kind = numpy.dtype(TYPES.get(dtype, "<u2"))
            # Checked before they are multiplied: a million large numbers would take hours.
            if len(shape) > RANK_MAX or not all(type(size) is int and 0 <= size < 1 << 40 for size in shape):
                raise ValueError(f"{name!r:.100} has an impossible shape")
            if first != end or last - first != kind.itemsize * prod(shape) or start + last > len(data):
                raise ValueError(f"the bytes of {name!r:.100} do not fit its shape {shape!r:.100}")
            tensors[name] = numpy.frombuffer(data, kind, prod(shape), start + first).reshape(shape)
            if dtype == BFLOAT16:  # the upper half of a float32
                tensors[name] = (tensors[name].astype("<u4") << 16).view("<f4")
            end = last
    except (KeyError, TypeError, AttributeError, UnicodeError, RecursionError, ValueError) as error:
        raise ValueError(f"the header of {path} is damaged: {error}") from None
    if unknown:
        raise ValueError(
            f"{path}: the tensor {unknown[0][0]!r:.100} is {unknown[0][1]!r:.20}; what can be read is "
            f"{', '.join((*TYPES, BFLOAT16))}"
        )
    if start + end != len(data):
        raise ValueError(f"{path} has {len(data) - start - end} bytes that belong to no tensor")
    return {name: tensors[name] for name, *_ in entries}, metadata
