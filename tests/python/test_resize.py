"""How publishers of networks resize: every filter against Pillow, and OpenCV's where there is no antialiasing."""

import io

import coulis
import numpy
import pytest
from PIL import Image

FILTERS = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "nearest": Image.NEAREST, "lanczos": Image.LANCZOS}
SIZES = [(640, 427), (333, 500), (224, 224), (97, 61), (31, 300), (1200, 90), (448, 448), (7, 5), (2000, 1333)]


def image_of(width, height, seed=0):
    generator = numpy.random.default_rng(seed + 1000 * width + height)
    small = generator.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), numpy.uint8)
    smooth = numpy.asarray(Image.fromarray(small).resize((width, height), Image.BILINEAR)).astype(int)
    return Image.fromarray((smooth + generator.integers(-40, 41, smooth.shape)).clip(0, 255).astype(numpy.uint8))


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def shorter(image, side, how):
    """torchvision's Resize(side)."""
    width, height = image.size
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return image.resize(size, how)


def cut(image, width, height, center):
    spare = image.size[0] - width, image.size[1] - height
    left, top = (n // 2 if center == "down" else round(n / 2) for n in spare)
    return image.crop((left, top, left + width, top + height))


@pytest.mark.quick(9)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", SIZES)
def test_pillows_bytes(name, size):
    image = image_of(*size)
    data = png(image)
    for wanted, side, center in (
        ((224, 224), 256, "even"),
        ((224, 224), 224, "down"),
        ((224, 224), 255, "down"),
        ((64, 48), 64, "even"),
        ((160, 160), 182, "even"),
    ):
        found = coulis.load_image(data, wanted, resize="published", filter=name, resize_to=side, center=center)
        assert (found == numpy.asarray(cut(shorter(image, side, FILTERS[name]), *wanted, center))).all()
    for wanted, both in (((224, 224), (224, 224)), ((224, 200), (256, 231)), ((50, 300), (51, 303))):
        found = coulis.load_image(data, wanted, resize="published", filter=name, resize_to=both)
        assert (found == numpy.asarray(cut(image.resize(both, FILTERS[name]), *wanted, "even"))).all()


def test_long_sides_are_read_in_pieces():
    for size in ((90000, 3), (5, 3000)):
        image = image_of(*size)
        for name, how in FILTERS.items():
            found = coulis.load_image(png(image), (40, 30), resize="published", filter=name, resize_to=(40, 30))
            assert (found == numpy.asarray(image.resize((40, 30), how))).all(), (size, name)


def plain(image, width, height):
    """Two samples in each direction at half-pixel centres, in float64."""
    values = numpy.asarray(image).astype(float)
    for axis, count in ((0, height), (1, width)):
        length = values.shape[axis]
        at = (numpy.arange(count) + 0.5) * length / count - 0.5
        first = numpy.floor(at)
        share = (at - first).reshape([-1 if way == axis else 1 for way in range(3)])
        low, high = (numpy.clip(first + step, 0, length - 1).astype(int) for step in (0, 1))
        values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return values


@pytest.mark.quick(4)
@pytest.mark.parametrize("size", [*SIZES, (448, 448), (100, 448)])
def test_without_antialiasing(size):
    image = image_of(*size)
    found = coulis.load_image(png(image), (224, 224), resize="published", filter="plain", resize_to=(224, 224))
    # Half for the rounding to whole numbers, and at most 0.35 more from weights of 11 bits times 255.
    assert abs(found - plain(image, 224, 224)).max() < 0.85
    found = coulis.load_image(png(image), (48, 40), resize="published", filter="plain", resize_to=64)
    width, height = image.size
    whole = (64, int(64 * height / width)) if width <= height else (int(64 * width / height), 64)
    left, top = (round((whole[0] - 48) / 2), round((whole[1] - 40) / 2))
    assert abs(found - plain(image, *whole)[top : top + 40, left : left + 48]).max() < 0.85


def test_what_does_not_fit_is_refused():
    data = png(image_of(30, 20))
    with pytest.raises(ValueError, match="less than the size"):
        coulis.load_image(data, (224, 224), resize="published", resize_to=200)
    with pytest.raises(ValueError, match='go with resize="published"'):
        coulis.load_image(data, (224, 224), filter="lanczos")
    with pytest.raises(ValueError, match="filter must be one of"):
        coulis.load_image(data, (224, 224), resize="published", filter="box")
