"""The wheel of ./run wheel: which systems it runs on, its contents, and that it works where nothing else is."""

import hashlib
import os
import pathlib
import platform
import re
import sys
import zipfile

import pytest
from conftest import ROOT, in_nothing, run

# The C library of Amazon Linux 2023, which nodes of EMR 7 run; and that of Debian 12, which gives it when built there.
OLDEST_GLIBC, BUILD_GLIBC = (2, 34), (2, 36)
# What every Linux has, by PEP 600, with Python's own. The processor's name is in the loader's.
SYSTEM = re.compile(
    r"/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|util|z|gcc_s|stdc\+\+|ffi|expat|crypto|ssl|bz2|lzma|uuid|"
    r"nsl|python3[^/]*))(-[^/]*)?\.so[.\d]*$"
)

# Printed by the installed wheel and by the build tree: digests of vectors and components; then all that is loaded.
PROGRAM = """
import hashlib, io, struct, sys, zlib
import numpy
import coulis

def png(seed, width=300, height=200):
    pixels = numpy.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), numpy.uint8)
    pixels = pixels.repeat(10, axis=0).repeat(10, axis=1)
    rows = b"".join(b"\\0" + row.tobytes() for row in pixels)
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

digest = lambda *arrays: hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
result = coulis.Featurizer(threads=2).featurize([png(seed) for seed in range(24)])
assert result.status == ["ok"] * 24, result.error
print("vectors", digest(result.values))
rows = numpy.random.default_rng(1).standard_normal((400, 300)).astype(numpy.float32)
for name, matrix in ("few rows", result.values), ("few columns", rows):
    pca = coulis.PCA(n_components=0.99).fit(matrix)
    print(name, digest(pca.components_, pca.explained_variance_, pca.transform(matrix)))
print("version", coulis.__version__)
if sys.argv[1:] == ["maps"]:
    for line in sorted({line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}):
        print("loaded", line)
"""


def test_platform(wheel):
    if tuple(map(int, platform.libc_ver()[1].split("."))) > BUILD_GLIBC:
        pytest.skip(f"built with the C library {platform.libc_ver()[1]}, newer than Debian 12's: the wheel may need it")
    found = re.fullmatch(r"coulis-[\d.]+-py3-none-manylinux_(\d+)_(\d+)_\w+\.whl", wheel.name)
    assert (int(found[1]), int(found[2])) <= OLDEST_GLIBC
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    versions = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([\d.]+)", shown)}
    assert versions and max(versions) <= OLDEST_GLIBC
    # "consistent with" would say linux, for OpenSSL's libcrypto.so.3: the system's own, whose faults are mended there.
    # libcoulis_s3.so alone needs it, and is loaded for s3:// alone.
    assert f'constrains the platform tag to "{wheel.stem.split("-")[-1]}"' in " ".join(shown.split())


def test_licences(wheel):
    """Every library in the wheel is in the list of what comes along, and every entry of the list has its licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (listed,) = (name for name in names if name.endswith("/licenses/BUNDLED.txt"))
        text = archive.read(listed).decode()
        folder = listed.rpartition("/")[0]
        licences = re.findall(r"see (\S+)$", text, re.MULTILINE)
        assert licences
        for licence in licences:
            assert len(archive.read(f"{folder}/{licence}")) > 500, licence
    libraries = [name for name in names if name.startswith("coulis.libs/") and not name.endswith("/")]
    assert len(libraries) > 4
    for name in libraries:
        original = re.sub(r"-[0-9a-f]{8}", "", name.rpartition("/")[2])
        assert re.search(rf"^{re.escape(original.split('.so')[0])}\.so", text, re.MULTILINE), name


def test_same_bytes(clean_python, tmp_path):
    """Vectors and components are those of the build tree, and no library but the system's and the wheel's is loaded."""
    output = in_nothing([clean_python, "-c", PROGRAM, "maps"], tmp_path).splitlines()
    results = [line for line in output if not line.startswith("loaded ")]
    built = run(sys.executable, "-c", PROGRAM, env={**os.environ, "COULIS_MODELS": str(ROOT / "build" / "models")})
    assert results == built.splitlines()

    environment = str(clean_python.parent.parent)
    loaded = [line.split(" ", 1)[1] for line in output if line.startswith("loaded ")]
    assert any("libcoulis.so" in path for path in loaded) and any("coulis.libs/libjpeg" in path for path in loaded)
    own_python = str(pathlib.Path(run(clean_python, "-c", "import sys; print(sys.base_prefix)").strip()))
    foreign = [
        path
        for path in loaded
        if not path.startswith(environment)
        and not SYSTEM.search(path)
        and not (path.startswith(own_python) and "/lib-dynload/" in path)
    ]
    assert foreign == []


def test_command(clean_python, tmp_path):
    """The command in the wheel writes the bytes that build/coulis writes."""
    images = tmp_path / "pictures"
    images.mkdir()
    write = PROGRAM.split("digest =")[0] + "for n in range(8): open(f'{sys.argv[1]}/{n}.png', 'wb').write(png(n))"
    run(sys.executable, "-c", write, images)
    arguments = ["run", "pictures", "-o", "out", "--quiet", "-k", "3"]
    folders = []
    for name, command in ("wheel", clean_python.parent / "coulis"), ("build", ROOT / "build" / "coulis"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pictures").symlink_to(images)
        in_nothing([command, *arguments], folder)
        folders.append(
            {
                p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in (folder / "out").rglob("*")
                if p.suffix in (".parquet", ".safetensors")
            }
        )
    assert len(folders[0]) == 3 and folders[0] == folders[1]
