"""Decoding and resizing on one core: coulis beside Pillow."""

import glob
import os

import coulis
import numpy
from bench import ROOT, rate, rounds, table
from conftest import draw_picture
from PIL import Image


def pillow(path):
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGB").resize((224, 224), Image.BICUBIC))


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
            draw_picture(number, (100, 100)).save(small[-1])
        draw_picture(0, (4000, 3000)).save(photographs[0])
    results = []
    for title, paths in (("JPEG of 100x100", small), ("photographs of 8 to 12 megapixels", photographs)):
        for path in paths[:20]:
            assert (coulis.load_image(path) == pillow(path)).all(), path
        programs = {
            name: lambda load=load: rate(lambda: [load(path) for path in paths], len(paths), arguments.seconds)
            for name, load in (("coulis", coulis.load_image), ("Pillow", pillow))}
        results.append(table(f"Decode and resize to 224x224, {title}, one core", rounds(programs, arguments.rounds),
                             "pictures/s"))
    return results
