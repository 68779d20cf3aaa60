"""What the tests of the wheel share: the wheel, and an environment with nothing else in it."""

import pathlib
import platform
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel():
    run("./run", "wheel", platform.machine(), cwd=ROOT)
    (path,) = (ROOT / "dist").glob("*.whl")
    return path


def pinned_numpy(folder):
    """A list for pip that has NumPy alone, with its digests."""
    pinned = (ROOT / "requirements" / "wheel.txt").read_text()
    (folder / "numpy.txt").write_text("".join(re.findall(r"^numpy==.*?\n(?=\S)", pinned, re.MULTILINE | re.DOTALL)))
    return folder / "numpy.txt"


@pytest.fixture(scope="session")
def clean_python(wheel, tmp_path_factory):
    """The Python of a fresh environment that holds the wheel and NumPy, and can find nothing of the checkout."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "venv")
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--require-hashes", "-r", pinned_numpy(folder))
    run(*pip, "--no-index", wheel)  # nothing but NumPy is asked for, or this fails
    return folder / "venv" / "bin" / "python"


def in_nothing(command, folder):
    """Runs a command as a node would: no environment variables, no home."""
    return run(*command, env={"PATH": "/usr/bin:/bin"}, cwd=folder)
