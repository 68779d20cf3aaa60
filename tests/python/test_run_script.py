"""./run: what it says, and that asking starts nothing."""

import re
import shutil
import subprocess

import pytest


@pytest.fixture
def script(repository, tmp_path):
    """A copy of the script alone: whatever it would start fails, or leaves something in the folder."""
    shutil.copy(repository / "run", tmp_path / "run")
    return tmp_path / "run"


def asked(script, *arguments):
    done = subprocess.run(
        [script, *arguments], capture_output=True, text=True, timeout=30, env={"PATH": "/usr/bin:/bin"}, check=False
    )
    assert [path.name for path in script.parent.iterdir()] == ["run"], arguments
    return done


def test_help_after_a_verb_starts_nothing(script):
    usage = asked(script, "--help").stdout
    verbs = set(re.findall(r"^\./run (\w+)", usage, re.MULTILINE))
    known = set(re.findall(r"^(\w+)\) .*;;$", script.read_text(), re.MULTILINE))
    assert verbs == known and len(verbs) >= 8
    for verb in verbs:
        for arguments in ([verb, "--help"], [verb, "-h"], [verb, "x", "--help"]):
            done = asked(script, *arguments)
            assert done.returncode == 0 and done.stderr == ""
            assert done.stdout and all(line.startswith(f"./run {verb}") for line in done.stdout.splitlines())


def test_an_unknown_verb_is_refused(script):
    done = asked(script, "dance")
    assert done.returncode == 2 and "./run build" in done.stderr and "unknown command 'dance'" in done.stderr
    assert asked(script, "dance", "--help").returncode == 0
