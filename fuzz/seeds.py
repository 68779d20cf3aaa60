"""Small good files from which fuzzing begins.

  seeds.py own                   writes models, PCAs, parts, lists and a run.json to tests/data/seeds, after ./run build
  seeds.py images DIR [DATA...]  writes images of each format to DIR/FORMAT, and links small ones of the folders DATA

Those of `own` are committed: tests/c/test_hostile.c damages copies of them, and says when they are out of date. Images
are made anew each time, by the Pillow of the tests. Archives and tables of images come from tests/python/archives.py.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python")]

BYTES_MAX = 16 << 10  # of an image: larger ones leave time for few tries
FILES_MAX = 150  # of one format
ENDINGS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp", "tif": "tiff",
           "tiff": "tiff", "avif": "avif", "jp2": "jp2", "j2k": "jp2", "jxl": "jxl", "heic": "heic"}


def own(folder):
    from conftest import draw_image
    from net_helpers import Tiny, write_model

    for name in ("model", "pca", "part", "list", "run_json"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    net = Tiny(8, 8)
    write_model(folder / "model" / "convolution", net.end(net.conv_norm("image", 4, 3, stride=2)))
    net = Tiny(8, 8)
    patches = net("conv", "image", channels=6, kernel=4, stride=4, bias=True)
    qkv = net("dense", net("layer_norm", net("tokens", patches, before=1), epsilon=1e-6), units=18)
    description = net.end(patches)
    description["features"]["tokens"] = net("attention", qkv, heads=2, scale=0.5)
    write_model(folder / "model" / "tokens", description)

    with tempfile.TemporaryDirectory() as top:
        top = Path(top)
        (top / "images").mkdir()
        for number in range(5):
            draw_image(number, (12, 8)).save(top / "images" / f"{number}.png")
        (top / "images" / "broken.png").write_bytes(b"no image")
        shutil.copy(folder / "model" / "convolution", top / "tiny.safetensors")
        done = subprocess.run([str(ROOT / "build" / "coulis"), "run", "images", "-o", "out", "-k", "2", "--quiet",
                               "--rows-per-file", "3", "--model", "tiny.safetensors"], cwd=top)
        assert done.returncode == 3, done
        shutil.copy(top / "out" / "pca.safetensors", folder / "pca" / "of_a_run")
        for number in range(2):
            shutil.copy(top / "out" / "features" / f"part-{number:05}.parquet", folder / "part" / f"part{number}")
        summary = json.loads((top / "out" / "run.json").read_text())
        del summary["root"]
        recipe = {"model": "m", "pictures": 6, "paths_sha256": "00", "components": 2}  # READER_RECIPE in readers.h
        for name, more in (("complete", {}), ("unfinished", {"complete": False}),
                           ("other_images", {"recipe": {**recipe, "pictures": 7, "paths_sha256": "11"}})):
            (folder / "run_json" / name).write_text(json.dumps({**summary, "recipe": recipe, **more}, indent=1))
    of_spark(folder / "part" / "spark")
    (folder / "list" / "lines").write_bytes(b"\xef\xbb\xbfa/b.jpg\n\nc.png\r\nd e f\n/x/y/z.webp")


def of_spark(path):
    """A table of Spark's vectors, one of them missing."""
    import pyarrow
    from pyarrow import parquet

    def whole(name, kind):
        return pyarrow.field(name, kind, nullable=False)

    vector = pyarrow.struct([whole("type", pyarrow.int8()), pyarrow.field("size", pyarrow.int32()),
                             pyarrow.field("indices", pyarrow.list_(whole("element", pyarrow.int32()))),
                             pyarrow.field("values", pyarrow.list_(whole("element", pyarrow.float64())))])
    rows = [None if i == 2 else {"type": 1, "size": None, "indices": None, "values": [i, 2, 3]} for i in range(5)]
    parquet.write_table(pyarrow.table({"path": list("abcde"), "features": pyarrow.array(rows, vector)}), path,
                        compression="snappy", row_group_size=3, write_statistics=False)


def drawn(mode, size):
    """A small image of any mode that Pillow writes."""
    import numpy
    from PIL import Image

    x, y = numpy.meshgrid(numpy.arange(size[0]), numpy.arange(size[1]))
    planes = [Image.fromarray(((x * (3 + b) + y * (5 - b)) % 256).astype("u1")) for b in range(4)]
    if mode == "I;16":
        return Image.fromarray(((x * 300 + y * 500) % 65536).astype("u2"))
    return Image.merge("RGBA", planes).convert(mode)


def images(folder, data):
    from PIL import Image, features

    compressed = [{"compression": c} for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg")]
    kinds = {
        "jpeg": [("L", {}), ("RGB", {}), ("RGB", {"progressive": True}), ("CMYK", {}), ("RGB", {"subsampling": 1})],
        "png": [("1", {}), ("L", {}), ("LA", {}), ("P", {}), ("RGB", {}), ("RGBA", {}), ("I;16", {})],
        "webp": [("RGB", {}), ("RGBA", {}), ("RGBA", {"lossless": True})],
        "gif": [("1", {}), ("L", {}), ("L", {"interlace": 0}), ("RGBA", {})],
        "bmp": [("1", {}), ("L", {}), ("P", {}), ("RGB", {}), ("RGBA", {})],
        "tiff": [("RGB", {"big_tiff": True}), ("1", {"compression": "group4"}), ("I;16", {}),
                 *[(mode, more) for mode in ("L", "RGB", "CMYK") for more in [{}, *compressed]]],
        "avif": [("RGB", {}), ("RGBA", {}), ("RGB", {"subsampling": "4:4:4"})],
        "jp2": [("L", {}), ("LA", {}), ("RGB", {}), ("RGBA", {}), ("RGB", {"tile_size": (8, 8)}),
                ("RGB", {"no_jp2": True})],
    }
    for kind, wanted in kinds.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        if kind == "avif" and not features.check("avif"):
            print("avif: no seeds, as this Pillow writes none", flush=True)
            continue
        for number, (mode, more) in enumerate(wanted):
            for size in ((17, 23), (48, 32)):
                out = io.BytesIO()
                drawn(mode, size).save(out, "JPEG2000" if kind == "jp2" else kind.upper(), **more)
                (folder / kind / f"made-{number}-{size[0]}").write_bytes(out.getvalue())
    frames = [drawn("RGB", (20, 16)).rotate(90 * turn) for turn in range(3)]
    for kind in ("gif", "webp", "png", "tiff"):
        frames[0].save(folder / kind / "frames", Image.registered_extensions()[f".{kind}"], save_all=True,
                       append_images=frames[1:])
    found = {}
    for path in sorted(path for folder in data for path in folder.rglob("*")):
        kind = ENDINGS.get(path.suffix.lower().lstrip("."))
        if kind and 0 < path.stat().st_size <= BYTES_MAX:
            found.setdefault(kind, []).append(path)
    for kind, paths in found.items():
        (folder / kind).mkdir(exist_ok=True)
        for number, path in enumerate(paths[:: -(-len(paths) // FILES_MAX)]):
            target = folder / kind / f"found-{number}"
            target.unlink(missing_ok=True)
            target.symlink_to(path.resolve())


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("what", choices=["own", "images"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("data", nargs="*", type=Path)
    options = parser.parse_args()
    if options.what == "own":
        own(options.folder or ROOT / "tests" / "data" / "seeds")
    else:
        images(options.folder, options.data)


if __name__ == "__main__":
    main()
