"""All code of the guides runs."""

import os
import pathlib
import subprocess
import sys

import guides
import pytest
from conftest import draw_image

WALKED = {
    "docs/python.md": [],
    "docs/model-format.md": [],
    "docs/tutorial.md": [],
    # What makes the things that the tests stand on.
    "README.md": [r"^\./run demo\b", r"^\./run test\b", r"^pip install\b"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch, command):
    """What the guides speak of: photos, new ones, and single images."""
    monkeypatch.chdir(tmp_path)
    places = [f"photos/{kind}/{number}.png" for kind in ("apple", "pear") for number in range(10)]
    places += [f"photos/{name}" for name in ("a.png", "b.png", "c.png", "d.png", "apple.jpg")]
    for index, place in enumerate([*places, "apple.jpg", "pear.png", "new-photos/1.png", "new-photos/2.png"]):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        draw_image(index).point(lambda value, add=90 * ("pear" in place): value // 2 + add).save(tmp_path / place)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "coulis").symlink_to(command)
    return tmp_path


@pytest.mark.parametrize("guide", WALKED)
def test_every_line_works(guide, repository, folder, lite0_path, command):
    variables = {
        **os.environ,
        "PATH": f"{command.parent}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(repository / "python"),
    }
    without = [word for pattern in WALKED[guide] for word in ("--without", pattern)]
    done = subprocess.run(
        [sys.executable, guides.__file__, *without, repository / guide],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert int(done.stdout.split()[-4]) >= 2
    assert done.stdout.count(": left out") == len(WALKED[guide])


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
