"""progress=True, the log, and python -m coulis."""

import logging
import os
import subprocess
import sys

import coulis
import pytest
import terminal
from coulis import _progress

RUN = "import coulis; coulis.featurize('photos', 'out', threads=1, progress={})"


@pytest.fixture
def photos(image_folder, tmp_path):
    (tmp_path / "photos").symlink_to(image_folder / "red")
    return tmp_path


def program(repository, code):
    variables = {**os.environ, "PYTHONPATH": str(repository / "python"), "TERM": "xterm"}
    return [sys.executable, "-c", code], variables


def on_terminal(repository, code, cwd):
    """What a program writes to a terminal as standard error."""
    command, variables = program(repository, code)
    code, said = terminal.on_terminal(command, 100, cwd=cwd, env=variables)
    assert code == 0, said
    return said


def test_a_bar_on_a_terminal(repository, photos):
    without = "import sys; sys.modules['tqdm'] = sys.modules['tqdm.auto'] = None; "
    said = on_terminal(repository, without + RUN.format(True), photos)
    assert "featurize: 20 of 20 images" in said and "[" + "#" * 30 + "]" in said and said.endswith("\r\n")


def test_tqdms_bar_where_it_is_installed(repository, photos):
    pytest.importorskip("tqdm")
    said = on_terminal(repository, RUN.format(True), photos)
    assert "featurize: 100%" in said and "20/20" in said


@pytest.mark.quick(0)
def test_nothing_is_drawn_where_nobody_sees_it(repository, photos):
    for progress in (True, None):
        command, variables = program(repository, RUN.format(progress) + "; import shutil; shutil.rmtree('out')")
        done = subprocess.run(command, cwd=photos, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout == "" and "\r" not in done.stderr
        assert ("featurize: " in done.stderr) == bool(progress)  # as lines, when it was asked for


def test_the_log(photos, caplog):
    with caplog.at_level(logging.INFO, logger="coulis"):
        coulis.run(photos / "photos", photos / "out", components=2)
    stages = [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "coulis"]
    assert [stage for stage in stages if stage != "list"] == ["featurize", "fit", "transform"]
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_states_in_words():
    state = coulis.Progress("featurize", 1200, 4000, 200, 2, 10.0)
    assert _progress.describe(state) == "featurize: 1,200 of 4,000 images, 100.0 a second, 2 failed"
    assert _progress.describe(coulis.Progress("list", 5, -1, 0, 0, 0.0)) == "list: 5 images"


def test_a_notebook_is_seen(monkeypatch):
    class Shell:
        kernel = object()

    class IPython:
        get_ipython = staticmethod(Shell)

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert _progress._is_shown()


def test_the_module_is_the_command(repository, command):
    call, variables = [sys.executable, "-m", "coulis"], {**os.environ, "PYTHONPATH": str(repository / "python")}
    done = subprocess.run([*call, "version"], env=variables, capture_output=True, text=True, check=True)
    assert coulis.__version__ in done.stdout
    assert subprocess.run([*call, "dance"], env=variables, capture_output=True, check=False).returncode == 2
