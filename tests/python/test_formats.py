"""GIF, BMP, TIFF, AVIF and JPEG 2000 against Pillow: pixels and verdict, over odd and corrupt files."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from PIL import ImageOps, features  # noqa: E402

import coulis  # noqa: E402

DIFFERENCES = Path(__file__).parents[1] / "data" / "format_differences.txt"
IMAGE_STATUSES = {"unreadable", "unsupported", "too_large", "empty"}
DIFFERENT = {"bytes": "other bytes", "coulis": "only coulis refuses", "Pillow": "only Pillow refuses"}


def by_pillow(data, like=None):
    """The image in its own size, as the defaults or ``like="pillow"`` have it; None when Pillow refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
            if like:
                return np.asarray(image.convert("RGB"))
            image = ImageOps.exif_transpose(image)
            rgba = image.convert("RGBA")
        except Exception:
            return None
        image = Image.new("RGB", image.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
        return np.asarray(image)


def compare(data, **options):
    expected = by_pillow(data, **options)
    size = (16, 16) if expected is None else expected.shape[1::-1]
    try:
        got = coulis.load_image(data, size, **options)
    except coulis.Error as error:
        assert error.status in IMAGE_STATUSES, error
        return "both refuse" if expected is None else "only coulis refuses"
    if expected is None:
        return "only Pillow refuses"
    return "equal" if np.array_equal(got, expected) else "other bytes"


def known_differences():
    lines = [line.split(maxsplit=1) for line in DIFFERENCES.read_text().splitlines() if not line.startswith("#")]
    return {name: DIFFERENT[kind] for kind, name in lines}


@pytest.mark.parametrize("folder, equal", [("gif", 220), ("bmp", 188), ("tiff", 194), ("avif", 11), ("jp2", 28)])
def test_odd_files(more_formats, folder, equal):
    """Every file at its own size, both ways; what differs is listed with its reason."""
    differences = known_differences()
    for options in ({}, {"like": "pillow"}):
        results = []
        for path in sorted((more_formats / folder).iterdir()):
            results.append(compare(path.read_bytes(), **options))
            expected = differences.get(f"{folder}/{path.name}")
            assert results[-1] in ((expected,) if expected else ("equal", "both refuse")), path.name
        assert results.count("equal") >= equal


def drawn(mode, size, seed=0):
    """Smooth and rough parts, of any mode of 8 bits."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = [(x * (3 + b) + y * (5 - b)) % 256 ^ rng.integers(0, 60, size[::-1]) for b in range(4)]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    if mode in ("1", "P"):
        return Image.fromarray(pixels[..., 0]).convert(mode)
    if mode == "LA":
        return Image.merge("LA", [Image.fromarray(pixels[..., 0]), Image.fromarray(pixels[..., 3])])
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels[..., : len(mode)], mode)


def saved(image, kind, **settings):
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


WRITTEN = [
    *[("GIF", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")],
    ("GIF", "L", {"interlace": 0}),
    *[("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")],
    *[("TIFF", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")],
    *[
        ("TIFF", mode, {"compression": compression})
        for mode in ("L", "RGB", "CMYK")
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd")
    ],
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "RGB", {"compression": "tiff_lzw", "tiffinfo": {317: 2}}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "RGB", {"big_tiff": True}),
    *[("AVIF", mode, settings) for mode in ("RGB", "RGBA") for settings in ({}, {"subsampling": "4:4:4"})],
    *[("JPEG2000", mode, {}) for mode in ("L", "LA", "RGB", "RGBA")],
    ("JPEG2000", "RGB", {"irreversible": True, "quality_layers": [20]}),
    ("JPEG2000", "RGB", {"tile_size": (16, 16)}),
    ("JPEG2000", "RGB", {"no_jp2": True}),
]


@pytest.mark.parametrize("kind, mode, settings", WRITTEN, ids=str)
def test_written_by_pillow(kind, mode, settings):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    for size in ((1, 1), (17, 23), (64, 48), (131, 7)):
        data = saved(drawn(mode, size), kind, **settings)
        for options in ({}, {"like": "pillow"}):
            assert compare(data, **options) == "equal", size
            for cut in range(len(data) // 9, len(data), max(1, len(data) // 9)):
                assert compare(data[:cut], **options) in ("equal", "both refuse"), (size, cut)


def test_a_name_says_nothing(tmp_path):
    for kind, mode in (("JPEG", "RGB"), ("PNG", "RGB"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "RGB")):
        path = tmp_path / f"{kind.lower()}_inside.jpg"
        path.write_bytes(saved(drawn(mode, (40, 30)), kind))
        assert np.array_equal(coulis.load_image(path, (40, 30)), by_pillow(path.read_bytes()))


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "WEBP", "PNG"])
def test_orientation(kind):
    """Pillow turns a TIFF whether one asks for it or not, and so does coulis."""
    image = drawn("RGB", (31, 20))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(image, kind, exif=exif)
        assert compare(data) == "equal" and compare(data, like="pillow") == "equal"
        turned = coulis.load_image(data, (20, 31) if orientation > 4 else (31, 20))
        same = turned.shape == (20, 31, 3) and np.array_equal(turned, by_pillow(saved(image, kind)))
        assert same == (orientation == 1)


@pytest.mark.parametrize("kind, settings", [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
                                            ("JPEG2000", {})])  # fmt: skip
def test_depth(kind, settings):
    """Grey of 16 bits: all above 255 is white, as in Pillow, or scaled."""
    values = np.random.default_rng(3).integers(0, 65536, (20, 30)).astype(np.uint16)
    values[0, :3] = 0, 255, 65535
    data = saved(Image.fromarray(values), kind, **settings)
    assert compare(data) == "equal"
    scaled = coulis.load_image(data, (30, 20), depth="scale")
    expected = np.floor(values * 255.0 / 65535 + 0.5).astype(np.uint8)
    assert np.array_equal(scaled, np.repeat(expected[..., None], 3, axis=2))


def test_depth_of_12_bits():
    """12 bits in a TIFF, and 12 bits kept in 16 whose greatest value the file tells."""
    values = (np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) * 8) % 4096
    pairs = values.reshape(-1, 2).astype(np.uint32)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    data = bytearray(saved(Image.fromarray(values), "TIFF"))
    at = data.index(values.tobytes())
    data[at : at + values.nbytes] = packed.astype(np.uint8).tobytes().ljust(values.nbytes, b"\0")
    entry = data.index(b"\x02\x01\x03\0\x01\0\0\0\x10\0")  # BitsPerSample
    data[entry + 8] = 12
    assert compare(bytes(data)) == "equal"
    expected = np.repeat(np.floor(values * 255.0 / 4095 + 0.5).astype(np.uint8)[..., None], 3, axis=2)
    assert np.array_equal(coulis.load_image(bytes(data), (24, 20), depth="scale"), expected)
    told = saved(Image.fromarray(values), "TIFF", tiffinfo={281: 4095})
    assert np.array_equal(coulis.load_image(told, (24, 20), depth="scale"), expected)


@pytest.mark.parametrize("limit", ["max_pixels"])
def test_more_pixels_than_pillow_allows(limit):
    """A scan of 200 megapixels, in one bit each, is too large until the limit says otherwise."""
    image = Image.new("1", (20000, 10000))
    data = saved(image, "PNG")
    with pytest.raises(coulis.Error, match="more than the limit of 178956970") as caught:
        coulis.load_image(data)
    assert caught.value.status == "too_large"
    assert not coulis.load_image(data, max_pixels=200_000_000).any()
    with pytest.raises(ValueError, match="max_pixels"):
        coulis.load_image(data, max_pixels=0)
