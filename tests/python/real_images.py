"""Twenty images for networks: real ones where the test data are, generated ones elsewhere."""

import coulis
import numpy
from conftest import DATA, fruit_images
from net_helpers import generated_images

COUNT = 20


def real_images(height, width):
    """uint8 (COUNT, height, width, 3), resized by coulis.load_image: every program sees the same pixels."""
    fruits = fruit_images()
    photographs = sorted((DATA / "fruits-360" / "photos").glob("*.jpg"))[:4]
    odd = sorted((DATA / "odd-images" / "pngsuite").glob("basn*.png"))[:3]
    if not fruits or not photographs or not odd:
        return generated_images(COUNT, height, width)
    rest = COUNT - len(photographs) - len(odd)
    paths = photographs + odd + fruits[:: len(fruits) // rest][:rest]
    return numpy.stack([coulis.load_image(path, (width, height)) for path in paths])
