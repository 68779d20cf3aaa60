"""Structs of ``include/coulis.h``, for :mod:`coulis._library`."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from typing import Any


def _of(kind: Any, names: str) -> list[tuple[str, Any]]:
    """Fields of one type that follow each other."""
    return [(name, kind) for name in names.split()]


class ErrorStruct(ctypes.Structure):
    _fields_ = [("status", c_int32), ("message", c_char * 508)]


class ImageOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        *_of(c_int32, "resize orient alpha decode"),
        *_of(c_int64, "max_bytes max_pixels"),
        *_of(c_int32, "filter resize_width resize_height center truncated depth cmyk reserved"),
    ]


class ImageInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("width", c_int32), ("height", c_int32)]


class ModelInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        *_of(c_char_p, "name source licence sha256"),
        *_of(c_int32, "input_width input_height"),
        *_of(c_int64, "pooled_length map_length logits_length parameters multiply_adds"),
        *_of(c_int32, "default_features reserved"),
    ]


class ModelOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("random_weights", c_int32), ("reserved", c_int32)]


class FeaturizerOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("image", POINTER(ImageOptions)),
        *_of(c_int32, "features precision threads reserved no_sign_request requester_pays"),
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
        *_of(c_int64, "rows cols"),
        ("context", c_void_p),
        ("statistics", StatisticsFunction),
        ("products", ProductsFunction),
    ]


class PcaOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("components", c_double), ("solver", c_int32), ("threads", c_int32)]


class Input(ctypes.Structure):
    _fields_ = [("path", c_char_p), ("bytes", c_void_p), ("byte_count", c_size_t)]


class Pixels(ctypes.Structure):
    _fields_ = [("pixels", POINTER(c_uint8)), *_of(c_int32, "width height channels orientation")]


class ResultStruct(ctypes.Structure):
    _fields_ = [("error", ErrorStruct), ("width", c_int32), ("height", c_int32)]


class ProgressStruct(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        *_of(c_int32, "stage reserved"),
        *_of(c_int64, "done total resumed failed"),
        ("seconds", c_double),
    ]


ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(ProgressStruct))
ModelFunction = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)


class PlanStruct(ctypes.Structure):
    _fields_ = [("size", c_size_t), *_of(c_int64, "images added changed failed moved touched gone carried")]


PlanFunction = ctypes.CFUNCTYPE(None, c_void_p, POINTER(PlanStruct))


# A pointer to an error is a void pointer here.
class SourceOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("label", c_char_p),
        *_of(POINTER(c_char_p), "include exclude"),
        *_of(c_int64, "include_count exclude_count"),
        *_of(c_int32, "all_files zero_terminated no_sign_request requester_pays"),
    ]


class SourceInfo(ctypes.Structure):
    _fields_ = [("size", c_size_t), *_of(c_int64, "system hidden excluded unreadable")]


class Item(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        *_of(c_char_p, "name label"),
        ("values", POINTER(c_char_p)),
        *_of(c_int64, "bytes modified key"),
        *_of(c_int32, "now reserved"),
    ]


NextFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Item), c_void_p)
ReadFunction = ctypes.CFUNCTYPE(
    c_int32, c_void_p, POINTER(Item), c_int64, POINTER(c_void_p), POINTER(c_size_t), c_void_p
)
ReleaseFunction = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
StepFunction = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
CloseFunction = ctypes.CFUNCTYPE(None, c_void_p)


class Source(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("context", c_void_p),
        ("count", c_int64),
        ("columns", POINTER(c_char_p)),
        ("column_count", c_int64),
        ("identity", c_char_p),
        ("next", NextFunction),
        ("read", ReadFunction),
        ("release", ReleaseFunction),
        ("close", CloseFunction),
        *_of(c_int32, "readers reserved"),
        ("stop", CloseFunction),
    ]


class JobOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("model", c_char_p),
        ("featurizer", POINTER(FeaturizerOptions)),
        ("components", c_double),
        ("rows_per_file", c_int64),
        *_of(c_int32, "threads drop_features overwrite allow_other_recipe"),
        ("progress", ProgressFunction),
        ("context", c_void_p),
        ("choose", POINTER(SourceOptions)),
        ("source", c_void_p),  # a coulis_source
        ("pca", c_char_p),
        *_of(c_int32, "keep_pca dry_run"),
        ("plan", PlanFunction),
        *_of(c_int32, "shard shards"),
        ("work", c_char_p),
    ]


class JobResult(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("images", c_int64),
        ("counts", c_int64 * 10),
        *_of(c_int64, "resumed length components"),
        *_of(c_double, "explained_variance error_bound"),
        ("seconds", c_double * 16),
        *_of(c_double, "total_seconds images_per_second"),
        *_of(c_int64, "not_images left_out_system left_out_hidden left_out_excluded folders_unreadable"),
    ]


MapFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_int64, c_int64, POINTER(c_float))

WarnFunction = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)


class CollectionOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        *_of(c_int32, "threads what dtype normalize"),
        ("k", c_int64),
        ("threshold", c_double),
        *_of(c_int64, "seed max_bytes"),
        ("map", MapFunction),
        ("map_context", c_void_p),
        ("map_name", c_char_p),
        *_of(c_int32, "fixed_size no_sign_request requester_pays no_thumbnails"),
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
