"""Small good files from which fuzzing begins.

  seeds.py own                   writes models, PCAs, parts, lists and a run.json to tests/data/seeds, after ./run build
  seeds.py images DIR [DATA...]  writes images of each format to DIR/FORMAT, and links small ones of the folders DATA

Those of `own` are committed: tests/c/test_hostile.c damages copies of them, and says when they are out of date. Images
are made anew each time, by the Pillow of the tests. Archives and tables of images come from tests/python/archives.py.
"""

import argparse
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
        done = subprocess.run(
            [
                str(ROOT / "build" / "coulis"),
                "run",
                "images",
                "-o",
                "out",
                "-k",
                "2",
                "--quiet",
                "--rows-per-file",
                "3",
                "--model",
                "tiny.safetensors",
            ],
            cwd=top,
        )
        assert done.returncode == 3, done
        shutil.copy(top / "out" / "pca.safetensors", folder / "pca" / "of_a_run")
        for number in range(2):
            shutil.copy(top / "out" / "features" / f"part-{number:05}.parquet", folder / "part" / f"part{number}")
        summary = json.loads((top / "out" / "run.json").read_text())
        del summary["root"]
        recipe = {"model": "m", "pictures": 6, "paths_sha256": "00", "components": 2}  # READER_RECIPE in readers.h
        for name, more in (
            ("complete", {}),
            ("unfinished", {"complete": False}),
            ("other_images", {"recipe": {**recipe, "pictures": 7, "paths_sha256": "11"}}),
        ):
            (folder / "run_json" / name).write_text(json.dumps({**summary, "recipe": recipe, **more}, indent=1))
    of_spark(folder / "part" / "spark")
    (folder / "list" / "lines").write_bytes(b"\xef\xbb\xbfa/b.jpg\n\nc.png\r\nd e f\n/x/y/z.webp")


def of_spark(path):
    """A table of Spark's vectors, one of them missing."""
    import pyarrow
    from pyarrow import parquet

    def whole(name, kind):
        return pyarrow.field(name, kind, nullable=False)

    vector = pyarrow.struct(
        [
            whole("type", pyarrow.int8()),
            pyarrow.field("size", pyarrow.int32()),
            pyarrow.field("indices", pyarrow.list_(whole("element", pyarrow.int32()))),
            pyarrow.field("values", pyarrow.list_(whole("element", pyarrow.float64()))),
        ]
    )
    rows = [None if i == 2 else {"type": 1, "size": None, "indices": None, "values": [i, 2, 3]} for i in range(5)]
    parquet.write_table(
        pyarrow.table({"path": list("abcde"), "features": pyarrow.array(rows, vector)}),
        path,
        compression="snappy",
        row_group_size=3,
        write_statistics=False,
    )


OTHERS = {".jxl": "JXL", ".heic": "HEIF"}  # which Pillow does not know
# Beside those of WRITTEN in tests/python/test_formats.py.
MORE = [
    *[("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")],
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "RGB", {"subsampling": 1}),
    *[("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {}),
    ("WEBP", "RGBA", {"lossless": True}),
]


def images(folder, data):
    import numpy
    from PIL import Image, features
    from test_formats import WRITTEN, drawn, saved

    made = {}
    for kind, mode, settings in [*MORE, *WRITTEN]:
        if kind == "AVIF" and not features.check("avif"):
            continue  # this Pillow writes none
        for size in ((17, 23), (48, 32)):
            made.setdefault(kind, []).append(saved(drawn(mode, size), kind, **settings))
    grey = Image.fromarray(numpy.asarray(drawn("L", (17, 23))).astype("u2") * 257)
    frames = [drawn("RGB", (20, 16)).rotate(90 * turn) for turn in range(3)]
    for kind in ("PNG", "TIFF"):
        made[kind].append(saved(grey, kind))
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        made[kind].append(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    for kind, files in made.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(files):
            (folder / kind / f"made-{number}").write_bytes(content)
    found = {}
    for path in sorted(path for folder in data for path in folder.rglob("*")):
        kind = OTHERS.get(path.suffix.lower()) or Image.registered_extensions().get(path.suffix.lower())
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
