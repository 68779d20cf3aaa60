"""Formats beyond JPEG, PNG and WebP against Pillow: pixels and verdict, over odd and corrupt files."""

import io
import os
import subprocess
import sys
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


@pytest.mark.parametrize("folder, plugin", [("heic", "pillow_heif"), ("jxl", "pillow_jxl")])
def test_formats_of_the_system(more_formats, folder, plugin):
    """By the system's libheif and libjxl, which are not the versions in the plugins' wheels: one step of 255 off."""
    plugin = pytest.importorskip(plugin)
    if folder == "heic":
        plugin.register_heif_opener()
    read = 0
    for path in sorted((more_formats / folder).iterdir()):
        for options in ({}, {"like": "pillow"}):
            expected = by_pillow(path.read_bytes(), **options)
            try:
                got = coulis.load_image(path, expected.shape[1::-1], **options)
            except coulis.Error as error:
                if "is not installed" in str(error):
                    pytest.skip(str(error))
                raise
            assert np.abs(got.astype(int) - expected).max() <= 1, path.name
            read += 1
    assert read == 2 * len(list((more_formats / folder).iterdir()))


def raw_of_a_camera(orientation=1):
    """A DNG as cameras write it: a small image first, and a JPEG for previews."""
    preview = saved(drawn("RGB", (64, 48)), "JPEG", quality=95)
    sensor = bytes(64 * 64 * 2)
    sub_at, sub_count = 8 + 2 + 12 * 14 + 4 + 64, 12
    data_at = sub_at + 2 + 12 * sub_count + 4 + 64

    def directory(entries, at, extra_at):
        out, extra = len(entries).to_bytes(2, "little"), b""
        for tag, kind, count, value in sorted(entries):
            raw = value if isinstance(value, bytes) else value.to_bytes(4, "little")
            if len(raw) > 4:
                out += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
                out += (extra_at + len(extra)).to_bytes(4, "little")
                extra += raw
            else:
                out += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
                out += raw.ljust(4, b"\0")
        return (out + bytes(4)).ljust(extra_at - at, b"\0") + extra

    first = [(254, 4, 1, 1), (256, 4, 1, 64), (257, 4, 1, 48), (259, 3, 1, 7), (262, 3, 1, 6), (271, 2, 6, b"Maker\0"),
             (272, 2, 6, b"Model\0"), (273, 4, 1, data_at), (274, 3, 1, orientation),
             (277, 3, 1, 3), (278, 4, 1, 48), (279, 4, 1, len(preview)), (330, 4, 1, sub_at),
             (50706, 1, 4, b"\1\4\0\0")]  # fmt: skip
    sub = [(254, 4, 1, 0), (256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 32803),
           (273, 4, 1, data_at + len(preview)), (277, 3, 1, 1), (278, 4, 1, 64), (279, 4, 1, len(sensor)),
           (33421, 3, 2, b"\2\0\2\0"), (33422, 1, 4, b"\0\1\1\2")]  # fmt: skip
    out = b"II*\0\x08\0\0\0" + directory(first, 8, sub_at - 64)
    out = out.ljust(sub_at, b"\0") + directory(sub, sub_at, data_at - 64)
    return out.ljust(data_at, b"\0") + preview + sensor, preview


def test_raw_of_a_camera():
    """The preview inside, turned as the file around it says."""
    data, preview = raw_of_a_camera()
    try:
        got = coulis.load_image(data, (64, 48))
    except coulis.Error as error:
        if "is not installed" in str(error):
            pytest.skip(str(error))
        raise
    assert np.array_equal(got, by_pillow(preview))
    turned = coulis.load_image(raw_of_a_camera(6)[0], (48, 64))
    assert np.array_equal(turned, np.rot90(got, -1))
    with pytest.raises(coulis.Error) as caught:
        coulis.load_image(data[:1000])
    assert caught.value.status == "unreadable"


def test_a_library_that_is_not_installed(tmp_path):
    """One sentence names the package. A program whose dlopen finds nothing stands for a system without the library."""
    source = tmp_path / "main.c"
    source.write_text(
        "#include <stdio.h>\n#include <coulis.h>\n"
        "void *dlopen(const char *file, int how);\n"
        "void *dlopen(const char *file, int how) { (void)file, (void)how; return 0; }\n"
        "int main(int count, char **paths) {\n"
        "    static unsigned char rgb[3]; coulis_error error;\n"
        "    for (int i = 1; i < count; i++)\n"
        '        printf("%d %s\\n", coulis_image_load(paths[i], NULL, 1, 1, rgb, NULL, &error), error.message);\n'
        "}\n"
    )
    library = Path(os.environ.get("COULIS_LIBRARY", Path(__file__).parents[2] / "build" / "libcoulis.so"))
    subprocess.run(["cc", f"-I{Path(__file__).parents[2] / 'include'}", source, "-rdynamic", library,
                    f"-Wl,-rpath,{library.parent}", "-o", tmp_path / "main"], check=True)  # fmt: skip
    files = {"libheif": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "libjxl": b"\xff\x0a", "libraw": b"IIRO"}
    for name, start in files.items():
        (tmp_path / name).write_bytes(start + bytes(64))
    done = subprocess.run([tmp_path / "main", *(tmp_path / name for name in files)], capture_output=True, text=True)
    for line, name in zip(done.stdout.splitlines(), files, strict=True):
        number, sentence = line.split(maxsplit=1)
        assert number == "2" and f"install {name}" in sentence.replace("install libheif1 (", "install "), line


def cmyk_profile():
    """An ICC profile of CMYK: a table of two points for each ink, to CIELAB (ICC.1, lut8Type)."""

    def be(number, size=4):
        return int(number).to_bytes(size, "big")

    ramp = bytes(range(256))
    clut = bytearray()
    for corner in np.ndindex(2, 2, 2, 2):  # C, M, Y, K
        light = 255 * (1 - 0.3 * corner[0]) * (1 - 0.35 * corner[1]) * (1 - 0.05 * corner[2]) * (1 - 0.9 * corner[3])
        clut += bytes([int(light), 128 + 40 * (corner[1] - corner[0]), 128 + 45 * (corner[2] - corner[0])])
    matrix = b"".join(be(65536 if i % 4 == 0 else 0) for i in range(9))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + bytes(clut) + ramp * 3
    lut += bytes(-len(lut) % 4)
    white = b"XYZ " + bytes(4) + be(0xF6D6) + be(0x10000) + be(0xD32D)
    tags = [(b"A2B0", lut), (b"wtpt", white)]
    offset, table, body = 128 + 4 + 12 * len(tags), be(len(tags)), b""
    for name, data in tags:
        table += name + be(offset + len(body)) + be(len(data))
        body += data
    header = be(offset + len(body)) + bytes(4) + be(0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + be(0xF6D6) + be(0x10000) + be(0xD32D)
    return header.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_through_its_profile(kind):
    """Against LittleCMS as Pillow has it."""
    ImageCms = pytest.importorskip("PIL.ImageCms")
    profile = cmyk_profile()
    data = saved(drawn("CMYK", (64, 48)), kind, icc_profile=profile)
    assert compare(data) == "equal"
    image = Image.open(io.BytesIO(data))
    srgb = ImageCms.createProfile("sRGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    expected = np.asarray(ImageCms.profileToProfile(image, source, srgb, outputMode="RGB"))
    got = coulis.load_image(data, (64, 48), cmyk="profile")
    assert np.abs(got.astype(int) - expected).max() <= 1  # two versions of LittleCMS
    assert not np.array_equal(got, coulis.load_image(data, (64, 48)))
    broken = saved(drawn("CMYK", (64, 48)), kind, icc_profile=profile[:500])
    assert np.array_equal(coulis.load_image(broken, (64, 48), cmyk="profile"), coulis.load_image(data, (64, 48)))


def test_images_cut_short_may_keep_their_rows():
    """As with ImageFile.LOAD_TRUNCATED_IMAGES, byte for byte; without the option they are refused."""
    ImageFile = pytest.importorskip("PIL.ImageFile")
    cases = [("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}), ("JPEG", "RGB", {"restart_marker_rows": 1}),
             ("PNG", "RGB", {}), ("PNG", "L", {}), ("PNG", "RGBA", {}), ("GIF", "L", {}), ("BMP", "RGB", {}),
             ("TIFF", "RGB", {})]  # fmt: skip
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        for kind, mode, settings in cases:
            data = saved(drawn(mode, (120, 90)), kind, **settings)
            kept = 0
            for cut in [len(data) * i // 37 for i in range(1, 37)] + [len(data) - 2, len(data) - 30]:
                expected = by_pillow(data[:cut], like="pillow")
                try:
                    got = coulis.load_image(data[:cut], (120, 90), like="pillow", truncated="keep")
                except coulis.Error as error:
                    assert error.status == "unreadable" and expected is None, (kind, mode, cut)
                    continue
                assert np.array_equal(got, expected), (kind, mode, settings, cut)
                kept += 1
            assert kept > 20, kind
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    with pytest.raises(coulis.Error, match="cut short"):
        coulis.load_image(saved(drawn("RGB", (120, 90)), "JPEG")[:-30])


PROGRESSIVE = """
import io, sys
import numpy as np
import coulis
from PIL import Image, ImageFile

ImageFile.LOAD_TRUNCATED_IMAGES = True
generator = np.random.default_rng(5)
smooth = Image.fromarray(generator.integers(0, 256, (12, 16, 3), np.uint8)).resize((320, 240), Image.BICUBIC)
noise = generator.integers(-12, 12, (240, 320, 3))
image = Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8))
for subsampling in (0, 2):
    file = io.BytesIO()
    image.save(file, "JPEG", progressive=True, subsampling=subsampling)
    data = file.getvalue()
    for cut in range(700, len(data), len(data) // 20):
        expected = np.asarray(Image.open(io.BytesIO(data[:cut])).convert("RGB")).astype(int)
        got = coulis.load_image(data[:cut], (320, 240), like="pillow", truncated="keep")
        print(np.abs(got - expected).max(), (got != expected).mean())
"""


def test_progressive_images_cut_short():
    """Byte for byte where both stand on the same libjpeg; 2.1 fills in the colours that are missing a little otherwise
    than the 3.2 in Pillow's wheel."""
    own = sorted(Path(Image.__file__).parents[1].glob("pillow.libs/libjpeg-*.so.62*"))
    for preload in [{}, {"LD_PRELOAD": str(own[0])}] if own else [{}]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRESSIVE], capture_output=True, text=True, env={**os.environ, **preload}
        )
        assert done.returncode == 0, done.stderr
        rows = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
        assert len(rows) >= 38
        for most, share in rows:
            assert (most, share) == (0, 0) if preload else most <= 16 and share < 0.15
