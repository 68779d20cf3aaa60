"""All code of the guides runs."""

import os
import pathlib
import subprocess
import sys

import guides
import pytest
from conftest import draw_picture

WALKED = ("docs/python.md", "docs/model-format.md")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the guides speak of: photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for index, name in enumerate(("a", "b", "c", "d")):
        draw_picture(index).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("guide", WALKED)
def test_every_line_works(guide, repository, folder, lite0_path, command):
    variables = {**os.environ, "PATH": f"{command.parent}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
                 "PYTHONPATH": str(repository / "python")}
    done = subprocess.run([sys.executable, guides.__file__, repository / guide], env=variables, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert int(done.stdout.split()[-4]) >= 2


def test_the_walker_stops_at_a_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = tmp_path / "guide.md"
    for text, fault in (
        ("```python\nx = 1\n\ny = x / 0\n```\n", "guide.md:4: this statement fails"),
        ("```sh\ntrue\nfalse\ntrue\n```\n", "guide.md:3: this command fails"),
        ("```sh\ntrue | false | true\n```\n", "guide.md:2: this command fails"),
    ):
        guide.write_text(text)
        command = [sys.executable, guides.__file__, "guide.md"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and fault in done.stderr, done.stderr
    guide.write_text("<!-- not run: no network -->\n```sh\nfalse\n```\n\n```sh\n# nothing\n```\n```text\nfalse\n```\n")
    done = subprocess.run([sys.executable, guides.__file__, "guide.md"], capture_output=True, text=True, check=True)
    assert done.stdout == "guide.md:3: not run: no network\n1 blocks were run\n"
