"""Carries out the pickles in PyTorch's files, as data from strangers.

Nothing is unpickled: the standard library's disassembler splits a pickle into opcodes, and those that dictionaries,
lists, numbers and tensors need are carried out here. Classes and functions become an :class:`Opaque` that remembers
its name and what was put into it; none is ever imported or called. So what lies beside the weights (an optimizer's
state, the arguments of a training run) is passed over, whatever it is. Memory is only allocated for what the file
really holds.
"""

import pickletools
from collections import namedtuple

RANK_MAX = 8
# Opcodes, and items that these put into dictionaries and lists; a ViT-B with Adam's state beside it takes 100,000. A
# few bytes can name a large dictionary again and again, so that opcodes alone would bound nothing.
OPCODES_MAX = ITEMS_MAX = 2_000_000

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_DICTIONARY = "collections.OrderedDict"
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
# A tensor, and what it was to PyTorch: whether it was to be trained.
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
# Modules that act on the machine. A file that names one was made to do harm; that it cannot do any here is no reason
# to take its weights.
_HARMFUL = {
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "pty",
    "socket",
    "shutil",
    "ctypes",
    "runpy",
    "importlib",
    "code",
    "codeop",
    "pickle",
    "_pickle",
    "webbrowser",
    "asyncio",
    "multiprocessing",
    "signal",
    "pip",
    "commands",
    "marshal",
    "bdb",
    "pdb",
    "timeit",
    "cProfile",
    "profile",
    "imp",
    "zipimport",
    "operator",
}
_BUILTINS = {
    "set",
    "frozenset",
    "slice",
    "range",
    "complex",
    "bytearray",
    "bytes",
    "list",
    "dict",
    "tuple",
    "int",
    "float",
    "bool",
    "str",
    "object",
    "type",
    "unicode",
    "long",
    "xrange",
}

Storage = namedtuple("Storage", "key dtype count")
Tensor = namedtuple("Tensor", "storage offset shape strides")
_MARK = object()

_CONSTANTS = {"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_OTHERS = {
    "PROTO",
    "FRAME",
    "MARK",
    "TUPLE",
    "FROZENSET",
    "BINPUT",
    "LONG_BINPUT",
    "MEMOIZE",
    "BINGET",
    "LONG_BINGET",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "NEWOBJ",
    "NEWOBJ_EX",
    "BINPERSID",
    "SETITEM",
    "SETITEMS",
    "APPEND",
    "APPENDS",
    "ADDITEMS",
    "BUILD",
    "STOP",
}
_OPCODES = {*_CONSTANTS, *_EMPTY, *_LITERALS, *_TUPLES, *_OTHERS}


class Opaque:
    """A class, a function, or an object made by one.

    Attributes
    ----------
    name : str
    entries : dict
        What was put into it under texts: the entries of a dictionary, the attributes of an object.
    """

    __slots__ = ("name", "entries")

    def __init__(self, name):
        self.name, self.entries = name, {}


def load(stream, storages=None):
    """Carries out one pickle and leaves `stream` behind it.

    Parameters
    ----------
    stream : io.BytesIO
    storages : dict, optional
        Takes every :class:`Storage` the pickle names, by key.

    Returns
    -------
    object
        Dictionaries, lists (also for sets), tuples, numbers, texts, bytes, :class:`Tensor` and :class:`Opaque`.

    Raises
    ------
    ValueError
        One sentence.
    """
    machine, data = _Machine({} if storages is None else storages), stream.getbuffer()
    opcodes = pickletools.genops(stream)
    try:
        for _ in range(OPCODES_MAX):
            # Looked at before its argument is read: the decimal numbers of old protocols take quadratic time.
            known = pickletools.code2op.get(chr(data[stream.tell()]))
            if known is None or known.name not in _OPCODES:
                raise ValueError(f"it uses the pickle opcode {known.name if known else '?'}, which is not allowed")
            _, argument, _ = next(opcodes)
            if known.name == "STOP":
                if len(machine.stack) != 1:
                    raise ValueError("a pickle in it is damaged")
                return machine.stack[0]
            machine.step(known.name, argument)
    except (IndexError, KeyError, TypeError, UnicodeError):
        raise ValueError("a pickle in it is damaged or cut short") from None
    except ValueError as error:
        # The disassembler's own messages quote the file's bytes, at any length.
        raise ValueError(str(error)[:200]) from None
    raise ValueError("a pickle in it is too long")


class _Machine:
    def __init__(self, storages):
        self.stack, self.memo, self.storages, self.items = [], {}, storages, 0

    def step(self, name, argument):
        """Carries out one opcode; IndexError, KeyError or TypeError when the stack does not hold what it needs."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            items = [self.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(items[::-1]))
        elif name in ("TUPLE", "FROZENSET"):
            stack.append(tuple(self.to_mark()))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(_named(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            stack.append(_named(module, attribute))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            if name == "NEWOBJ_EX":
                self.pop()
            arguments = self.pop()
            self.take(arguments[0] if type(arguments) is tuple and arguments else ())
            stack.append(_made(self.pop(), arguments))
        elif name == "BINPERSID":
            stack.append(self.storage(self.pop()))
        elif name in ("SETITEM", "SETITEMS"):
            if name == "SETITEM":
                value, key = self.pop(), self.pop()
                items = [key, value]
            else:
                items = self.to_mark()
            _set(stack[-1], items)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [self.pop()] if name == "APPEND" else self.to_mark()
            _extend(stack[-1], items)
        elif name == "BUILD":
            state = self.pop()
            if isinstance(stack[-1], Opaque):
                for part in state if type(state) is tuple else (state,):
                    if type(part) is dict:
                        self.take(part)
                        stack[-1].entries.update(part)
            # Else attributes of an OrderedDict, such as a state dict's _metadata: not needed.

    def take(self, items):
        """Counts items that are to be copied."""
        self.items += len(items) if type(items) in (list, dict) else 0
        if self.items > ITEMS_MAX:
            raise ValueError("a pickle in it is too long")

    def pop(self):
        item = self.stack.pop()
        if item is _MARK:
            raise IndexError
        return item

    def to_mark(self):
        """Takes everything above the last mark off the stack, and the mark."""
        items = []
        while self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        self.stack.pop()
        return items[::-1]

    def storage(self, identity):
        """A persistent id: ("storage", type, key, device, element count), and in legacy files None for no view."""
        if type(identity) is tuple and len(identity) == 4 and identity[0] == "module":
            return identity[1]  # a class, in legacy files with its source text
        if type(identity) is not tuple or len(identity) not in (5, 6):
            raise TypeError
        kind, storage_type, key, _device, count, *view = identity
        module, _, name = storage_type.name.rpartition(".") if isinstance(storage_type, Opaque) else ("", "", "")
        if kind != "storage" or module not in ("torch", "torch.cuda") or name not in STORAGES:
            raise ValueError("it refers to something other than a storage of numbers")
        if type(key) is not str or type(count) is not int or not 0 <= count < 2**40 or view not in ([], [None]):
            raise ValueError("it refers to a storage that cannot be read")
        found = Storage(key, STORAGES[name], count)
        if self.storages.setdefault(key, found) != found:
            raise ValueError(f"it describes the storage {key!r:.60} in two ways")
        return found


def _named(module, attribute):
    if type(module) is not str or type(attribute) is not str:
        raise TypeError
    name, top = f"{module}.{attribute}", module.split(".")[0]
    builtin = top in ("builtins", "__builtin__")
    if top in _HARMFUL or (builtin and attribute not in _BUILTINS):
        raise ValueError(f"it asks for {name!r:.100}, which is not allowed")
    return Opaque(name)


def _set(target, items):
    if isinstance(target, Opaque):
        target = target.entries
    if type(target) is not dict or len(items) % 2:
        raise TypeError
    for key, value in zip(items[::2], items[1::2]):
        if type(key) in (str, int, bool, bytes) or key is None:
            target[key] = value


def _extend(target, items):
    if isinstance(target, Opaque):
        return
    if type(target) is not list:
        raise TypeError
    target.extend(items)


def _made(what, arguments):
    """The object that a class or function would give."""
    if not isinstance(what, Opaque):
        raise ValueError("it calls what it may not call")
    name, arguments = what.name, arguments if type(arguments) is tuple else ()
    if name == _DICTIONARY:
        # Python 2 wrote the entries as an argument.
        pairs = arguments[0] if len(arguments) == 1 and type(arguments[0]) is list else []
        made = {}
        _set(made, [item for pair in pairs if type(pair) in (list, tuple) and len(pair) == 2 for item in pair])
        return made
    if name in _TENSORS:
        return _tensor(arguments)
    if name in _PARAMETERS and arguments and isinstance(arguments[0], Tensor):
        return arguments[0]
    return Opaque(name)


def _tensor(arguments):
    if len(arguments) < 4:
        raise ValueError("it calls what it may not call")
    storage, offset, shape, strides = arguments[:4]
    if (
        not isinstance(storage, Storage)
        or type(shape) not in (tuple, list)
        or type(strides) not in (tuple, list)
        or len(shape) != len(strides)
        or len(shape) > RANK_MAX
        or not all(type(number) is int and 0 <= number < 2**40 for number in (offset, *shape, *strides))
    ):
        raise ValueError("it holds a tensor with an impossible shape")
    return Tensor(storage, offset, tuple(shape), tuple(strides))
