"""The zeros that ReLUs leave, on noise and on photographs, and what leaving out their products is worth."""

import os
import pathlib
import subprocess
import tempfile

import coulis
import numpy
from bench import ROOT
from bench_net import resnet50_file

IMAGES = 4  # CL_PLAN_IMAGES
SIDE = 224  # of both networks


def noise():
    return numpy.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=numpy.uint8)


def photographs():
    """Images of fruits-360, spread over its kinds; None where they are missing."""
    folder = pathlib.Path(os.environ.get("COULIS_TEST_DATA", ROOT.parent / "shared" / "data")) / "fruits-360" / "test"
    found = sorted(folder.glob("*/*.jpg"))
    if not found:
        return None
    chosen = [found[len(found) * n // IMAGES] for n in range(IMAGES)]
    return numpy.stack([coulis.load_image(path, size=(SIDE, SIDE)) for path in chosen])


def run(arguments):
    results = []
    with tempfile.TemporaryDirectory() as folder:
        networks = {"EfficientNet-Lite0": coulis.find_model("efficientnet-lite0"), "ResNet50": resnet50_file(folder)}
        for name, model in networks.items():
            for kind, images in (("noise", noise()), ("photographs", photographs())):
                if images is None:
                    continue
                path = pathlib.Path(folder, "images.rgb")
                path.write_bytes(images.tobytes())
                text = subprocess.run(
                    [str(ROOT / "build" / "bench_zeros"), str(model), str(path)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                print(f"\n{name}, {kind}\n\n{text}")
                results.append({"title": f"zeros, {name}, {kind}", "table": text})
    return results
