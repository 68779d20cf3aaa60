"""What the Python tests share: where the package, the models and the pictures are."""

import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "python"))

# A library in another build folder has no models beside it.
if (REPOSITORY / "build" / "models").is_dir():
    os.environ.setdefault("COULIS_MODELS", str(REPOSITORY / "build" / "models"))


@pytest.fixture(scope="session")
def repository():
    """The checkout."""
    return REPOSITORY


def _data(name):
    folder = Path(os.environ.get("COULIS_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set COULIS_TEST_DATA to the folder that holds {name}")
    return folder


@pytest.fixture(scope="session")
def fruits():
    """The folder fruits-360, or a skip."""
    return _data("fruits-360")


@pytest.fixture(scope="session")
def odd_images():
    """The folder odd-images, or a skip."""
    return _data("odd-images")


@pytest.fixture(scope="session")
def lite0_path():
    """The model file of efficientnet-lite0, or a skip."""
    import coulis

    try:
        return coulis.find_model("efficientnet-lite0")
    except coulis.Error as error:
        pytest.skip(str(error))
