"""Owners of what the library hands out."""

from __future__ import annotations

import ctypes
from typing import Any

from . import _library


class Handle:
    """An opaque pointer of the library, released with the last reference to this object.

    Goes where the library wants a pointer; :attr:`out` where it wants the place to put one.
    """

    def __init__(self, free: str) -> None:
        self._as_parameter_ = ctypes.c_void_p()
        self._free = getattr(_library.library(), free)

    @property
    def out(self) -> Any:
        return ctypes.byref(self._as_parameter_)

    def __del__(self) -> None:
        if self._as_parameter_:
            self._free(self._as_parameter_)
