"""The line of progress on a terminal: stage, rate, failures and time left."""

import os
import re

import pytest
import terminal


def on_terminal(command, *arguments, cwd, **variables):
    """What the command writes to a terminal."""
    return terminal.on_terminal(
        [command, *map(str, arguments)], cwd=cwd, env={**os.environ, "TERM": "xterm", **variables}
    )


@pytest.fixture
def mixed(image_folder, tmp_path):
    """The images, each a few times, and two files that are none."""
    lines = sorted(str(p) for p in image_folder.rglob("*") if p.is_file()) * 3 + ["gone.jpg", "away.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    return len(lines)


def test_each_stage_is_told(command, mixed, tmp_path):
    code, said = on_terminal(command, "run", "@list.txt", "-o", "out", "--rows-per-file", 20, cwd=tmp_path)
    assert code == 3
    for stage, unit in [("featurize", "images"), ("fit", "rows"), ("transform", "rows")]:
        lines = re.findall(rf"\r{stage} +(\d+)/(\d+) \((\d+) %\)  [\d.]+ {unit}/s  (?:\d+:)?\d+:\d\d left", said)
        assert lines, (stage, said)
        assert all(int(done) <= int(total) and int(percent) <= 100 for done, total, percent in lines)
        assert int(lines[-1][1]) == (mixed - 2 if stage == "fit" else mixed)
    assert "  2 failed\x1b[K" in said
    assert re.search(r"\n\d+ dimensions reduced to \d+, explained variance 99\.\d\d %\r\n", said)


@pytest.mark.quick(1)
@pytest.mark.parametrize("arguments, variables", [(["--no-progress"], {}), (["--quiet"], {}), ([], {"TERM": "dumb"})])
def test_no_line_where_none_is_wanted(command, mixed, tmp_path, arguments, variables):
    code, said = on_terminal(command, "featurize", "@list.txt", "-o", "out", *arguments, cwd=tmp_path, **variables)
    assert code == 3 and "\x1b" not in said and "images/s  " not in said
