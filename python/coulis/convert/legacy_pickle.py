"""Reads PyTorch's legacy (non-zip) .pth files without PyTorch, as data from strangers; newer ones are in torch_zip.py.

The file is four pickles (magic number, protocol version, system information, the object), a fifth with
the list of storage keys, and then for each key an int64 element count and the raw little-endian elements.
The pickles are never unpickled: the standard library's disassembler splits them into opcodes, and the
few of these that a dictionary of tensors needs are carried out here. Nothing else can be called, by
construction, and memory is only asked for what the file really holds.
"""

import pickletools
import struct
from collections import namedtuple
from io import BytesIO

import numpy

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of every legacy file
PROTOCOL = 1001
RANK_MAX = 8
OPCODES_MAX = 1_000_000  # a network of 300 tensors takes 20,000

_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|b1",
}
_DICTIONARY = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"  # a tensor, and whether it was to be trained
_ALLOWED = {_DICTIONARY, _TENSOR, _PARAMETER, *_STORAGES}

_Global = namedtuple("_Global", "name")
_Storage = namedtuple("_Storage", "key dtype count")
_Tensor = namedtuple("_Tensor", "storage offset shape strides")
_MARK = object()

_CONSTANTS = {"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_OTHERS = {
    "PROTO",
    "MARK",
    "TUPLE",
    "BINPUT",
    "LONG_BINPUT",
    "BINGET",
    "LONG_BINGET",
    "GLOBAL",
    "REDUCE",
    "BINPERSID",
}
_OTHERS |= {"SETITEM", "SETITEMS", "APPEND", "APPENDS", "BUILD", "STOP"}
_OPCODES = {*_CONSTANTS, *_EMPTY, *_LITERALS, *_TUPLES, *_OTHERS}


def read(data, name="the file"):
    """Tensors of a legacy .pth file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Names the file in messages.

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
        return _read(data)
    except ValueError as error:
        raise ValueError(f"{name} is not a PyTorch file that can be read: {error}") from None


def _read(data):
    stream = BytesIO(data)
    if not data.startswith(b"\x80"):
        raise ValueError("it does not begin with a pickle")
    if load(stream) != MAGIC:
        raise ValueError("its magic number is wrong")
    if load(stream) != PROTOCOL:
        raise ValueError(f"its protocol is not {PROTOCOL}")
    system = load(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it was not written by a little-endian machine")
    found = tensors(load(stream))
    keys = load(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise ValueError("its list of storages is damaged")
    arrays = _storages(data, stream.tell(), keys, {tensor.storage.key: tensor.storage for tensor in found.values()})
    return {key: view(key, tensor, arrays) for key, tensor in found.items()}


def tensors(loaded):
    """`loaded`, when it is a dictionary of tensors."""
    if not isinstance(loaded, dict):
        raise ValueError("it does not hold a dictionary of tensors")
    for key, tensor in loaded.items():
        if not isinstance(tensor, _Tensor):
            raise ValueError(f"the entry {key!r:.60} is not a tensor; write one with "
                             "torch.save(model.state_dict(), FILE)")
    return loaded


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
        size = count * numpy.dtype(storage.dtype).itemsize
        if size > len(data) - position:
            raise ValueError(f"it ends inside the storage {key!r:.60}")
        arrays[key] = (
            numpy.frombuffer(data, storage.dtype, count, position) if count else numpy.empty(0, storage.dtype)
        )
        position += size
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes are left over at its end")
    return arrays


def view(name, tensor, arrays):
    """The tensor as a view into its storage, after checking that it stays inside."""
    storage, offset, shape, strides = tensor
    flat = arrays.get(storage.key)
    if flat is None:
        raise ValueError(f"the storage of the tensor {name!r:.60} is not in the file")
    if flat.dtype != numpy.dtype(storage.dtype) or len(flat) != storage.count:
        raise ValueError(f"the tensor {name!r:.60} describes its storage differently from another")
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
    return numpy.lib.stride_tricks.as_strided(
        flat[offset:], shape, [stride * item for stride in strides], writeable=False
    )


# ---- the pickles -------------------------------------------------------------------


def load(stream):
    """Carries out one pickle and leaves `stream` behind it."""
    stack, memo, data = [], {}, stream.getbuffer()
    opcodes = pickletools.genops(stream)
    try:
        for _ in range(OPCODES_MAX):
            # Looked at before its argument is read: the decimal numbers of old protocols take quadratic time.
            known = pickletools.code2op.get(chr(data[stream.tell()]))
            if known is None or known.name not in _OPCODES:
                raise ValueError(f"it uses the pickle opcode {known.name if known else '?'}, which is not allowed")
            _, argument, _ = next(opcodes)
            if known.name == "STOP":
                if len(stack) != 1:
                    raise ValueError("a pickle in it is damaged")
                return stack[0]
            _step(known.name, argument, stack, memo)
    except (IndexError, KeyError, TypeError, UnicodeError):
        raise ValueError("a pickle in it is damaged or cut short") from None
    except ValueError as error:
        # The disassembler's own messages quote the file's bytes, at any length.
        raise ValueError(str(error)[:200]) from None
    raise ValueError("a pickle in it is too long")


def _step(name, argument, stack, memo):
    """Carries out one opcode; IndexError, KeyError or TypeError when the stack does not hold what it needs."""
    if name in _LITERALS:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name]())
    elif name in _EMPTY:
        stack.append(_EMPTY[name]())
    elif name == "MARK":
        stack.append(_MARK)
    elif name in _TUPLES:
        items = [_pop(stack) for _ in range(_TUPLES[name])]
        stack.append(tuple(items[::-1]))
    elif name == "TUPLE":
        stack.append(tuple(_to_mark(stack)))
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "GLOBAL":
        if argument not in _ALLOWED:
            raise ValueError(f"it asks for {argument.replace(' ', '.')!r:.100}, which is not allowed")
        stack.append(_Global(argument))
    elif name == "REDUCE":
        arguments = _pop(stack)
        stack.append(_reduce(_pop(stack), arguments))
    elif name == "BINPERSID":
        stack.append(_storage(_pop(stack)))
    elif name == "SETITEM":
        value, key = _pop(stack), _pop(stack)
        _set(stack[-1], [key, value])
    elif name == "SETITEMS":
        items = _to_mark(stack)
        _set(stack[-1], items)
    elif name == "APPEND":
        item = _pop(stack)
        _extend(stack[-1], [item])
    elif name == "APPENDS":
        items = _to_mark(stack)
        _extend(stack[-1], items)
    elif name == "BUILD":
        _pop(stack)  # attributes of an OrderedDict, such as a state dict's _metadata: not needed


def _pop(stack):
    item = stack.pop()
    if item is _MARK:
        raise IndexError
    return item


def _to_mark(stack):
    """Takes everything above the last mark off the stack, and the mark."""
    items = []
    while stack[-1] is not _MARK:
        items.append(stack.pop())
    stack.pop()
    return items[::-1]


def _set(target, items):
    if type(target) is not dict or len(items) % 2:
        raise TypeError
    for key, value in zip(items[::2], items[1::2]):
        if type(key) is not str:
            raise ValueError("a dictionary in it has a key that is no text")
        target[key] = value


def _extend(target, items):
    if type(target) is not list:
        raise TypeError
    target.extend(items)


def _reduce(function, arguments):
    if function == _Global(_DICTIONARY) and arguments == ():
        return {}
    if function == _Global(_TENSOR) and type(arguments) is tuple and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        numbers = (offset, *shape, *strides)
        if (
            not isinstance(storage, _Storage)
            or len(shape) != len(strides)
            or len(shape) > RANK_MAX
            or not all(type(number) is int and 0 <= number < 2**40 for number in numbers)
        ):
            raise ValueError("it holds a tensor with an impossible shape")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))
    if function == _Global(_PARAMETER) and type(arguments) is tuple and arguments and isinstance(arguments[0], _Tensor):
        return arguments[0]
    raise ValueError("it calls what it may not call")


def _storage(identity):
    """A persistent id: ("storage", type, key, device, element count), and in legacy files None for no view."""
    if type(identity) is not tuple or len(identity) not in (5, 6):
        raise TypeError
    kind, storage_type, key, _device, count, *view = identity
    if kind != "storage" or not isinstance(storage_type, _Global) or storage_type.name not in _STORAGES:
        raise ValueError("it refers to something that is no storage")
    if type(key) is not str or type(count) is not int or not 0 <= count < 2**40 or view not in ([], [None]):
        raise ValueError("it refers to a storage that cannot be read")
    return _Storage(key, _STORAGES[storage_type.name], count)
