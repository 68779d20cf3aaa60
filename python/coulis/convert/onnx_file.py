"""Reads ONNX files as data from strangers.

The package `onnx` takes the protobuf message apart; nothing else of it is used. What the message says about sizes is
checked against the bytes that are there before allocating, and weights in files of their own are read from
the model's folder alone.
"""

import hashlib
from math import prod
from pathlib import Path, PurePosixPath

import numpy

from . import regular

FILE_MAX = (1 << 31) - 1  # protobuf's own limit of a message
WEIGHTS_MAX = 1 << 32  # bytes of all tensors read; the largest network of keras.applications has 1.4e9
RANK_MAX = 8
OPSETS = (7, 28)  # of the operators' definitions that this converter knows

# TensorProto.DataType -> NumPy's type, and the field of the message for values that do not lie in raw_data
_TYPES = {
    1: ("<f4", "float_data"),
    2: ("|u1", "int32_data"),
    3: ("|i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("|b1", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    13: ("<u8", "uint64_data"),
}
_EXTERNAL = 1  # TensorProto.DataLocation

# AttributeProto.AttributeType -> field
_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
_TENSOR = 4


class _NoText(ValueError):
    """A name is not UTF-8; protobuf then gives bytes."""


def _text(name):
    if not isinstance(name, str):
        raise _NoText("a name in it is not text")
    return name


def dtype(number):
    """NumPy's name of a TensorProto.DataType, or None for those that are not read."""
    return _TYPES[number][0] if number in _TYPES else None


class Node:
    """One operator: its type, its name (or what names it in messages), the names of its inputs and outputs."""

    def __init__(self, model, message):
        self._model, self._message = model, message
        self.op, domain = _text(message.op_type), _text(message.domain)
        if domain not in ("", "ai.onnx"):
            self.op = f"{domain}.{self.op}"
        self.inputs = [_text(name) for name in message.input]
        self.outputs = [_text(name) for name in message.output]
        self.name = _text(message.name) or next((output for output in self.outputs if output), "without a name")

    def attributes(self):
        """A dict of int, float, bytes, numpy.ndarray, or list; ValueError for anything else, such as a subgraph."""
        found = {}
        for attribute in self._message.attribute:
            field = _FIELDS.get(attribute.type)
            if field is None or attribute.ref_attr_name:
                raise ValueError(f"its attribute {attribute.name!r:.60} is of a kind that is not read")
            value = getattr(attribute, field)
            if attribute.type == _TENSOR:
                value = self._model.decode(value)
            found[_text(attribute.name)] = value if field in ("f", "i", "s", "t") else list(value)
        return found


class Model:
    """What a file holds.

    Attributes
    ----------
    path : pathlib.Path
    sha256 : str
        Of the file; weights in other files do not count.
    opset : int
        Version of the operators' definitions.
    nodes : list of Node
    inputs : dict of str to (list of int or None, int)
        Sizes (None where the file leaves one open) and element type of each input.
    outputs : list of str
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._read(*_parse(self.path))
        except _NoText:
            raise ValueError(f"{path} is not an ONNX file: a name in it is not text") from None

    def _read(self, message, sha256):
        """Takes the message apart."""
        self.sha256, graph = sha256, message.graph
        self.opset = _opset(message, self.path)
        self._decoded = 0
        self._initializers = {}
        for tensor in graph.initializer:
            if _text(tensor.name) in self._initializers:
                raise ValueError(f"{self.path}: the tensor {tensor.name!r:.100} is there twice")
            self._initializers[tensor.name] = tensor
        self.nodes = [Node(self, node) for node in graph.node]
        self.inputs = {}
        for value in graph.input:
            if _text(value.name) not in self._initializers:
                tensor = value.type.tensor_type
                sizes = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
                self.inputs[value.name] = (sizes, tensor.elem_type)
        self.outputs = [_text(value.name) for value in graph.output]
        if not self.outputs or not self.nodes:
            raise ValueError(f"{self.path}: the graph has no {'nodes' if self.outputs else 'outputs'}")

    def has(self, name):
        """Whether the file holds a tensor of that name."""
        return name in self._initializers

    def tensor(self, name):
        """The tensor of that name; ValueError when what it says of itself does not fit its bytes."""
        return self.decode(self._initializers[name])

    def decode(self, message):
        """A TensorProto as an array."""
        name, shape = f"the tensor {message.name!r:.100}", tuple(message.dims)
        if message.data_type not in _TYPES:
            raise ValueError(f"{self.path}: {name} is of element type {message.data_type}, which is not read")
        kind, field = _TYPES[message.data_type]
        if len(shape) > RANK_MAX or any(size < 0 for size in shape):
            raise ValueError(f"{self.path}: {name} has an impossible shape")
        count = prod(shape)
        size = count * numpy.dtype(kind).itemsize
        self._decoded += size
        if self._decoded > WEIGHTS_MAX:
            raise ValueError(f"{self.path}: {name} claims {size} bytes; more than {WEIGHTS_MAX} in all are not read")
        if message.data_location == _EXTERNAL:
            data = self._external(message, name, size)
        elif message.HasField("raw_data"):
            data = message.raw_data
        else:
            return self._typed(message, name, count, kind, field).reshape(shape)
        if len(data) != size:
            raise ValueError(f"{self.path}: {name} has {len(data)} bytes, its shape {list(shape)} needs {size}")
        return numpy.frombuffer(data, kind, count).reshape(shape) if count else numpy.empty(shape, kind)

    def _typed(self, message, name, count, kind, field):
        """The values of a tensor that are numbers of the message."""
        values = getattr(message, field)
        if len(values) != count:
            raise ValueError(f"{self.path}: {name} has {len(values)} values, its shape needs {count}")
        if kind == "<f2":  # as bit patterns
            return numpy.array(values, "<i8").astype("<u2").view("<f2")
        wide = {"int32_data": "<i8", "int64_data": "<i8", "uint64_data": "<u8"}.get(field, kind)
        return numpy.array(values, wide).astype(kind)

    def _external(self, message, name, size):
        """The bytes of a tensor in a file of its own, which must lie in the model's folder."""
        entries = {entry.key: entry.value for entry in message.external_data}
        location, refused = entries.get("location", ""), f"{self.path}: the file of {name}"
        numbers = [entries.get("offset", "0"), entries.get("length", str(size))]
        if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in numbers):
            raise ValueError(f"{refused} is described by something other than whole numbers")
        parts = PurePosixPath(location)
        if not location or parts.is_absolute() or ".." in parts.parts or any(c in location for c in "\\:\0"):
            raise ValueError(f"{refused} is {location!r:.100}, which is not a path inside the model's folder")
        folder = self.path.parent.resolve()
        file = (folder / location).resolve()
        if folder not in file.parents:
            raise ValueError(f"{refused}, {location!r:.100}, is a link out of the model's folder")
        if not file.is_file():
            raise ValueError(f"{refused}, {location!r:.100}, is missing")
        offset, length = map(int, numbers)
        if length != size or offset + length > file.stat().st_size:
            raise ValueError(
                f"{refused}, {location!r:.100}, holds {file.stat().st_size} bytes: its shape needs {size} from byte "
                f"{offset} on, the model claims {length}"
            )
        with open(file, "rb") as stream:
            stream.seek(offset)
            return stream.read(size)


def _parse(path):
    """The ModelProto in a file, and the file's SHA-256."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ValueError(f"{path}: reading ONNX needs the Python package onnx (pip install onnx)") from None
    if not path.is_file():
        raise ValueError(f"{path} is missing, or not a file")
    data = regular.read(path, FILE_MAX)
    message = onnx.ModelProto()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise ValueError(f"{path} is not an ONNX file, or is cut short") from None
    if not message.HasField("graph"):
        raise ValueError(f"{path} is not an ONNX file: it has no graph")
    return message, hashlib.sha256(data).hexdigest()


def _opset(message, path):
    """The version of the standard operators."""
    versions = list({entry.version for entry in message.opset_import if entry.domain in ("", "ai.onnx")})
    oldest, newest = OPSETS
    if len(versions) != 1:
        raise ValueError(f"{path}: the file does not say which version of ONNX's operators it uses")
    if not oldest <= versions[0] <= newest:
        raise ValueError(
            f"{path}: it uses opset {versions[0]} of ONNX's operators; {oldest} to {newest} are read: export it again "
            "with opset 17"
        )
    return versions[0]
