"""What the recipes in packaging/ say twice is the same: the version, the libraries to build with, the licences."""

import re
import tomllib
from pathlib import Path

import pytest
from coulis import _library

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "packaging"
if not (RECIPES / "debian").is_dir():
    pytest.skip("no packaging/: not in a checkout", allow_module_level=True)


def libraries():
    """The Debian packages of libraries that ./run build installs."""
    listed = re.search(r"^prepare_python\(\) \{(.*?)^\}", (ROOT / "run").read_text(), re.MULTILINE | re.DOTALL)[1]
    found = set(re.findall(r"\b(?:lib[\w.+-]+-dev|zlib1g-dev|libjs-leaflet)\b", listed))
    assert {"libjpeg-dev", "zlib1g-dev", "libjs-leaflet"} < found
    return found


def test_version():
    """The one place where it stands is the header."""
    version = _library.version()
    assert f'version: "{version}"' in (RECIPES / "conda" / "recipe.yaml").read_text()
    assert (RECIPES / "debian" / "changelog").read_text().startswith(f"coulis ({version}-")


def test_debian_builds_with_what_run_installs():
    control = (RECIPES / "debian" / "control").read_text()
    wanted = set(re.findall(r"[\w.+-]+", re.search(r"^Build-Depends: (.*?)^\S", control, re.M | re.S)[1]))
    # debhelper brings the C library's headers; s3:// needs AWS's libraries, which Debian does not have.
    assert libraries() - {"libc6-dev", "libssl-dev"} <= wanted
    development = re.search(r"^Package: libcoulis-dev\n.*?^Depends: (.*?)^Description", control, re.M | re.S)[1]
    assert libraries() - {"libc6-dev", "libssl-dev", "libjs-leaflet"} <= set(re.findall(r"[\w.+-]+", development))


def test_conda_has_a_package_for_each_library():
    recipe = (RECIPES / "conda" / "recipe.yaml").read_text()
    host = set(re.findall(r"^    - ([\w-]+)", recipe[recipe.index("  host:") : recipe.index("  run:")], re.M))
    names = {
        "libjpeg-dev": "libjpeg-turbo",
        "libwebp-dev": "libwebp-base",
        "libtiff-dev": "libtiff",
        "libavif-dev": "libavif",
        "libopenjp2-7-dev": "openjpeg",
        "liblcms2-dev": "lcms2",
        "libopenblas-serial-dev": "libopenblas",
        "liblapacke-dev": "liblapacke",
        "libzstd-dev": "zstd",
        "liblz4-dev": "lz4-c",
        "zlib1g-dev": "zlib",
        "libcjson-dev": "cjson",
    }
    assert {names[library] for library in libraries() - {"libc6-dev", "libssl-dev", "libjs-leaflet"}} <= host


def test_wheel_says_what_it_is():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    versions = [int(found[1]) for text in project["classifiers"] if (found := re.search(r":: 3\.(\d+)$", text))]
    assert versions == list(range(9, versions[-1] + 1)) and project["requires-python"] == ">=3.9"
    for name in ("readme", "license", "license-files", "authors", "keywords", "scripts", "optional-dependencies"):
        assert project[name], name
    assert [str(path) for path in ROOT.glob(project["license-files"][0])] == [str(ROOT / "LICENSE")]
