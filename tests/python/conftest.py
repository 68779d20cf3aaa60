"""What the Python tests share: where the package, the models and the images are."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "python"))

# A library in another build folder has no models beside it.
if (REPOSITORY / "build" / "models").is_dir():
    os.environ.setdefault("COULIS_MODELS", str(REPOSITORY / "build" / "models"))


def pytest_configure(config):
    config.addinivalue_line("markers", "quick(n): of the cases of this test, `./run test quick` runs the first n")


def pytest_collection_modifyitems(config, items):
    """Leaves out of a quick run what the marks say."""
    if not os.environ.get("COULIS_TEST_QUICK"):
        return
    kept, left, seen = [], [], {}
    for item in items:
        mark, name = item.get_closest_marker("quick"), item.nodeid.partition("[")[0]
        seen[name] = seen.get(name, 0) + 1
        (left if mark and seen[name] > mark.args[0] else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(scope="session")
def repository():
    """The checkout."""
    return REPOSITORY


DATA = Path(os.environ.get("COULIS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def _data(name):
    folder = DATA / name
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
def more_formats():
    """The folder more-formats, or a skip."""
    return _data("more-formats")


@pytest.fixture(scope="session")
def lite0_path():
    """The model file of efficientnet-lite0, or a skip."""
    import coulis

    try:
        return coulis.find_model("efficientnet-lite0")
    except coulis.Error as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def command():
    """The path of the command `coulis`."""
    path = Path(os.environ.get("COULIS_COMMAND", REPOSITORY / "build" / "coulis"))
    if not path.exists():
        pytest.skip(f"no {path}: build it with ./run build")
    return path


def draw_image(number, size=(64, 48)):
    """A smooth random image that compresses like a photograph, the same for the same number."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.BICUBIC)


def draw_images(folder, count, ending="png"):
    """The folder, with `count` drawn images: 0.png and so on, with as many digits as the last of them needs."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        draw_image(number).save(folder / f"{number:0{len(str(count - 1))}}.{ending}")
    return folder


@functools.cache
def fruit_images():
    """The test images of fruits-360, sorted; none without it."""
    return sorted((DATA / "fruits-360" / "test").glob("*/*.jpg"))


def save_image(path, number, count):
    """The file `path`, number `number` of `count`: an image of fruits-360 where that is here, else a drawn one."""
    found = fruit_images()
    if found:
        path.write_bytes(found[number * max(1, len(found) // count) % len(found)].read_bytes())
    else:
        draw_image(number, (40 + number % 60, 50)).save(path)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """A folder of 60 small JPEG, PNG and WebP files in three folders, to be read only."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(60):
        kind, ending = [("red", "jpg"), ("green", "png"), ("blue", "webp")][number % 3]
        (folder / kind).mkdir(exist_ok=True)
        draw_image(number, (40 + number, 50)).save(folder / kind / f"{number:03}.{ending}")
    return folder


@pytest.fixture
def coulis(command, tmp_path):
    """Runs the command in an empty folder; gives the finished process."""

    def call(*arguments, code=0, cwd=".", **more):
        done = subprocess.run(
            [str(command), *map(str, arguments)],
            cwd=tmp_path / cwd,
            capture_output=True,
            text=True,
            timeout=300,
            **more,
        )
        assert done.returncode == code, f"exit {done.returncode}: {done.stderr}"
        return done

    return call


@pytest.fixture(scope="module")
def featurizer(lite0_path):
    """EfficientNet-Lite0."""
    import coulis

    with coulis.Featurizer(lite0_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def paths(images):
    """The files in the folder `images`, which a test file makes for itself."""
    return sorted(path for path in images.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def expected(command, images, tmp_path_factory):
    """The vectors of `images`."""
    from results import read

    out = tmp_path_factory.mktemp("expected") / "out"
    subprocess.run([str(command), "featurize", str(images), "-o", str(out), "--quiet"], check=True)
    return read(out)
