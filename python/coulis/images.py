"""One picture: decoded and resized."""

import ctypes

import numpy

from . import _library

# The parameters of image_options, in their order.
OPTIONS = ("resize", "orient", "alpha", "decode", "like", "truncated", "depth", "cmyk", "max_pixels")


def max_bytes():
    """Size of a file at most."""
    return _library.new(_library.ImageOptions).max_bytes


def image_options(
    resize="squash",
    orient=None,
    alpha=None,
    decode="exact",
    like=None,
    truncated="refuse",
    depth="pillow",
    cmyk="plain",
    max_pixels=None,
):
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
    if max_pixels is not None:
        number = int(max_pixels)
        if number != max_pixels or not 1 <= number < 2**62:
            raise ValueError(f"max_pixels must be a whole number from 1, not {max_pixels!r}")
        options.max_pixels = number
    return options


def load_image(
    source,
    size=(224, 224),
    *,
    resize="squash",
    orient=None,
    alpha=None,
    decode="exact",
    like=None,
    truncated="refuse",
    depth="pillow",
    cmyk="plain",
    max_pixels=None,
    filter="bicubic",
    resize_to=None,
    center="even",
):
    """Decode an image and resize it.

    With ``like="pillow"`` the bytes equal Pillow's ``Image.open(f).convert("RGB").resize(size, Image.BICUBIC)``;
    without, the image is turned upright and put on white first. `resize` and `decode` may say otherwise.

    Parameters
    ----------
    source : str, os.PathLike, bytes, bytearray or memoryview
        A path, or the whole file in memory.
    size : (int, int)
        Width and height in pixels, as in Pillow.
    resize : {"squash", "crop", "published"}
        Stretch to `size`; or bring the shorter side to it and cut the centre out; or resize as `filter`, `resize_to`
        and `center` say, as publishers of networks do.
    orient : {"exif", "ignore"}
        Turn the image as its EXIF orientation says (the default), or not.
    alpha : {"white", "drop"}
        Paint what is transparent on white (the default), or ignore transparency, as Pillow does.
    decode : {"exact", "fast"}
        ``fast``: a JPEG far larger than `size` is decoded at 1/2, 1/4 or 1/8 of its own, the smallest at
        which both sides are still twice what they are resized to. Pixels change a little.
    like : {None, "pillow"}
        ``"pillow"``: `orient` is ``"ignore"`` and `alpha` is ``"drop"`` unless you say otherwise.
    truncated : {"refuse", "keep"}
        ``keep``: of an image cut short, keep the rows that are there; the rest is grey in a JPEG and black in other
        formats, as with Pillow's ``ImageFile.LOAD_TRUNCATED_IMAGES``.
    depth : {"pillow", "scale"}
        Grey samples of more than 8 bits: values above 255 become 255, or all are scaled to 8 bits.
    cmyk : {"plain", "profile"}
        CMYK with an embedded ICC profile: convert by formula, as Pillow does, or through the profile.
    max_pixels : int or None
        Width times height at most; None for 178,956,970.
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
    options = image_options(
        resize,
        orient,
        alpha,
        decode,
        like=like,
        truncated=truncated,
        depth=depth,
        cmyk=cmyk,
        max_pixels=max_pixels,
    )
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
