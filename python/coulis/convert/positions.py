"""Position embeddings for another size of image: interpolated as the publishers' own code does.

They lie on a square grid. All of them use PyTorch's bicubic interpolation (Keys, Cubic Convolution Interpolation for
Digital Image Processing, 1981), with a = -0.75, or -0.5 where it is antialiased, and differ in where new points lie.
"""

import numpy


def cubic(x, a):
    """Keys' kernel."""
    x = numpy.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return numpy.where(x < 1, near, numpy.where(x < 2, far, 0.0))


def weights(old, new, how):
    """The matrix (new, old) that interpolates along one direction.

    Parameters
    ----------
    how : {"antialias", "plain", "offset", "corners"}
        timm, open_clip and DINOv2 with registers antialias; "plain" does not; DINOv2 without registers adds 0.1 to the
        new size before it takes the scale, so that rounding never loses a row ("offset"); torchvision puts the
        outermost points on each other ("corners").
    """
    scale = {"offset": old / (new + 0.1), "corners": (old - 1) / max(new - 1, 1)}.get(how, old / new)
    points = numpy.arange(new) * scale if how == "corners" else (numpy.arange(new) + 0.5) * scale - 0.5
    matrix = numpy.zeros((new, old))
    if how == "antialias":
        stretch = max(scale, 1.0)
        distance = (numpy.arange(old)[None] - points[:, None]) / stretch
        matrix = cubic(distance, -0.5)
        # Only samples whose centres are inside the support count, as in Pillow.
        first = numpy.maximum((points + 0.5 - 2 * stretch + 0.5).astype(int), 0)
        end = numpy.minimum((points + 0.5 + 2 * stretch + 0.5).astype(int), old)
        inside = (numpy.arange(old)[None] >= first[:, None]) & (numpy.arange(old)[None] < end[:, None])
        matrix = numpy.where(inside, matrix, 0.0)
        return matrix / matrix.sum(1, keepdims=True)
    base = numpy.floor(points).astype(int)
    for step in range(-1, 3):
        at = numpy.clip(base + step, 0, old - 1)
        numpy.add.at(matrix, (numpy.arange(new), at), cubic(points - base - step, -0.75))
    return matrix


def resized(values, height, width, how):
    """Embeddings (count, channels) of a square grid as those of height x width patches."""
    side = int(round(values.shape[0] ** 0.5))
    if side * side != values.shape[0]:
        raise ValueError(f"its {values.shape[0]} positions do not form a square")
    if (height, width) == (side, side):
        return values
    grid = values.reshape(side, side, -1).astype(numpy.float64)
    grid = numpy.einsum("ij,jkc->ikc", weights(side, height, how), grid)
    grid = numpy.einsum("ij,kjc->kic", weights(side, width, how), grid)
    return grid.reshape(height * width, -1).astype("<f4")
