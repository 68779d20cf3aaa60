"""What `cmake --install` leaves: a consumer by pkg-config, one by find_package, the command, its pages and models."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from coulis import _library

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
PROGRAM = r"""
#include <coulis.h>
#include <stdio.h>
int main(void) {
    coulis_error error;
    char path[4096];
    const float x[] = {1, 2, 3, 5, 8, 13};
    coulis_pca *pca;
    if (coulis_pca_fit(x, 3, 2, NULL, &pca, &error) ||
        coulis_model_find("efficientnet-lite0", path, sizeof path, &error))
        return puts(error.message), 1;
    printf("%s %s\n%s\n", COULIS_VERSION, coulis_version(), path);
    coulis_pca_free(pca);
    return 0;
}
"""
LISTS = r"""
cmake_minimum_required(VERSION 3.20)
project(consumer C)
find_package(coulis 0.2 REQUIRED)
add_executable(shared program.c)
target_link_libraries(shared PRIVATE coulis::coulis)
add_executable(static program.c)
target_link_libraries(static PRIVATE coulis::static)
"""


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(command, tmp_path_factory):
    """An installation that was moved after it was made."""
    build, folder = command.parent, tmp_path_factory.mktemp("install")
    if not (build / "build.ninja").exists() or not (TOOLS / "ninja").exists():
        pytest.skip("the command does not lie in a build folder")
    run(TOOLS / "ninja", "-C", build, "coulis_install")
    run(TOOLS / "cmake", "--install", build, "--prefix", folder / "made")
    return (folder / "made").rename(folder / "moved")


def environment(prefix, **more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COULIS_")}
    return {**clean, "HOME": str(prefix / "nobody"), "PKG_CONFIG_PATH": str(library(prefix) / "pkgconfig"), **more}


def library(prefix):
    (path,) = prefix.rglob("coulis.pc")
    return path.parent.parent


def check(program, prefix, **more):
    version, path = run(program, env=environment(prefix, **more)).splitlines()
    assert version == f"{_library.version()} {_library.version()}"
    assert Path(path).resolve() == prefix / "share" / "coulis" / "models" / "efficientnet-lite0.safetensors"


def test_consumer_by_pkg_config(prefix, tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM)
    flags = run("pkg-config", "--cflags", "--libs", "coulis", env=environment(prefix)).split()
    run("cc", tmp_path / "program.c", "-o", tmp_path / "shared", *flags)
    check(tmp_path / "shared", prefix, LD_LIBRARY_PATH=str(library(prefix)))
    assert run("pkg-config", "--modversion", "coulis", env=environment(prefix)).strip() == _library.version()


def test_consumer_of_the_static_library_by_pkg_config(prefix, tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM.replace("coulis_model_find", "0 && coulis_model_find"))
    flags = run("pkg-config", "--cflags", "--libs", "--static", "coulis", env=environment(prefix)).split()
    flags = [str(library(prefix) / "libcoulis.a") if flag == "-lcoulis" else flag for flag in flags]
    run("cc", tmp_path / "program.c", "-o", tmp_path / "static", *flags)
    assert run(tmp_path / "static").startswith(_library.version())
    assert "libcoulis" not in run("ldd", tmp_path / "static")


def test_consumer_by_find_package(prefix, tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(LISTS)
    run(
        TOOLS / "cmake",
        "-G",
        "Ninja",
        f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
        "-S",
        tmp_path,
        "-B",
        tmp_path / "build",
        f"-DCMAKE_PREFIX_PATH={prefix}",
    )
    run(TOOLS / "ninja", "-C", tmp_path / "build")
    check(tmp_path / "build" / "shared", prefix)
    assert "libcoulis" not in run("ldd", tmp_path / "build" / "static")


def test_the_installed_command(prefix):
    program = prefix / "bin" / "coulis"
    assert run(program, "version", env=environment(prefix)).startswith(f"coulis {_library.version()} (")
    assert "efficientnet-lite0" in run(program, "models", env=environment(prefix))
    share = prefix / "share"
    for page, made in [
        ("man/man1/coulis.1", ["help", "--man"]),
        ("bash-completion/completions/coulis", ["completion", "bash"]),
        ("zsh/site-functions/_coulis", ["completion", "zsh"]),
        ("fish/vendor_completions.d/coulis.fish", ["completion", "fish"]),
    ]:
        assert (share / page).read_text() == run(program, *made)
    if shutil.which("man"):
        shown = run("man", "-M", share / "man", "coulis", env={**os.environ, "MANWIDTH": "100"})
        assert "coulis run PATH... -o DIR" in shown


def test_nothing_else_is_installed(prefix):
    headers = [p.name for p in prefix.rglob("*.h")]
    assert headers == ["coulis.h"]
    assert {p.name for p in prefix.iterdir()} == {"bin", "include", "lib", "share"}
    s3 = ["libcoulis_s3.so"] if (ROOT / "build" / "libcoulis_s3.so").exists() else []
    assert sorted(p.name for p in library(prefix).iterdir()) == sorted(
        [
            "cmake",
            "libcoulis.a",
            "libcoulis.so",
            f"libcoulis.so.{_library.version()}",
            "libcoulis.so.1",
            "pkgconfig",
            *s3,
        ]
    )
