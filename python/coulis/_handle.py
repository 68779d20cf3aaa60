"""Owners of what the library hands out."""

import ctypes

from . import _library


class Handle:
    """An opaque pointer of the library, released with the last reference to this object.

    Goes where the library wants a pointer; :attr:`out` where it wants the place to put one.
    """

    def __init__(self, free):
        self._free = getattr(_library.library(), free)
        self._as_parameter_ = ctypes.c_void_p()

    @property
    def out(self):
        return ctypes.byref(self._as_parameter_)

    def __del__(self):
        self._free(self._as_parameter_)
