"""Images decode to Pillow's bytes, and are refused where Pillow refuses them.

COULIS_TEST_FULL=1 compares all of fruits-360's test images instead of every eighth.
"""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")
from PIL import ImageOps, features  # noqa: E402

import coulis  # noqa: E402

FULL = os.environ.get("COULIS_TEST_FULL") == "1"
DIFFERENCES = Path(__file__).parents[1] / "data" / "jpeg_library_differences.txt"
IMAGE_STATUSES = {"unreadable", "unsupported", "too_large", "empty", "missing"}
OPTIONS = [
    {},
    {"like": "pillow"},
    {"like": "pillow", "resize": "crop"},
    {"alpha": "drop"},
    {"orient": "ignore"},
    {"resize": "crop"},
]


def by_pillow(data, size=(224, 224), resize="squash", orient=None, alpha=None, like=None):
    """What coulis promises, in Pillow's words."""
    orient = orient or ("ignore" if like else "exif")
    alpha = alpha or ("drop" if like else "white")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data))
        if orient == "exif":
            image = ImageOps.exif_transpose(image)
        if alpha == "white":
            rgba = image.convert("RGBA")
            image = Image.new("RGB", image.size, "white")
            image.paste(rgba, mask=rgba.getchannel("A"))
        else:
            image = image.convert("RGB")
    if resize == "squash":
        return np.asarray(image.resize(size, Image.BICUBIC))
    # torchvision's Resize(shorter side) and CenterCrop.
    width, height = image.size
    if width * size[1] <= height * size[0]:
        whole = (size[0], int(size[0] * height / width))
    else:
        whole = (int(size[1] * width / height), size[1])
    left, top = (int(round((w - s) / 2.0)) for w, s in zip(whole, size))
    return np.asarray(image.resize(whole, Image.BICUBIC).crop((left, top, left + size[0], top + size[1])))


def compare(data, size=(224, 224), **options):
    """'equal' or 'both refuse'; else what differs."""
    try:
        expected = by_pillow(data, size, **options)
    except Exception:
        expected = None
    try:
        got = coulis.load_image(data, size, **options)
    except coulis.Error as error:
        assert error.status in IMAGE_STATUSES, error
        return "both refuse" if expected is None else f"only coulis refuses: {error}"
    if expected is None:
        return "only Pillow refuses"
    return "equal" if np.array_equal(got, expected) else "other bytes"


# Pillow refuses these for what is said beside their pixels: frames without a header, text that inflates to much, an end
# cut short, a profile packed in an unknown way.
READ_ANYWAY = {"chunk_no_fctl.png", "png_decompression_dos.png", "truncated_end_chunk.png",
               "unknown_compression_method.png"}  # fmt: skip


def assert_same_or_read(data, *arguments, **options):
    """The pixels are Pillow's, or Pillow refuses the image for something that is not its pixels."""
    result = compare(data, *arguments, **options)
    assert result in ("equal", "both refuse", "only Pillow refuses"), result
    return result


def assert_same(data, *arguments, **options):
    result = compare(data, *arguments, **options)
    assert result in ("equal", "both refuse"), result
    return result


def patterned(mode, size, seed=0):
    """An image with smooth and with rough parts, of any mode."""
    rng = np.random.default_rng(seed)
    bands = {"1": 1, "L": 1, "P": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    planes = [(x * (3 + b) + y * (5 - b)) % 256 ^ rng.integers(0, 60, (size[1], size[0])) for b in range(bands)]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray((pixels[..., 0].astype(np.uint16) * 3))
    if mode == "1":
        return Image.fromarray((pixels[..., 0] > 120).astype(np.uint8) * 255).convert("1")
    if mode == "P":
        image = Image.fromarray(pixels[..., 0] % 200, "L").convert("P")
        image.putpalette(rng.integers(0, 256, 200 * 3, dtype=np.uint8).tobytes())
        return image
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels, mode)


def saved(image, kind, **settings):
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


# ---- images made here ------------------------------------------------------

SIZES = [(1, 1), (1, 37), (41, 1), (17, 23), (64, 64), (131, 7), (40, 300), (300, 40)]
JPEG = [
    ("L", {}),
    ("RGB", {}),
    ("RGB", {"subsampling": 0, "quality": 95}),
    ("RGB", {"subsampling": 1}),
    ("RGB", {"progressive": True}),
    ("RGB", {"keep_rgb": True}),
    ("RGB", {"restart_marker_rows": 1}),
    ("CMYK", {}),
    ("CMYK", {"progressive": True}),
]
PNG = [
    ("1", {}),
    ("1", {"transparency": 1}),
    ("L", {}),
    ("L", {"transparency": 77}),
    ("LA", {}),
    ("P", {}),
    ("P", {"transparency": 3}),
    ("P", {"transparency": bytes(range(0, 200, 2))}),
    ("P", {"bits": 8}),
    ("RGB", {}),
    ("RGB", {"transparency": (10, 20, 30)}),
    ("RGBA", {}),
    ("I;16", {}),
]
WEBP = [
    ("RGB", {"lossless": True}),
    ("RGB", {"quality": 60}),
    ("RGBA", {"lossless": True}),
    ("RGBA", {"quality": 60}),
    ("RGBA", {"save_all": True, "append_images": [Image.new("RGBA", (5, 5), "red")]}),
]
MADE = [("JPEG", *v) for v in JPEG] + [("PNG", *v) for v in PNG] + [("WEBP", *v) for v in WEBP]


def made(kind, mode, settings, size):
    image = patterned(mode, size)
    if "append_images" in settings:
        settings = {**settings, "append_images": [patterned(mode, size, 1)]}
    return saved(image, kind, **settings)


@pytest.mark.quick(3)
@pytest.mark.parametrize("kind, mode, settings", MADE)
def test_every_mode_and_size(kind, mode, settings):
    for size in SIZES:
        data = made(kind, mode, settings, size)
        for options in OPTIONS:
            for target in ((224, 224), (9, 30), size):
                assert assert_same(data, target, **options) == "equal"


@pytest.mark.quick(3)
@pytest.mark.parametrize("kind, mode, settings", MADE)
def test_every_cut(kind, mode, settings):
    data = made(kind, mode, settings, (17, 23))
    steps = range(1, len(data)) if len(data) < 700 else [len(data) * i // 700 for i in range(1, 700)]
    results = [assert_same(data[:cut], (24, 24)) for cut in steps]
    assert results.count("both refuse") > len(results) / 3


def test_large_cut_jpeg():
    """Pillow reads 64 KiB at a time; what lies behind the last row counts only within such a piece."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8))
    for settings in ({"quality": 95}, {"quality": 95, "progressive": True}):
        data = saved(image, "JPEG", **settings)
        assert len(data) > 3 * 65536
        cuts = [65536 * k + d for k in (1, 2, 3) for d in (-1, 0, 1)] + [len(data) - d for d in range(1, 6)]
        for cut in cuts:
            assert_same(data[:cut])
        for tail in (b"\xff\xd9\xff\xd8", bytes(70000), b"\xff\xda\0\0" * 20000):
            assert_same(data + tail)
            assert_same(data[:-2] + tail)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(size, depth, color_type, raw, before=(), after=(), interlace=0):
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, interlace)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(raw)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in chunks)


def png_rows(size, bits, interlace, seed=0):
    """Random filtered rows, as many as an image of this size has."""
    rng = np.random.default_rng(seed)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = []
    for left, top, across, down in passes if interlace else [(0, 0, 1, 1)]:
        columns, lines = -(-(size[0] - left) // across), -(-(size[1] - top) // down)
        for _ in range(lines if columns > 0 else 0):
            rows.append(bytes([rng.integers(0, 5)]) + rng.bytes((columns * bits + 7) // 8))
    return b"".join(rows)


COLOR_TYPES = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@pytest.mark.parametrize("color_type, depth", [(c, d) for c, depths in COLOR_TYPES.items() for d in depths])
def test_every_kind_of_png(color_type, depth):
    palette = (b"PLTE", np.random.default_rng(1).bytes(3 * min(200, 2**depth)))
    keys = [(b"tRNS", bytes([0, 1]) * SAMPLES[color_type]), (b"tRNS", b"\xff\0\xff"), (b"tRNS", bytes(range(7)))]
    for size in [(1, 1), (2, 9), (33, 5), (16, 16), (3, 200)]:
        for interlace in (0, 1):
            raw = png_rows(size, depth * SAMPLES[color_type], interlace, seed=depth)
            for key in (None, *keys):
                before = ([palette] if color_type == 3 else []) + ([key] if key else [])
                for options in ({}, {"alpha": "white"}):
                    data = png(size, depth, color_type, raw, before, interlace=interlace)
                    result = assert_same_or_read(data, (20, 20), **options)
                    assert key or result == "equal"
                    if key:
                        late = png(size, depth, color_type, raw, before[:-1], before[-1:], interlace)
                        assert_same_or_read(late, (20, 20), **options)


@pytest.mark.quick(0)
def test_png_chunks_beside_the_pixels_refuse_nothing():
    """Pillow refuses an image for many of these; its pixels are sound, and coulis reads them."""
    raw = png_rows((4, 4), 8, 0)
    big = zlib.compress(bytes((1 << 20) + 1))
    plain = coulis.load_image(png((4, 4), 8, 0, raw), (8, 8))
    for name, data in [
        (b"gAMA", bytes(3)), (b"cHRM", bytes(31)), (b"sRGB", b""), (b"pHYs", bytes(8)), (b"tRNS", b"\0"),
        (b"acTL", bytes(7)), (b"tEXt", b"a\0b"), (b"tEXt", b"no separator"), (b"tEXt", b""), (b"zTXt", b"a\0\1b"),
        (b"zTXt", b"XML:com.adobe.xmp\0\0" + big), (b"zTXt", b"XML:com.adobe.xmp\0\0not zlib"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + big), (b"iTXt", b"\xff\0\0"), (b"iCCP", b"a\0\1"),
        (b"iCCP", b"a\0\0" + big), (b"eXIf", b"nonsense"), (b"a_9Z", b"any"), (b"tEXt", bytes(80 << 20)),
    ]:  # fmt: skip
        for place in ({"before": [(name, data)]}, {"after": [(name, data)]}):
            got = coulis.load_image(png((4, 4), 8, 0, raw, **place), (8, 8))
            assert np.array_equal(got, plain), (name, data[:20], place)
    whole = png((4, 4), 8, 0, raw, [(b"tEXt", b"a\0b")])
    at = whole.index(b"tEXta")
    assert np.array_equal(coulis.load_image(whole[: at + 7] + b"\0" + whole[at + 8 :], (8, 8)), plain)  # checksum


def test_png_palettes():
    raw = png_rows((9, 9), 8, 0)
    for length in (0, 2, 3, 7, 600, 768, 770, 771, 900):
        for alphas in (None, b"\0", b"\xff\xff\0", b"\1\2", b"\1" * 256, b"\1" * 300):
            before = [(b"PLTE", bytes(i % 251 for i in range(length)))] + ([(b"tRNS", alphas)] if alphas else [])
            for options in OPTIONS:
                assert_same_or_read(png((9, 9), 8, 3, raw, before), (8, 8), **options)
    assert_same_or_read(png((9, 9), 8, 3, raw), (8, 8))


def test_orientation():
    image = patterned("RGB", (31, 20))
    for kind in ("JPEG", "PNG", "WEBP"):
        plain = coulis.load_image(saved(image, kind), (24, 24))
        for orientation in range(0, 10):
            exif = Image.Exif()
            exif[0x0112] = orientation
            data = saved(image, kind, exif=exif)
            for options in OPTIONS:
                assert assert_same(data, (24, 24), **options) == "equal"
            turned = coulis.load_image(data, (24, 24))
            assert np.array_equal(turned, plain) == (orientation not in range(2, 9))
            assert np.array_equal(coulis.load_image(data, (24, 24), orient="ignore"), plain)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_never_refuses(kind):
    image = patterned("RGB", (31, 20))
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    faults = [b"", b"x", b"II*\0", b"MM\0*\xff\xff\xff\xff", tiff[:12], tiff[:15], tiff[:20]]
    faults.append(b"II*\0\x08\0\0\0\xff\xff" + tiff[10:])
    faults += [tiff[:i] + bytes([value]) + tiff[i + 1 :] for i in range(len(tiff)) for value in (0, 1, 0x7F, 0xFF)]
    plain = coulis.load_image(saved(image, kind), (24, 24))
    for fault in faults:
        data = saved(image, kind, exif=b"Exif\0\0" + fault)
        assert np.array_equal(coulis.load_image(data, (24, 24), like="pillow"), plain)
        try:
            expected = by_pillow(data, (24, 24), orient="exif")
        except Exception:
            expected = plain  # what Pillow cannot parse counts as no orientation
        assert np.array_equal(coulis.load_image(data, (24, 24), orient="exif"), expected), fault


def test_orientation_in_xmp():
    image = patterned("RGB", (31, 20))
    for text in (b'<x tiff:Orientation="6">', b"<tiff:Orientation>8<", b"tiff:Orientation 6 tiff:Orientation>3"):
        for kind in ("JPEG", "WEBP"):
            data = saved(image, kind, xmp=text)
            assert assert_same(data, (24, 24), orient="exif") == "equal"
        data = png((9, 5), 8, 0, png_rows((9, 5), 8, 0), [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text)])
        assert assert_same(data, (24, 24), orient="exif") == "equal"
        turned, stored = (coulis.load_image(data, (24, 24), orient=o) for o in ("exif", "ignore"))
        assert not np.array_equal(turned, stored)


def test_statuses(tmp_path):
    examples = {"empty": b"", "unsupported": b"%PDF-1.7\n", "unreadable": b"\xff\xd8\xff\xe0"}
    for status, data in examples.items():
        with pytest.raises(coulis.Error) as caught:
            coulis.load_image(data)
        assert caught.value.status == status
        path = tmp_path / "the picture.jpg"
        path.write_bytes(data)
        with pytest.raises(coulis.Error, match="the picture.jpg") as caught:
            coulis.load_image(path)
        assert caught.value.status == status
    with pytest.raises(coulis.Error, match="nowhere.jpg") as caught:
        coulis.load_image(tmp_path / "nowhere.jpg")
    assert caught.value.status == "missing"


# ---- shared images ---------------------------------------------------------


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".png", ".webp"))


@pytest.mark.quick(0)
def test_fruits(fruits):
    paths = files(fruits / "test")
    assert len(paths) == 11968
    for path in paths if FULL else paths[::8]:
        assert assert_same(path.read_bytes()) == "equal", path


@pytest.mark.quick(0)
def test_photos(fruits):
    paths = files(fruits / "photos")
    assert len(paths) == 9
    for path in paths:
        for options in OPTIONS[:3] if FULL else OPTIONS[:1]:
            assert assert_same(path.read_bytes(), **options) == "equal", path


@pytest.mark.quick(1)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_odd_images(odd_images, options):
    paths = files(odd_images / "pngsuite") + files(odd_images / "pillow")
    results = {p: compare(p.read_bytes(), **options) for p in paths}
    wrong = {p.name: r for p, r in results.items() if r not in ("equal", "both refuse")}
    assert wrong == dict.fromkeys(READ_ANYWAY, "only Pillow refuses")
    assert list(results.values()).count("equal") == 456


def library_of_coulis():
    """The file name of the libjpeg that coulis runs on: libjpeg.so.62.3.0 and 8.2.2 are libjpeg-turbo 2.1."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    paths = {line.split()[-1] for line in lines if "/libjpeg" in line and "pillow" not in line}
    return Path(paths.pop()).name if len(paths) == 1 else "unknown"


@pytest.mark.quick(0)
def test_fuzzed_jpegs(odd_images):
    lines = [line.split() for line in DIFFERENCES.read_text().splitlines() if line and not line.startswith("#")]
    listed = {(kind, name) for kind, name in lines}
    found, equal = set(), 0
    for path in files(odd_images / "afl-jpeg"):
        result = compare(path.read_bytes())
        equal += result == "equal"
        if result == "other bytes":
            found.add(("bytes", path.name))
        elif result not in ("equal", "both refuse"):
            found.add(("refused" if result == "only Pillow refuses" else result, path.name))
    assert not found - listed
    assert equal >= 247
    turbo_2_1 = library_of_coulis() in ("libjpeg.so.62.3.0", "libjpeg.so.8.2.2")
    if turbo_2_1 and features.version("libjpeg_turbo") == "3.2.0":
        assert found == listed
