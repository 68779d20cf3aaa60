"""The C library: where it lies, what its header declares, and how its failures become exceptions.

Everything here mirrors ``include/coulis.h``; ``tests/python/test_header.py`` compares the two.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterable
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from typing import TYPE_CHECKING, Any

from ._place import find
from ._structs import (
    STRUCTS,
    CollectionOptions,
    ErrorStruct,
    FeaturizerOptions,
    ImageInfo,
    ImageOptions,
    IndexOptions,
    Input,
    Item,
    JobOptions,
    JobResult,
    MapFunction,  # noqa: F401 for coulis.collection
    ModelFunction,
    ModelInfo,
    ModelOptions,
    MomentsOptions,
    PcaOptions,
    Pixels,
    PlanStruct,
    ProgressFunction,  # noqa: F401 for coulis.jobs
    ProgressStruct,
    ResultStruct,
    ProductsFunction,  # noqa: F401 for coulis.spans
    Source,
    SourceInfo,
    SourceOptions,
    Spans,
    StatisticsFunction,  # noqa: F401 for coulis.spans
    StepFunction,
    WarnFunction,  # noqa: F401 for coulis.collection
)
from .error import error_of

if TYPE_CHECKING:
    import numpy

STATUS_OK = 0

# ---- functions ------------------------------------------------------------------

_STATUS = c_int32  # an enum whose values all fit an int
_ERROR = POINTER(ErrorStruct)
_HANDLE = c_void_p  # an opaque struct
_FLOATS = POINTER(c_float)
_DOUBLES = POINTER(c_double)
_INT64S = POINTER(c_int64)
_BYTES = POINTER(c_uint8)
_STRINGS = POINTER(c_char_p)
_COLLECTION = [POINTER(CollectionOptions), _STRINGS, _ERROR]
_JOB = [POINTER(JobOptions), POINTER(JobResult), _STRINGS, _ERROR]

# name -> (result, arguments)
FUNCTIONS = {
    "coulis_version": (c_char_p, []),
    "coulis_status_name": (c_char_p, [c_int32]),
    "coulis_status_number": (c_int32, [c_char_p]),
    "coulis_option_word": (c_char_p, [c_char_p, c_int32]),
    "coulis_option_number": (c_int32, [c_char_p, c_char_p]),
    "coulis_instruction_set": (c_char_p, []),
    "coulis_core_count": (c_int32, []),
    "coulis_image_decode": (
        _STATUS,
        [c_void_p, c_size_t, POINTER(ImageOptions), c_int32, c_int32, _BYTES, POINTER(ImageInfo), _ERROR],
    ),
    "coulis_image_load": (
        _STATUS,
        [c_char_p, POINTER(ImageOptions), c_int32, c_int32, _BYTES, POINTER(ImageInfo), _ERROR],
    ),
    "coulis_model_find": (_STATUS, [c_char_p, c_char_p, c_size_t, _ERROR]),
    "coulis_model_list": (_STATUS, [ModelFunction, c_void_p, _ERROR]),
    "coulis_model_open": (_STATUS, [c_char_p, POINTER(ModelOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_model_close": (None, [_HANDLE]),
    "coulis_model_describe": (_STATUS, [_HANDLE, POINTER(ModelInfo), _ERROR]),
    "coulis_model_features_length": (c_int64, [_HANDLE, c_int32]),
    "coulis_featurizer_create": (_STATUS, [_HANDLE, POINTER(FeaturizerOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_featurizer_free": (None, [_HANDLE]),
    "coulis_featurizer_length": (c_int64, [_HANDLE]),
    "coulis_featurizer_recipe": (c_char_p, [_HANDLE]),
    "coulis_featurizer_run": (_STATUS, [_HANDLE, POINTER(Input), c_int64, _FLOATS, POINTER(ResultStruct), _ERROR]),
    "coulis_featurizer_run_images": (
        _STATUS,
        [_HANDLE, POINTER(Pixels), c_int64, _FLOATS, POINTER(ResultStruct), _ERROR],
    ),
    "coulis_featurizer_run_pixels": (_STATUS, [_HANDLE, _BYTES, c_int64, _FLOATS, _ERROR]),
    "coulis_featurizer_run_tokens": (_STATUS, [_HANDLE, POINTER(c_int32), c_int64, _FLOATS, _ERROR]),
    "coulis_pca_fit": (_STATUS, [_FLOATS, c_int64, c_int64, POINTER(PcaOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_pca_free": (None, [_HANDLE]),
    "coulis_pca_save": (_STATUS, [_HANDLE, c_char_p, _ERROR]),
    "coulis_pca_load": (_STATUS, [c_char_p, POINTER(_HANDLE), _ERROR]),
    "coulis_pca_recipe": (c_char_p, [_HANDLE]),
    "coulis_pca_set_recipe": (_STATUS, [_HANDLE, c_char_p, _ERROR]),
    "coulis_pca_check_recipe": (_STATUS, [_HANDLE, c_char_p, c_char_p, _ERROR]),
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
    "coulis_moments_create": (_STATUS, [c_int64, POINTER(MomentsOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_moments_free": (None, [_HANDLE]),
    "coulis_moments_update": (_STATUS, [_HANDLE, _FLOATS, c_int64, _ERROR]),
    "coulis_moments_merge": (_STATUS, [_HANDLE, _HANDLE, _ERROR]),
    "coulis_moments_finish": (_STATUS, [_HANDLE, POINTER(PcaOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_moments_save": (_STATUS, [_HANDLE, c_void_p, POINTER(c_size_t), _ERROR]),
    "coulis_moments_load": (_STATUS, [c_void_p, c_size_t, POINTER(MomentsOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_bytes_free": (None, [c_void_p]),
    "coulis_moments_rows": (c_int64, [_HANDLE]),
    "coulis_moments_columns": (c_int64, [_HANDLE]),
    "coulis_span_rows": (c_int64, [c_int64]),
    "coulis_span_create": (_STATUS, [c_int64, _DOUBLES, c_double, _FLOATS, c_int64, c_int32, POINTER(_HANDLE), _ERROR]),
    "coulis_span_free": (None, [_HANDLE]),
    "coulis_span_add": (_STATUS, [_HANDLE, _FLOATS, c_int64, _ERROR]),
    "coulis_span_statistics": (_STATUS, [_HANDLE, _DOUBLES, _FLOATS, _FLOATS, _ERROR]),
    "coulis_span_products": (_STATUS, [_HANDLE, _DOUBLES, _DOUBLES, _ERROR]),
    "coulis_pca_fit_spans": (_STATUS, [POINTER(Spans), POINTER(PcaOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_index_create": (_STATUS, [_FLOATS, c_int64, c_int64, POINTER(IndexOptions), POINTER(_HANDLE), _ERROR]),
    "coulis_index_free": (None, [_HANDLE]),
    "coulis_index_search": (_STATUS, [_HANDLE, _FLOATS, c_int64, c_int64, _FLOATS, _INT64S, _ERROR]),
    "coulis_index_pairs": (_STATUS, [_HANDLE, _HANDLE, c_double, POINTER(_HANDLE), _ERROR]),
    "coulis_pairs_free": (None, [_HANDLE]),
    "coulis_pairs_count": (c_int64, [_HANDLE]),
    "coulis_pairs_first": (_INT64S, [_HANDLE]),
    "coulis_pairs_second": (_INT64S, [_HANDLE]),
    "coulis_pairs_similarity": (_FLOATS, [_HANDLE]),
    "coulis_source_open": (
        _STATUS,
        [_STRINGS, c_int64, POINTER(SourceOptions), c_char_p, POINTER(POINTER(Source)), _ERROR],
    ),
    "coulis_source_serves": (c_int32, [c_char_p]),
    "coulis_source_write": (_STATUS, [POINTER(Source), c_char_p, POINTER(c_int64), _ERROR]),
    "coulis_source_describe": (None, [POINTER(Source), POINTER(SourceInfo)]),
    "coulis_check": (_STATUS, [c_char_p, POINTER(SourceOptions), StepFunction, c_void_p, _ERROR]),
    "coulis_source_close": (None, [POINTER(Source)]),
    "coulis_string_free": (None, [c_char_p]),
    "coulis_job_run": (_STATUS, [_STRINGS, c_int64, c_char_p] + _JOB),
    "coulis_job_apply": (_STATUS, [_STRINGS, c_int64, c_char_p, c_char_p] + _JOB),
    "coulis_job_featurize": (_STATUS, [_STRINGS, c_int64, c_char_p] + _JOB),
    "coulis_job_merge": (_STATUS, [_STRINGS, c_int64, c_char_p] + _JOB),
    "coulis_job_fit": (_STATUS, [c_char_p, c_char_p] + _JOB),
    "coulis_job_verify": (_STATUS, [c_char_p, _STRINGS, _ERROR]),
    "coulis_job_transform": (_STATUS, [c_char_p, c_char_p, c_char_p] + _JOB),
    "coulis_search": (_STATUS, [c_char_p, _STRINGS, c_int64] + _COLLECTION),
    "coulis_contact_sheet": (_STATUS, [c_char_p, c_char_p, c_char_p, POINTER(CollectionOptions), _ERROR]),
    "coulis_dedup": (_STATUS, [c_char_p, c_char_p, c_char_p] + _COLLECTION),
    "coulis_cluster": (_STATUS, [c_char_p, c_char_p] + _COLLECTION),
    "coulis_export": (_STATUS, [c_char_p, c_char_p] + _COLLECTION),
    "coulis_view": (_STATUS, [c_char_p, c_char_p] + _COLLECTION),
}
# Structs that begin with their size, each with its coulis_..._init.
SIZED = {
    kind: f"{name}_init"
    for name, kind in STRUCTS.items()
    if kind._fields_[0][0] == "size" and kind not in (ProgressStruct, PlanStruct, Item, Source, Spans)
}
FUNCTIONS.update({name: (None, [POINTER(kind), c_size_t]) for kind, name in SIZED.items()})


# ---- finding and calling -----------------------------------------------------------


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library, declared; loaded once, at the first use."""
    path = find()
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
    return loaded


def version() -> str:
    """The version of the library, which is that of this package: a later library serves an earlier package too."""
    return library().coulis_version().decode()


def new(kind: Any) -> Any:
    """A struct that begins with its size, with the library's defaults."""
    made = kind()
    getattr(library(), SIZED[kind])(ctypes.byref(made), ctypes.sizeof(kind))
    return made


@functools.cache
def words(option: str) -> tuple[str, ...]:
    """The words of an option, in the order of their numbers: ``words("features")[0]`` is ``"pooled"``."""
    found: list[str] = []
    while (word := library().coulis_option_word(option.encode(), len(found))) is not None:
        found.append(word.decode())
    return tuple(found)


def status_name(code: int) -> str:
    """The word for a status number."""
    return library().coulis_status_name(code).decode()


def status_number(word: str) -> int:
    """The number of a status, by its word."""
    return library().coulis_status_number(word.encode())


def call(name: str, *arguments: Any) -> None:
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


def path_bytes(path: str | os.PathLike[str]) -> bytes:
    """A path (str or os.PathLike) as the bytes C wants."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError(f"the path {path!r} holds a null character")
    return encoded


def choice(option: str, word: object, allowed: Iterable[str] | None = None) -> int:
    """The number that stands for ``word``, one of the words of ``option`` (``allowed`` for those that Python alone
    has), in their order."""
    known = words(option) if allowed is None else tuple(allowed)
    if not isinstance(word, str) or word not in known:
        raise ValueError(f"{option} must be one of {', '.join(map(repr, known))}, not {word!r}")
    return known.index(word)


def threads_number(threads: int | None) -> int:
    """None (all cores) or a count of at least 1, as the library's number."""
    if threads is None:
        return 0
    number = int(threads)
    if number != threads or not 1 <= number <= 0x7FFFFFFF:
        raise ValueError(f"threads must be None for all cores or at least 1, not {threads!r}")
    return number


def featurizer_options(features: str, precision: str, image: Any, threads: int | None = None) -> Any:
    """``coulis_featurizer_options`` that point to ``image`` (``coulis_image_options``)."""
    options = new(FeaturizerOptions)
    options.image = ctypes.pointer(image)
    options.features = choice("features", features)
    options.precision = choice("precision", precision)
    options.threads = threads_number(threads)
    return options


def is_bytes(source: object) -> bool:
    """Whether an image is given as bytes in memory rather than as a path."""
    return isinstance(source, (bytes, bytearray, memoryview))


def buffer_address(source: Any, keep: list[Any]) -> tuple[int, int]:
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


def pointer(array: numpy.ndarray[Any, Any], kind: Any) -> Any:
    """The address of a contiguous array as a ctypes pointer to ``kind``."""
    return array.ctypes.data_as(POINTER(kind))
