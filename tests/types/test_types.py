"""The annotations: of the package itself, and as a program meets them that uses each public name."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(__file__).with_name("program.py")


def mypy(*arguments, **more):
    environment = {**os.environ, "MYPYPATH": str(ROOT / "python")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_package():
    code, said = mypy()
    assert code == 0, said
    assert (ROOT / "python" / "coulis" / "py.typed").exists()


def test_a_program_that_uses_each_public_name():
    code, said = mypy("--strict", PROGRAM)
    assert code == 0, said
    names = set(re.findall(r'^    "(\w+)",$', (ROOT / "python" / "coulis" / "__init__.py").read_text(), re.MULTILINE))
    assert len(names) > 30
    text = PROGRAM.read_text()
    assert not [name for name in names if not re.search(rf"\bcoulis\.{name}\b", text)]


@pytest.mark.parametrize(
    "line, fault",
    [
        ('coulis.run("a", "b", resize="stretch")', "typeddict-item|arg-type"),
        ('coulis.run("a", "b", colour=3)', "call-arg"),
        ("coulis.Featurizer().featurize(5)", "arg-type"),
        ('coulis.load_image("a", size=5)', "arg-type"),
        ('coulis.PCA().transform(1).nothing + coulis.Error("x").nothing', "attr-defined"),
    ],
)
def test_a_mistake_is_seen(line, fault, tmp_path):
    (tmp_path / "wrong.py").write_text(f"import coulis\n\n{line}\n")
    code, said = mypy("--strict", tmp_path / "wrong.py")
    assert code == 1 and re.search(fault, said), said
