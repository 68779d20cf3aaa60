"""One picture: decoded and resized."""

import ctypes

import numpy

from . import _library


def load_image(source, size=(224, 224), *, resize="squash", orient="ignore", alpha="drop", decode="exact",
               filter="bicubic", resize_to=None, center="even"):
    """Decode a JPEG, PNG or WebP and resize it.

    The bytes equal Pillow's ``Image.open(f).convert("RGB").resize(size, Image.BICUBIC)``, unless `resize` or `decode`
    say otherwise.

    Parameters
    ----------
    source : str, os.PathLike, bytes, bytearray or memoryview
        A path, or the whole file in memory.
    size : (int, int)
        Width and height in pixels, as in Pillow.
    resize : {"squash", "crop", "published"}
        Stretch to `size`; or bring the shorter side to it and cut the centre out; or resize as `filter`, `resize_to`
        and `center` say, as publishers of networks do.
    orient : {"ignore", "exif"}
        Whether to turn the picture as its EXIF orientation says.
    alpha : {"drop", "white"}
        Leave transparency out, as Pillow does, or paint on white.
    decode : {"exact", "fast"}
        ``fast``: a JPEG far larger than `size` is decoded at 1/2, 1/4 or 1/8 of its own, the smallest at
        which both sides are still twice what they are resized to. Pixels change a little.
    filter : {"bicubic", "bilinear", "nearest", "lanczos", "plain"}
        Pillow's filters, or OpenCV's ``INTER_LINEAR``, which does not antialias.
    resize_to : int or (int, int), optional
        What the shorter side becomes, or width and height, before the centre of `size` is cut out; `size` itself when
        left out.
    center : {"even", "down"}
        Where the centre begins when an odd number of pixels is left over: as torchvision and timm round, or as
        transformers do.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width, 3), RGB.

    Raises
    ------
    Error
        When the picture cannot be read; ``status`` is one of ``unreadable``, ``unsupported``,
        ``too_large``, ``empty``, ``missing``.
    """
    width, height = (int(side) for side in size)
    if not 1 <= width <= 0x7FFF or not 1 <= height <= 0x7FFF:
        raise ValueError(f"size must be two numbers from 1 to 32767, not {size!r}")
    options = _library.image_options(resize, orient, alpha, decode)
    if resize == "published":
        options.filter = _library.choice("filter", filter)
        options.center = _library.choice("center", center)
        sides = (resize_to or 0, 0) if isinstance(resize_to, (int, type(None))) else resize_to
        options.resize_width, options.resize_height = (int(side) for side in sides)
        if resize_to and (sides[0] < width or (sides[1] or sides[0]) < height):
            raise ValueError(f"resize_to is {resize_to!r}, less than the size {size!r} that is cut out of it")
    elif (filter, resize_to, center) != ("bicubic", None, "even"):
        raise ValueError("filter, resize_to and center go with resize=\"published\"")
    pixels = numpy.empty((height, width, 3), numpy.uint8)
    rest = (ctypes.byref(options), width, height, _library.pointer(pixels, ctypes.c_uint8), None)
    if _library.is_bytes(source):
        keep = []
        _library.call("coulis_image_decode", *_library.buffer_address(source, keep), *rest)
    else:
        _library.call("coulis_image_load", _library.path_bytes(source), *rest)
    return pixels
