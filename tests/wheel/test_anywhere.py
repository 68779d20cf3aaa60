"""The wheel in each Python that it promises, and the guides where there is nothing but the wheel."""

import io
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest
from conftest import ROOT, in_nothing, run
from elftools.elf.elffile import ELFFile
from test_wheel import PROGRAM

LONG = os.environ.get("COULIS_TEST_LONG")
# The oldest in every run, beside the one that runs the tests; the others with COULIS_TEST_LONG=1.
VERSIONS = [
    pytest.param(f"3.{minor}", marks=pytest.mark.skipif(minor != 9 and not LONG, reason="long"))
    for minor in range(9, 15)
]


def interpreter(version):
    """A Python of this version: in PATH, or one of pyenv's or uv's."""
    name = f"python{version}"
    places = [
        *pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"),
        *pathlib.Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"),
    ]
    for found in (shutil.which(name), *places):
        if found and subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
            return found
    pytest.skip(f"no Python {version} here with venv and ensurepip")


@pytest.fixture(scope="session")
def expected(clean_python, tmp_path_factory):
    """What the wheel prints in the environment of the other tests."""
    return in_nothing([clean_python, "-c", PROGRAM], tmp_path_factory.mktemp("expected"))


@pytest.mark.parametrize("version", VERSIONS)
def test_installs_and_gives_the_same_bytes(version, wheel, expected, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    run(interpreter(version), "-m", "venv", tmp_path / "venv")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    assert in_nothing([python, "-c", PROGRAM], tmp_path) == expected
    said = in_nothing([python, "-m", "coulis", "version"], tmp_path)
    assert said == in_nothing([python.with_name("coulis"), "version"], tmp_path)


def test_nothing_of_one_python_is_in_it(wheel):
    """What abi3audit looks for: a library in the wheel that needs symbols of Python would run in some only."""
    libraries = 0
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert not [name for name in names if re.search(r"\.(cpython|abi3)[-.]|\.pyc$|__pycache__", name)]
        for name in names:
            data = archive.read(name)
            if not data.startswith(b"\x7fELF"):
                continue
            libraries += 1
            file = ELFFile(io.BytesIO(data))  # of the archive's own file, each step back would unpack it anew
            needed = [tag.needed for tag in file.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")]
            symbols = [
                symbol.name
                for symbol in file.get_section_by_name(".dynsym").iter_symbols()
                if symbol["st_shndx"] == "SHN_UNDEF"
            ]
            assert not [library for library in needed if "python" in library.lower()], name
            assert not [symbol for symbol in symbols if re.match(r"_?Py[A-Z_]", symbol)], name
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
        tag = archive.read(next(name for name in names if name.endswith(".dist-info/WHEEL"))).decode()
    assert libraries > 5 and "Tag: py3-none-manylinux" in tag
    assert "Requires-Python: >=3.9" in metadata and re.search(r"^Requires-Dist: numpy$", metadata, re.MULTILINE)
    assert wheel.stat().st_size <= 30_000_000


# ---- the guides ------------------------------------------------------------------------------------


def png(seed, base, width=60, height=40):
    """A drawing of few squares around a grey, the same for the same seed."""
    generator = random.Random(seed)
    squares = [[bytes(generator.randrange(base, base + 90) for _ in range(3)) for _ in range(6)] for _ in range(4)]
    rows = b"".join(b"\0" + b"".join(squares[y // 10][x // 10] for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


@pytest.fixture
def folder(clean_python, tmp_path):
    """What the guides speak of: photos, new ones, single images, and the command as it is built."""
    places = [f"photos/{kind}/{number}.png" for kind in ("apple", "pear") for number in range(10)]
    for seed, place in enumerate([*places, "photos/apple.jpg", "apple.jpg", "pear.png", "new-photos/1.png"]):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(png(seed, 160 if "pear" in place else 0))
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "coulis").symlink_to(clean_python.with_name("coulis"))
    return tmp_path


# In README.md, ./run makes what is in the wheel, and a table is read by pyarrow, which the wheel does not need.
@pytest.mark.parametrize(
    "guide, without", [("docs/tutorial.md", []), ("README.md", [r"^\./run\b", r"^pip install\b", r"\bpq\b"])]
)
def test_guides_run_with_nothing_but_the_wheel(guide, without, clean_python, folder):
    packages = run(clean_python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
    assert {line.split("==")[0] for line in packages.split()} <= {"coulis", "numpy", "pip", "setuptools"}
    words = [word for pattern in without for word in ("--without", pattern)]
    done = subprocess.run(
        [clean_python, ROOT / "tests" / "python" / "guides.py", *words, ROOT / guide],
        cwd=folder,
        env={"PATH": f"{clean_python.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert int(re.search(r"^(\d+) blocks were run$", done.stdout, re.MULTILINE)[1]) >= 4
    assert sys.prefix not in done.stdout
