"""decode="fast": the bytes of Pillow's draft mode, which asks libjpeg for the same fractions, and exact's refusals."""

import io
import re
import warnings

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from PIL import ImageOps  # noqa: E402
from test_image import JPEG, MADE, OPTIONS, files, made, patterned, saved  # noqa: E402

import coulis  # noqa: E402

# Where an image that EXIF turns has its stored right or bottom edge: (at the left, at the top).
TURNED_EDGES = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}


def by_draft(data, size, resize="squash", orient="ignore"):
    """What `fast` promises, in Pillow's words; and the fraction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        orientation = image.getexif().get(0x0112, 1) if orient == "exif" else 1
        width, height = image.size[::-1] if orientation >= 5 else image.size
        whole = size
        if resize == "crop":  # torchvision's Resize(shorter side)
            wide = width * size[1] > height * size[0]
            whole = (int(size[1] * width / height), size[1]) if wide else (size[0], int(size[0] * height / width))
        twice = (2 * whole[0], 2 * whole[1])
        _, (_, _, across, down) = image.draft(None, twice[::-1] if orientation >= 5 else twice)
        fraction = image.decoderconfig[0]
        image = ImageOps.exif_transpose(image) if orient == "exif" else image
        image = image.convert("RGB")
    if orientation >= 5:
        across, down = down, across
    at_left, at_top = TURNED_EDGES.get(orientation, (0, 0))
    left, top = at_left * (image.width - across), at_top * (image.height - down)
    image = image.resize(whole, Image.BICUBIC, box=(left, top, left + across, top + down))
    left, top = (int(round((w - s) / 2.0)) for w, s in zip(whole, size))
    return np.asarray(image.crop((left, top, left + size[0], top + size[1]))), fraction


def outcome(data, size, **options):
    """The pixels, or the status and the sentence without the row an image was cut at, which only tells about where."""
    try:
        return coulis.load_image(data, size, **options)
    except coulis.Error as error:
        return error.status, re.sub(r"at row \d+", "at row", str(error))


def assert_refused_alike(data, size=(3, 3), **options):
    """Either both decode it, or both refuse it with one sentence; gives which."""
    exact, fast = (outcome(data, size, decode=decode, **options) for decode in ("exact", "fast"))
    if isinstance(exact, tuple):
        assert fast == exact
    else:
        assert not isinstance(fast, tuple), fast
    return isinstance(exact, tuple)


@pytest.mark.parametrize("mode, settings", JPEG)
def test_bytes_of_pillows_draft(mode, settings):
    fractions = set()
    for image_size in [(128, 128), (131, 67), (200, 203), (65, 260), (33, 500), (500, 33), (263, 257)]:
        data = saved(patterned(mode, image_size), "JPEG", **settings)
        for target in ((16, 16), (9, 30), (31, 8), (7, 7)):
            for options in ({}, {"resize": "crop"}):
                expected, fraction = by_draft(data, target, **options)
                fractions.add(fraction)
                assert np.array_equal(coulis.load_image(data, target, decode="fast", **options), expected)
    assert fractions == {1, 2, 4, 8}


def test_orientation():
    for image_size in [(203, 137), (137, 203)]:
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            data = saved(patterned("RGB", image_size), "JPEG", exif=exif)
            for options in ({}, {"resize": "crop"}):
                expected, fraction = by_draft(data, (16, 12), orient="exif", **options)
                assert fraction == 4
                got = coulis.load_image(data, (16, 12), decode="fast", orient="exif", **options)
                assert np.array_equal(got, expected), orientation


def test_from_which_size():
    """A side of less than four times the wanted one changes nothing; from there on, pixels differ."""
    for side, same in ((63, True), (64, False)):
        for image_size in ((side, 200), (200, side)):
            data = saved(patterned("RGB", image_size), "JPEG")
            exact, fast = (coulis.load_image(data, (16, 16), decode=decode) for decode in ("exact", "fast"))
            assert np.array_equal(exact, fast) == same


@pytest.mark.parametrize("kind, mode, settings", [made_one for made_one in MADE if made_one[0] != "JPEG"])
def test_other_formats_are_untouched(kind, mode, settings):
    data = made(kind, mode, settings, (131, 170))
    for options in OPTIONS:
        exact, fast = (coulis.load_image(data, (8, 8), decode=decode, **options) for decode in ("exact", "fast"))
        assert np.array_equal(exact, fast)


def test_stored_size_is_told():
    data = saved(patterned("RGB", (203, 137)), "JPEG")
    with coulis.Featurizer(decode="fast") as featurizer:
        result = featurizer.featurize([saved(patterned("RGB", (1801, 1203)), "JPEG"), data])
    assert result.status == ["ok", "ok"]
    assert result.width.tolist() == [1801, 203] and result.height.tolist() == [1203, 137]


@pytest.mark.quick(2)
@pytest.mark.parametrize("mode, settings", JPEG)
def test_cut_files_are_refused_alike(mode, settings):
    for image_size in [(40, 300), (130, 121)]:
        data = saved(patterned(mode, image_size), "JPEG", **settings)
        cuts = sorted({len(data) * i // 500 for i in range(1, 500)} | set(range(len(data) - 20, len(data))))
        refused = [assert_refused_alike(data[:cut]) for cut in cuts]
        assert refused.count(True) > 0.9 * len(cuts)


def test_damaged_files_are_refused_alike():
    rng = np.random.default_rng(5)
    refused = 0
    for settings in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
        data = np.frombuffer(saved(patterned("RGB", (130, 121)), "JPEG", **settings), np.uint8)
        for _ in range(400):
            damaged = data.copy()
            places = rng.integers(0, len(data), rng.integers(1, 6))
            damaged[places] = rng.integers(0, 256, len(places))
            refused += assert_refused_alike(damaged.tobytes())
    assert refused > 100


@pytest.mark.quick(0)
def test_photos(fruits):
    paths = files(fruits / "photos")
    assert len(paths) == 9
    for path in paths:
        data = path.read_bytes()
        for options in ({}, {"resize": "crop"}):
            expected, fraction = by_draft(data, (224, 224), **options)
            assert fraction >= 4
            assert np.array_equal(coulis.load_image(data, decode="fast", **options), expected), path


@pytest.mark.quick(1)
@pytest.mark.parametrize("folder", ["afl-jpeg", "pillow", "pngsuite"])
def test_odd_images(odd_images, folder):
    paths = files(odd_images / folder)
    assert paths
    for path in paths:
        assert_refused_alike(path.read_bytes(), orient="exif", resize="crop")
