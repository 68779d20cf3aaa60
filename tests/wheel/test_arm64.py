"""The wheel for 64-bit ARM, made on another machine: installed by pip for that processor, and run in an emulator.

COULIS_TEST_LONG=1 runs it: AWS's libraries and ours are compiled once more, which takes ten minutes.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, in_nothing, pinned_numpy, run

pytestmark = [
    pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="COULIS_TEST_LONG=1 makes this wheel, too"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="it is made by Debian's cross-compiler for x86-64"),
]

# Each of these goes through another library of the wheel. Pillow writes them, in the environment of the other tests.
WRITE = """
import sys
import numpy
from PIL import Image

for number, ending in enumerate("jpg png webp tif bmp gif jp2 avif jpg png".split()):
    pixels = numpy.random.default_rng(number).integers(0, 256, (20, 30, 3), numpy.uint8)
    image = Image.fromarray(pixels.repeat(10, axis=0).repeat(10, axis=1))
    image.save(f"{sys.argv[1]}/{number}.{ending}", **({"compression": "tiff_lzw"} if ending == "tif" else {}))
"""
FEATURIZE = """
import hashlib, json, pathlib, sys
import coulis

paths = sorted(pathlib.Path(sys.argv[1]).iterdir())
result = coulis.Featurizer(threads=1).featurize(paths)
print(json.dumps({
    "version": coulis.__version__, "status": result.status, "vectors": result.values.tolist(),
    "pixels": [hashlib.sha256(coulis.load_image(path).tobytes()).hexdigest() for path in paths],
    "components": coulis.PCA(n_components=3).fit(result.values).explained_variance_.tolist(),
    "loaded": sorted({line.split()[-1] for line in open("/proc/self/maps") if ".so" in line})}))
"""


@pytest.fixture(scope="module")
def arm64_wheel(wheel):
    run("./run", "wheel", "aarch64", cwd=ROOT)
    assert wheel.exists()  # that of this machine is left where it is
    (path,) = (ROOT / "dist" / "aarch64").glob("coulis-*_aarch64.whl")
    return path


@pytest.fixture(scope="module")
def emulated(arm64_wheel, tmp_path_factory):
    """A Python of Debian's for that processor, in the emulator, where pip has installed the wheel; as a command."""
    if not shutil.which("qemu-aarch64"):
        pytest.skip("no qemu-aarch64: apt-get install qemu-user")
    root = ROOT / "build" / "arm64" / "python"
    run(ROOT / "tools" / "arm64_sysroot.sh", root, "python3", "libssl3", "libgcc-s1", "libstdc++6", "zlib1g")
    (python,) = root.glob("usr/bin/python3.*[0-9]")
    version = python.name[len("python") :]
    folder = tmp_path_factory.mktemp("arm64")
    platforms = [
        word
        for name in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux2014")
        for word in ("--platform", f"{name}_aarch64")
    ]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        version,
        *platforms,
        "--target",
        folder / "site",
    ]
    run(*pip, "--require-hashes", "-r", pinned_numpy(folder))
    run(*pip, "--no-index", arm64_wheel)
    return ["qemu-aarch64", "-L", root, "-E", f"PYTHONPATH={folder / 'site'}", python], folder / "site"


def test_tag(arm64_wheel):
    found = re.fullmatch(r"coulis-[\d.]+-py3-none-manylinux_(\d+)_(\d+)_aarch64\.whl", arm64_wheel.name)
    assert (int(found[1]), int(found[2])) <= (2, 34)
    shown = run(sys.executable, "-m", "auditwheel", "show", arm64_wheel)
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([\d.]+)", shown)}
    assert versions and max(versions) <= (2, 34)
    assert arm64_wheel.stat().st_size <= 30_000_000


def test_same_vectors(emulated, clean_python, tmp_path):
    """Ten images of eight formats: the pixels are those of this machine, the vectors as good as."""
    images = tmp_path / "images"
    images.mkdir()
    done = subprocess.run([ROOT / ".venv" / "bin" / "python", "-c", WRITE, images], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Pillow of the tests' environment does not write them: {done.stderr.strip().splitlines()[-1]}")
    command, site = emulated
    here = json.loads(in_nothing([clean_python, "-c", FEATURIZE, images], tmp_path))
    there = json.loads(in_nothing([*command, "-c", FEATURIZE, images], tmp_path))
    assert here["status"] == there["status"] == ["ok"] * 10
    assert here["pixels"] == there["pixels"]
    for a, b in zip(here["vectors"], there["vectors"]):
        product, squares = sum(x * y for x, y in zip(a, b)), sum(x * x for x in a) * sum(y * y for y in b)
        assert product / squares**0.5 > 0.999999
    assert there["components"] == pytest.approx(here["components"], rel=1e-4)
    assert here["version"] == there["version"]
    assert any(path.startswith(str(site / "coulis.libs" / "libavif")) for path in there["loaded"])


def test_command(emulated, tmp_path):
    command, site = emulated
    said = in_nothing([*command[:-1], site / "coulis" / "bin" / "coulis", "version"], tmp_path)
    assert "(neon)" in said
