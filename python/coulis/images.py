"""One image: decoded and resized."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import numpy

from . import _library
from .options import ImageOptions, complete, takes

if TYPE_CHECKING:
    from typing_extensions import Unpack


def max_bytes() -> int:
    """Size of a file at most."""
    return int(_library.new(_library.ImageOptions).max_bytes)


def image_options(
    *,
    resize: str,
    orient: str | None,
    alpha: str | None,
    decode: str,
    like: str | None,
    truncated: str,
    depth: str,
    cmyk: str,
    max_pixels: int | None,
    max_bytes: int | None = None,
) -> Any:
    """``coulis_image_options`` from words; None is the default of the library, or of what `like` names."""
    if like not in (None, "pillow"):
        raise ValueError(f"like must be None or 'pillow', not {like!r}")
    options = _library.new(_library.ImageOptions)
    options.resize = _library.choice("resize", resize)
    options.orient = _library.choice("orient", ("ignore" if like else "exif") if orient is None else orient)
    options.alpha = _library.choice("alpha", ("drop" if like else "white") if alpha is None else alpha)
    options.decode = _library.choice("decode", decode)
    options.truncated = _library.choice("truncated", truncated)
    options.depth = _library.choice("depth", depth)
    options.cmyk = _library.choice("cmyk", cmyk)
    set_limit(options, "max_pixels", max_pixels)
    set_limit(options, "max_bytes", max_bytes)
    return options


def set_limit(options: Any, name: str, limit: int | None) -> None:
    """Sets a limit of ``coulis_image_options``, unless it is None."""
    if limit is None:
        return
    number = int(limit)
    if number != limit or not 1 <= number < 2**62:
        raise ValueError(f"{name} must be a whole number from 1, not {limit!r}")
    setattr(options, name, number)


@takes(ImageOptions, resize="squash")
def load_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    size: tuple[int, int] = (224, 224),
    *,
    filter: str = "bicubic",
    resize_to: int | tuple[int, int] | None = None,
    center: str = "even",
    **options: Unpack[ImageOptions],
) -> numpy.ndarray[Any, Any]:
    """Decode an image and resize it.

    With ``like="pillow"`` the bytes equal Pillow's ``Image.open(f).convert("RGB").resize(size, Image.BICUBIC)``;
    without, the image is turned upright and put on white first. `resize` and `decode` may say otherwise.

    Parameters
    ----------
    source : str, os.PathLike, bytes, bytearray or memoryview
        A path, or the whole file in memory.
    size : (int, int)
        Width and height in pixels, as in Pillow.
    filter : {"bicubic", "bilinear", "nearest", "lanczos", "plain"}
        Pillow's filters, or OpenCV's ``INTER_LINEAR``, which does not antialias.
    resize_to : int or (int, int), optional
        What the shorter side becomes, or width and height, before the centre of `size` is cut out; `size` itself when
        left out.
    center : {"even", "down"}
        Where the centre begins when an odd number of pixels is left over: as torchvision and timm round, or as
        transformers do.
    **options
        See :class:`coulis.ImageOptions`. `resize` is ``"squash"`` unless you say otherwise; ``"published"``: as
        `filter`, `resize_to` and `center` say.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width, 3), RGB.

    Raises
    ------
    Error
        When the image cannot be read; ``status`` is one of ``unreadable``, ``unsupported``,
        ``too_large``, ``empty``, ``missing``.
    """
    width, height = (int(side) for side in size)
    if not 1 <= width <= 0x7FFF or not 1 <= height <= 0x7FFF:
        raise ValueError(f"size must be two numbers from 1 to 32767, not {size!r}")
    words = complete(load_image, options)
    native = image_options(**words)
    if words["resize"] == "published":
        native.filter = _library.choice("filter", filter)
        native.center = _library.choice("center", center)
        sides = (resize_to or 0, 0) if isinstance(resize_to, (int, type(None))) else resize_to
        native.resize_width, native.resize_height = (int(side) for side in sides)
        if resize_to and (sides[0] < width or (sides[1] or sides[0]) < height):
            raise ValueError(f"resize_to is {resize_to!r}, less than the size {size!r} that is cut out of it")
    elif (filter, resize_to, center) != ("bicubic", None, "even"):
        raise ValueError('filter, resize_to and center go with resize="published"')
    pixels = numpy.empty((height, width, 3), numpy.uint8)
    rest = (ctypes.byref(native), width, height, _library.pointer(pixels, ctypes.c_uint8), None)
    if isinstance(source, (bytes, bytearray, memoryview)):
        keep: list[Any] = []
        _library.call("coulis_image_decode", *_library.buffer_address(source, keep), *rest)
    else:
        _library.call("coulis_image_load", _library.path_bytes(source), *rest)
    return pixels
