"""The C library: where it lies, what its header declares, and how its failures become exceptions.

Everything here mirrors ``include/coulis.h``; ``tests/python/test_header.py`` compares the two.
"""

import ctypes
import functools
import os
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from pathlib import Path

from .error import error_of

VERSION = "0.1.0"


# ---- structs -------------------------------------------------------------------


class ErrorStruct(ctypes.Structure):
    _fields_ = [("status", c_int32), ("message", c_char * 508)]


class ImageOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("resize", c_int32),
        ("orient", c_int32),
        ("alpha", c_int32),
        ("decode", c_int32),
        ("max_bytes", c_int64),
        ("max_pixels", c_int64),
    ]


class ModelInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("source", c_char_p),
        ("licence", c_char_p),
        ("sha256", c_char_p),
        ("input_width", c_int32),
        ("input_height", c_int32),
        ("pooled_length", c_int64),
        ("map_length", c_int64),
        ("logits_length", c_int64),
        ("parameters", c_int64),
        ("multiply_adds", c_int64),
    ]


class PcaOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("components", c_double), ("solver", c_int32), ("threads", c_int32)]


class Input(ctypes.Structure):
    _fields_ = [("path", c_char_p), ("bytes", c_void_p), ("byte_count", c_size_t)]


class ResultStruct(ctypes.Structure):
    _fields_ = [("error", ErrorStruct), ("width", c_int32), ("height", c_int32)]


class ProgressStruct(ctypes.Structure):
    _fields_ = [
        ("stage", c_int32),
        ("reserved", c_int32),
        ("done", c_int64),
        ("total", c_int64),
        ("resumed", c_int64),
        ("failed", c_int64),
        ("seconds", c_double),
    ]


ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(ProgressStruct))
ModelFunction = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)


class JobOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("model", c_char_p),
        ("features", c_int32),
        ("threads", c_int32),
        ("image", ImageOptions),
        ("precision", c_int32),
        ("reserved", c_int32),
        ("components", c_double),
        ("rows_per_file", c_int64),
        ("drop_features", c_int32),
        ("overwrite", c_int32),
        ("progress", ProgressFunction),
        ("context", c_void_p),
    ]


# struct in the header -> its mirror here
STRUCTS = {
    "coulis_error": ErrorStruct,
    "coulis_image_options": ImageOptions,
    "coulis_model_info": ModelInfo,
    "coulis_input": Input,
    "coulis_result": ResultStruct,
    "coulis_pca_options": PcaOptions,
    "coulis_progress": ProgressStruct,
    "coulis_job_options": JobOptions,
}

# ---- enums ----------------------------------------------------------------------

STATUS_OK = 0
STATUS_INTERRUPTED = 17
FEATURES = {"pooled": 0, "map": 1, "logits": 2}
RESIZE = {"squash": 0, "crop": 1}
ORIENT = {"ignore": 0, "exif": 1}
ALPHA = {"drop": 0, "white": 1}
DECODE = {"exact": 0, "fast": 1}
PRECISION = {"float32": 0, "bf16": 1, "int8": 2}
SOLVER = {"auto": 0, "covariance": 1, "gram": 2, "randomized": 3}
STAGES = ("list", "featurize", "fit", "transform")

# ---- functions ------------------------------------------------------------------

_STATUS = c_int32  # an enum whose values all fit an int
_ERROR = POINTER(ErrorStruct)
_HANDLE = c_void_p  # an opaque struct
_FLOATS = POINTER(c_float)
_DOUBLES = POINTER(c_double)
_BYTES = POINTER(c_uint8)
_STRINGS = POINTER(c_char_p)
_JOB = [POINTER(JobOptions), _STRINGS, _ERROR]

# name -> (result, arguments)
FUNCTIONS = {
    "coulis_version": (c_char_p, []),
    "coulis_status_name": (c_char_p, [c_int32]),
    "coulis_instruction_set": (c_char_p, []),
    "coulis_core_count": (c_int32, []),
    "coulis_image_options_init": (None, [POINTER(ImageOptions)]),
    "coulis_image_decode": (
        _STATUS,
        [
            c_void_p,
            c_size_t,
            POINTER(ImageOptions),
            c_int32,
            c_int32,
            _BYTES,
            POINTER(c_int32),
            POINTER(c_int32),
            _ERROR,
        ],
    ),
    "coulis_image_load": (
        _STATUS,
        [c_char_p, POINTER(ImageOptions), c_int32, c_int32, _BYTES, POINTER(c_int32), POINTER(c_int32), _ERROR],
    ),
    "coulis_model_find": (_STATUS, [c_char_p, c_char_p, c_size_t, _ERROR]),
    "coulis_model_list": (_STATUS, [ModelFunction, c_void_p, _ERROR]),
    "coulis_model_open": (_STATUS, [c_char_p, c_int32, POINTER(_HANDLE), _ERROR]),
    "coulis_model_close": (None, [_HANDLE]),
    "coulis_model_describe": (_STATUS, [_HANDLE, POINTER(ModelInfo)]),
    "coulis_featurizer_create": (
        _STATUS,
        [_HANDLE, c_int32, c_int32, POINTER(ImageOptions), c_int32, POINTER(_HANDLE), _ERROR],
    ),
    "coulis_featurizer_free": (None, [_HANDLE]),
    "coulis_featurizer_length": (c_int64, [_HANDLE]),
    "coulis_featurizer_run": (
        _STATUS,
        [_HANDLE, POINTER(Input), c_int64, _FLOATS, POINTER(ResultStruct), _ERROR],
    ),
    "coulis_featurizer_run_pixels": (_STATUS, [_HANDLE, _BYTES, c_int64, _FLOATS, _ERROR]),
    "coulis_pca_options_init": (None, [POINTER(PcaOptions)]),
    "coulis_pca_fit": (_STATUS, [_FLOATS, c_int64, c_int64, POINTER(PcaOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_pca_free": (None, [_HANDLE]),
    "coulis_pca_save": (_STATUS, [_HANDLE, c_char_p, _ERROR]),
    "coulis_pca_load": (_STATUS, [c_char_p, POINTER(_HANDLE), _ERROR]),
    "coulis_pca_components_count": (c_int64, [_HANDLE]),
    "coulis_pca_columns": (c_int64, [_HANDLE]),
    "coulis_pca_samples": (c_int64, [_HANDLE]),
    "coulis_pca_total_variance": (c_double, [_HANDLE]),
    "coulis_pca_solver": (c_int32, [_HANDLE]),
    "coulis_pca_error_bound": (c_double, [_HANDLE]),
    "coulis_pca_mean": (_DOUBLES, [_HANDLE]),
    "coulis_pca_components": (_FLOATS, [_HANDLE]),
    "coulis_pca_explained_variance": (_DOUBLES, [_HANDLE]),
    "coulis_pca_explained_variance_ratio": (_DOUBLES, [_HANDLE]),
    "coulis_pca_transform": (_STATUS, [_HANDLE, _FLOATS, c_int64, c_int32, _FLOATS, _ERROR]),
    "coulis_pca_inverse_transform": (_STATUS, [_HANDLE, _FLOATS, c_int64, _FLOATS, _ERROR]),
    "coulis_moments_leaf_rows": (c_int64, [c_int64]),
    "coulis_moments_create": (_STATUS, [c_int64, c_int64, c_int32, POINTER(_HANDLE), _ERROR]),
    "coulis_moments_free": (None, [_HANDLE]),
    "coulis_moments_update": (_STATUS, [_HANDLE, _FLOATS, c_int64, _ERROR]),
    "coulis_moments_merge": (_STATUS, [_HANDLE, _HANDLE, _ERROR]),
    "coulis_moments_finish": (_STATUS, [_HANDLE, POINTER(PcaOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_moments_save": (_STATUS, [_HANDLE, c_void_p, POINTER(c_size_t), _ERROR]),
    "coulis_moments_load": (_STATUS, [c_void_p, c_size_t, c_int32, POINTER(_HANDLE), _ERROR]),
    "coulis_bytes_free": (None, [c_void_p]),
    "coulis_moments_rows": (c_int64, [_HANDLE]),
    "coulis_moments_columns": (c_int64, [_HANDLE]),
    "coulis_job_options_init": (None, [POINTER(JobOptions)]),
    "coulis_string_free": (None, [c_char_p]),
    "coulis_job_run": (_STATUS, [_STRINGS, c_int64, c_char_p] + _JOB),
    "coulis_job_featurize": (_STATUS, [_STRINGS, c_int64, c_char_p] + _JOB),
    "coulis_job_fit": (_STATUS, [c_char_p, c_char_p] + _JOB),
    "coulis_job_transform": (_STATUS, [c_char_p, c_char_p, c_char_p] + _JOB),
}


# ---- finding and calling -----------------------------------------------------------


def _find():
    """Path of the shared library: COULIS_LIBRARY, beside this package, or a checkout's build folder."""
    named = os.environ.get("COULIS_LIBRARY")
    if named:
        return Path(named)
    here = Path(__file__).resolve().parent
    beside = sorted(here.glob("libcoulis.so*"))
    if beside:
        return beside[0]
    built = here.parents[1] / "build" / "libcoulis.so"
    if built.exists():
        return built
    raise ImportError(
        f"libcoulis.so is neither in {here} nor at {built}: build it with './run build', install the wheel, "
        "or name it in the environment variable COULIS_LIBRARY"
    )


@functools.cache
def library():
    """The loaded library, declared; loaded once, at the first use."""
    path = _find()
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(f"the library {path} could not be loaded: {error}") from error
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(loaded, name, None)
        if function is None:
            raise ImportError(f"the library {path} has no function {name}: it belongs to another version of coulis")
        function.restype = result
        function.argtypes = arguments
    found = loaded.coulis_version().decode()
    if found != VERSION:
        raise ImportError(f"the library {path} is version {found}, this package is {VERSION}")
    return loaded


def status_name(code):
    """The word for a status number."""
    return library().coulis_status_name(code).decode()


def call(name, *arguments):
    """Calls a fallible function, with a fresh ``coulis_error`` as its last argument.

    Raises
    ------
    Error
        With the library's own sentence, when the call does not return ``COULIS_OK``.
    """
    error = ErrorStruct()
    code = getattr(library(), name)(*arguments, ctypes.byref(error))
    if code != STATUS_OK:
        word = status_name(code)
        raise error_of(error.message.decode("utf-8", "replace") or f"{name} failed: {word}", word, code)


# ---- arguments ---------------------------------------------------------------------


def path_bytes(path):
    """A path (str or os.PathLike) as the bytes C wants."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError(f"the path {path!r} holds a null character")
    return encoded


def choice(option, word, words):
    """The number that stands for ``word``, one of the keys of ``words``."""
    try:
        return words[word]
    except (KeyError, TypeError):
        raise ValueError(f"{option} must be one of {', '.join(map(repr, words))}, not {word!r}") from None


def threads_number(threads):
    """None (all cores) or a count of at least 1, as the library's number."""
    if threads is None:
        return 0
    number = int(threads)
    if number != threads or not 1 <= number <= 0x7FFFFFFF:
        raise ValueError(f"threads must be None for all cores or at least 1, not {threads!r}")
    return number


def image_options(resize, orient, alpha, decode):
    """``coulis_image_options`` with the four words set."""
    options = ImageOptions()
    library().coulis_image_options_init(ctypes.byref(options))
    options.resize = choice("resize", resize, RESIZE)
    options.orient = choice("orient", orient, ORIENT)
    options.alpha = choice("alpha", alpha, ALPHA)
    options.decode = choice("decode", decode, DECODE)
    return options


def is_bytes(source):
    """Whether a picture is given as bytes in memory rather than as a path."""
    return isinstance(source, (bytes, bytearray, memoryview))


def buffer_address(source, keep):
    """Address and length of a bytes-like object, which ``keep`` (a list) holds on to."""
    import numpy

    if len(source) == 0:
        source = b"\0"  # any address but NULL, which would mean "no bytes given"
        size = 0
    else:
        size = memoryview(source).nbytes
    view = numpy.frombuffer(source, numpy.uint8)
    keep.append(view)
    return view.ctypes.data, size


def pointer(array, kind):
    """The address of a contiguous array as a ctypes pointer to ``kind``."""
    return array.ctypes.data_as(POINTER(kind))
