"""Structs of ``include/coulis.h``, for :mod:`coulis._library`."""

import ctypes
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_void_p

from ._source_structs import Item, Source, SourceInfo, SourceOptions


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
        ("filter", c_int32),
        ("resize_width", c_int32),
        ("resize_height", c_int32),
        ("center", c_int32),
        ("truncated", c_int32),
        ("depth", c_int32),
        ("cmyk", c_int32),
        ("reserved", c_int32),
    ]


class ImageInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("width", c_int32), ("height", c_int32)]


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
        ("default_features", c_int32),
        ("reserved", c_int32),
    ]


class ModelOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("random_weights", c_int32), ("reserved", c_int32)]


class FeaturizerOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("image", POINTER(ImageOptions)),
        ("features", c_int32),
        ("precision", c_int32),
        ("threads", c_int32),
        ("reserved", c_int32),
        ("no_sign_request", c_int32),
        ("requester_pays", c_int32),
    ]


class IndexOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("threads", c_int32), ("reserved", c_int32)]


class MomentsOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("first_row", c_int64), ("threads", c_int32), ("reserved", c_int32)]


StatisticsFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_double), POINTER(c_float), POINTER(c_float))
ProductsFunction = ctypes.CFUNCTYPE(
    c_int32, c_void_p, POINTER(c_double), c_double, POINTER(c_float), c_int64, POINTER(c_double), POINTER(c_double)
)


class Spans(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("rows", c_int64),
        ("cols", c_int64),
        ("context", c_void_p),
        ("statistics", StatisticsFunction),
        ("products", ProductsFunction),
    ]


class PcaOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("components", c_double), ("solver", c_int32), ("threads", c_int32)]


class Input(ctypes.Structure):
    _fields_ = [("path", c_char_p), ("bytes", c_void_p), ("byte_count", c_size_t)]


class Pixels(ctypes.Structure):
    _fields_ = [
        ("pixels", POINTER(c_uint8)),
        ("width", c_int32),
        ("height", c_int32),
        ("channels", c_int32),
        ("orientation", c_int32),
    ]


class ResultStruct(ctypes.Structure):
    _fields_ = [("error", ErrorStruct), ("width", c_int32), ("height", c_int32)]


class ProgressStruct(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
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


class PlanStruct(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("images", c_int64),
        ("added", c_int64),
        ("changed", c_int64),
        ("failed", c_int64),
        ("moved", c_int64),
        ("touched", c_int64),
        ("gone", c_int64),
        ("carried", c_int64),
    ]


PlanFunction = ctypes.CFUNCTYPE(None, c_void_p, POINTER(PlanStruct))


class JobOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("model", c_char_p),
        ("featurizer", POINTER(FeaturizerOptions)),
        ("components", c_double),
        ("rows_per_file", c_int64),
        ("threads", c_int32),
        ("drop_features", c_int32),
        ("overwrite", c_int32),
        ("allow_other_recipe", c_int32),
        ("progress", ProgressFunction),
        ("context", c_void_p),
        ("choose", POINTER(SourceOptions)),
        ("source", c_void_p),  # a coulis_source
        ("pca", c_char_p),
        ("keep_pca", c_int32),
        ("dry_run", c_int32),
        ("plan", PlanFunction),
        ("shard", c_int32),
        ("shards", c_int32),
        ("work", c_char_p),
    ]


class JobResult(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("images", c_int64),
        ("counts", c_int64 * 10),
        ("resumed", c_int64),
        ("length", c_int64),
        ("components", c_int64),
        ("explained_variance", c_double),
        ("error_bound", c_double),
        ("seconds", c_double * 16),
        ("total_seconds", c_double),
        ("images_per_second", c_double),
        ("not_images", c_int64),
        ("left_out_system", c_int64),
        ("left_out_hidden", c_int64),
        ("left_out_excluded", c_int64),
        ("folders_unreadable", c_int64),
    ]


MapFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_int64, c_int64, POINTER(c_float))

WarnFunction = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)


class CollectionOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("threads", c_int32),
        ("what", c_int32),
        ("dtype", c_int32),
        ("normalize", c_int32),
        ("k", c_int64),
        ("threshold", c_double),
        ("seed", c_int64),
        ("max_bytes", c_int64),
        ("map", MapFunction),
        ("map_context", c_void_p),
        ("map_name", c_char_p),
        ("fixed_size", c_int32),
        ("no_sign_request", c_int32),
        ("requester_pays", c_int32),
        ("no_thumbnails", c_int32),
        ("warn", WarnFunction),
        ("warn_context", c_void_p),
    ]


# struct in the header -> its mirror here
STRUCTS = {
    "coulis_error": ErrorStruct,
    "coulis_image_options": ImageOptions,
    "coulis_image_info": ImageInfo,
    "coulis_model_info": ModelInfo,
    "coulis_model_options": ModelOptions,
    "coulis_featurizer_options": FeaturizerOptions,
    "coulis_input": Input,
    "coulis_pixels": Pixels,
    "coulis_result": ResultStruct,
    "coulis_pca_options": PcaOptions,
    "coulis_moments_options": MomentsOptions,
    "coulis_spans": Spans,
    "coulis_index_options": IndexOptions,
    "coulis_progress": ProgressStruct,
    "coulis_plan": PlanStruct,
    "coulis_item": Item,
    "coulis_source": Source,
    "coulis_source_options": SourceOptions,
    "coulis_source_info": SourceInfo,
    "coulis_job_options": JobOptions,
    "coulis_job_result": JobResult,
    "coulis_collection_options": CollectionOptions,
}
