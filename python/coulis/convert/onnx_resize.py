"""ONNX's Resize of a constant: embeddings of places that a graph interpolates for its size of image."""

import numpy

from . import positions


def resize(data, scales, sizes, attributes):
    """`data` interpolated along every dimension whose scale is not 1; ValueError for ways that are not done here."""
    mode = attributes.get("mode", b"nearest").decode()
    if (
        len(scales) != data.ndim
        or attributes.get("keep_aspect_ratio_policy", b"stretch") != b"stretch"
        or (mode not in ("linear", "cubic") or attributes.get("exclude_outside", 0))
    ):
        raise ValueError(f"its way to resize, {mode}, is not done here")
    a = attributes.get("cubic_coeff_a", -0.75)
    for axis, scale in enumerate(scales):
        old = data.shape[axis]
        new = int(sizes[axis]) if sizes is not None and sizes.size else int(numpy.floor(old * scale))
        if scale == 1 and new == old:
            continue
        matrix = _matrix(old, new, scale, mode, a, attributes)
        data = numpy.moveaxis(numpy.tensordot(matrix, data.astype(numpy.float64), (1, axis)), 0, axis)
    return data.astype("<f4")


def _matrix(old, new, scale, mode, a, attributes):
    """(new, old): what every new number takes of the old ones."""
    where = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    places = numpy.arange(new, dtype=numpy.float64)
    if where == "half_pixel" or where == "pytorch_half_pixel" and new > 1:
        points = (places + 0.5) / scale - 0.5
    elif where == "align_corners":
        points = places * (old - 1) / max(new - 1, 1)
    elif where == "asymmetric":
        points = places / scale
    else:
        raise ValueError(f"its coordinates, {where}, are not known here")
    stretch = max(1 / scale, 1.0) if attributes.get("antialias", 0) else 1.0
    if stretch > 1:
        distance = (numpy.arange(old)[None] - points[:, None]) / stretch
        matrix = positions.cubic(distance, a) if mode == "cubic" else numpy.maximum(1 - abs(distance), 0)
        return matrix / matrix.sum(1, keepdims=True)
    matrix, base = numpy.zeros((new, old)), numpy.floor(points).astype(int)
    for step in range(-1, 3) if mode == "cubic" else range(2):
        distance = points - base - step
        part = positions.cubic(distance, a) if mode == "cubic" else 1 - abs(distance)
        numpy.add.at(matrix, (numpy.arange(new), numpy.clip(base + step, 0, old - 1)), part)
    return matrix
