"""Twenty images for networks: real ones where the test data are, generated ones elsewhere."""

import os
from pathlib import Path

import coulis
import numpy
from net_helpers import generated_images

COUNT = 20
REPOSITORY = Path(__file__).resolve().parents[2]


def real_images(height, width):
    """uint8 (COUNT, height, width, 3), resized by coulis.load_image: every program sees the same pixels."""
    data = Path(os.environ.get("COULIS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    fruits = sorted((data / "fruits-360" / "test").glob("*/*.jpg"))
    photographs = sorted((data / "fruits-360" / "photos").glob("*.jpg"))[:4]
    odd = [path for path in sorted((data / "odd-images" / "pngsuite").glob("basn*.png"))][:3]
    if not fruits or not photographs or not odd:
        return generated_images(COUNT, height, width)
    rest = COUNT - len(photographs) - len(odd)
    paths = photographs + odd + fruits[:: len(fruits) // rest][:rest]
    return numpy.stack([coulis.load_image(path, (width, height)) for path in paths])
