"""Structs of sources in ``include/coulis.h``, for :mod:`coulis._library`. A pointer to an error is a void pointer."""

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_void_p


class SourceOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("label", c_char_p),
        ("include", POINTER(c_char_p)),
        ("exclude", POINTER(c_char_p)),
        ("include_count", c_int64),
        ("exclude_count", c_int64),
        ("all_files", c_int32),
        ("zero_terminated", c_int32),
        ("no_sign_request", c_int32),
        ("requester_pays", c_int32),
    ]


class SourceInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("system", c_int64),
        ("hidden", c_int64),
        ("excluded", c_int64),
        ("unreadable", c_int64),
    ]


class Item(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("label", c_char_p),
        ("values", POINTER(c_char_p)),
        ("bytes", c_int64),
        ("modified", c_int64),
        ("key", c_int64),
        ("now", c_int32),
        ("reserved", c_int32),
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
        ("readers", c_int32),
        ("reserved", c_int32),
        ("stop", CloseFunction),
    ]
