"""Decoding and resizing on one core: coulis beside Pillow."""

import glob
import os

import coulis
import numpy
from bench import ROOT, rate, rounds, table
from conftest import draw_image
from PIL import Image


def pillow(path):
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB").resize((224, 224), Image.BICUBIC))


def fast(path):
    return coulis.load_image(path, decode="fast")


def pillow_draft(path):
    """The same fraction of the image, and so the same bytes, as fast decoding."""
    with Image.open(path) as image:
        _, box = image.draft(None, (448, 448))
        return numpy.asarray(image.convert("RGB").resize((224, 224), Image.BICUBIC, box=box))


def run(arguments):
    data = os.environ.get("COULIS_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    small = sorted(glob.glob(f"{data}/fruits-360/test/Banana/*.jpg"))
    photographs = sorted(glob.glob(f"{data}/fruits-360/photos/*.jpg"))
    if not small:
        folder = ROOT / "build" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        small, photographs = [], [str(folder / "large.jpg")]
        for number in range(100):
            small.append(str(folder / f"{number}.jpg"))
            draw_image(number, (100, 100)).save(small[-1])
        draw_image(0, (4000, 3000)).save(photographs[0])
    results = []
    large = "photographs of 8 to 12 megapixels"
    for title, paths, loads in (
        ("JPEG of 100x100", small, {"coulis": coulis.load_image, "Pillow": pillow}),
        (large, photographs, {"coulis": coulis.load_image, "Pillow": pillow}),
        (f"{large}, fast", photographs, {"coulis": fast, "Pillow": pillow, "Pillow's draft mode": pillow_draft}),
    ):
        oracle = list(loads.values())[-1]
        for path in paths[:20]:
            assert (loads["coulis"](path) == oracle(path)).all(), path
        programs = {
            name: lambda load=load: rate(lambda: [load(path) for path in paths], len(paths), arguments.seconds)
            for name, load in loads.items()
        }
        results.append(
            table(f"Decode and resize to 224x224, {title}, one core", rounds(programs, arguments.rounds), "images/s")
        )
    return results
