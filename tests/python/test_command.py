"""Verbs and options: parsing, help, man page, completions and the pages of docs/ all know the same ones."""

import argparse
import inspect
import json
import re
import shutil
import subprocess

import coulis
import pytest
from coulis import _library
from coulis.convert import __main__ as convert

VALUES = {"shard": "1/2", "clusters": "20"}  # of options that a number will not do for


@pytest.fixture(scope="session")
def say(command):
    """What the command prints on standard output; with `code`, what it prints on standard error."""

    def call(*arguments, code=0):
        done = subprocess.run([str(command), *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return call


@pytest.fixture(scope="session")
def table(say):
    return json.loads(say("help", "--json"))


@pytest.fixture(scope="session")
def options(table):
    """(verb, option) of every row."""
    return [(verb["name"], option) for verb in table for option in verb["options"]]


def test_the_table_is_not_empty(table, options):
    names = [verb["name"] for verb in table]
    assert len(set(names)) == len(names) >= 13 and len(options) >= 60
    for verb in table:
        own = [option["name"] for option in verb["options"]]
        letters = [option["letter"] for option in verb["options"] if option["letter"]]
        assert len(set(own)) == len(own) and len(set(letters)) == len(letters), verb["name"]


@pytest.mark.quick(0)
def test_every_option_is_parsed(say, options, table):
    python = {verb["name"] for verb in table if verb["python"]}
    for verb, option in options:
        value = option["value"]
        words = value.split("|") if re.fullmatch(r"[a-z0-9|]+", value) else [option["default"]]
        if option["name"] == "threads":
            words = ["1"]
        if verb in python:
            continue  # test_options_of_python
        for word in words if value else [None]:
            given = [f"--{option['name']}"] + ([] if word is None else [word or VALUES.get(option["name"], "0.5")])
            assert say(*verb.split(), *given, "--help") == say(*verb.split(), "--help"), (verb, option)
            if option["letter"]:
                say(*verb.split(), f"-{option['letter']}", *given[1:], "--help")


def test_words_are_the_librarys(options):
    tried = 0
    for verb, option in options:
        words = _library.words(option["name"])
        if words and verb != "models add":  # its --map names a tensor
            assert option["value"] == "|".join(words) and option["default"] in words
            tried += 1
    assert tried >= 6


@pytest.mark.quick(0)
def test_every_option_has_help(say, options, table):
    overview = say("help")
    for verb in table:
        text = say("help", *verb["name"].split())
        assert text == say(*verb["name"].split(), "--help")
        assert f"coulis {verb['name']}" in overview and verb["summary"] in overview
        assert text.rstrip().endswith(verb["example"].splitlines()[-1]) and f"coulis {verb['name']}" in verb["example"]
        assert not re.search(r" $", text, flags=re.M)
    for verb, option in options:
        left = f"--{option['name']}{' ' + option['value'] if option['value'] else ''}"
        assert re.search(rf"(^  |, ){re.escape(left)}(  |$)", say("help", *verb.split()), flags=re.M), (verb, left)
    assert say("help", "models").count("coulis models") == sum(verb["name"].startswith("models ") for verb in table)


def test_every_option_is_in_the_man_page(say, options, table):
    page = say("help", "--man")
    sections = dict(zip(*[iter(re.split(r"^\.SS coulis (.*)$", page, flags=re.M)[1:])] * 2))
    sections = {heading.replace("\\-", "-"): text for heading, text in sections.items()}
    for verb, option in options:
        (text,) = [body for heading, body in sections.items() if f"{heading} ".startswith(f"{verb} ")]
        assert f"\\fB\\-\\-{option['name'].replace('-', chr(92) + '-')}\\fR" in text, (verb, option)
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "" and "coulis run PATH... -o DIR" in done.stdout


def ask_bash(script, *words):
    ask = (
        f"{script}\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n_coulis\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-uc", ask], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_every_option_is_completed_by_bash(say, options, table):
    script = say("completion", "bash")
    firsts = list(dict.fromkeys(verb["name"].split()[0] for verb in table))
    assert ask_bash(script, "coulis", "") == firsts
    assert set(ask_bash(script, "coulis", "models", "s")) == {"show"}
    for verb in table:
        found = ask_bash(script, "coulis", *verb["name"].split(), "--")
        assert sorted(found) == sorted([f"--{option['name']}" for option in verb["options"]] + ["--help"])
    for verb, option in options:
        if re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", option["value"]):
            found = ask_bash(script, "coulis", *verb.split(), f"--{option['name']}", "")
            assert found == option["value"].split("|"), (verb, option)


def test_every_option_is_completed_by_zsh(say, options):
    script = say("completion", "zsh")
    sections = dict(re.findall(r"^        '([\w ]+)'\)\n(.*?;;)$", script, flags=re.M | re.S))
    for verb, option in options:
        assert re.search(rf"--{option['name']}[}}\[)]", sections[verb]), (verb, option)
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=script, text=True, check=True)
        asked = "autoload -U compinit; compinit -D; " + script
        done = subprocess.run(["zsh", "-fc", asked], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""


def test_every_option_is_completed_by_fish(say, options, table):
    script = say("completion", "fish")
    for verb, option in options:
        first, _, second = verb.partition(" ")
        seen = f"from {first}{f'; and __fish_seen_subcommand_from {second}' if second else ''}'"
        assert any(seen in line and f" -l {option['name']} " in line for line in script.splitlines()), (verb, option)
    if shutil.which("fish"):
        for verb in table:
            ask = f"{script}\ncomplete -C 'coulis {verb['name']} --'"
            done = subprocess.run(["fish", "--no-config", "-c", ask], capture_output=True, text=True, check=True)
            found = {line.split("\t")[0] for line in done.stdout.splitlines()}
            assert {f"--{option['name']}" for option in verb["options"]} <= found, verb["name"]


def test_every_option_is_in_the_docs(options, repository):
    pages = "".join(page.read_text() for page in (repository / "docs").glob("*.md"))
    for verb, option in options:
        assert re.search(rf"--{option['name']}(?![\w-])", pages), (verb, option)


def test_options_of_python(table):
    """The Python package reads these itself: the table says what its parser says."""
    (commands,) = [a for a in convert._parser()._actions if isinstance(a, argparse._SubParsersAction)]
    tried = 0
    for verb in table:
        if not verb["python"]:
            continue
        tried += 1
        theirs = {
            option[2:]: action
            for action in commands.choices[verb["name"].split()[1]]._actions
            for option in action.option_strings
            if option.startswith("--") and option != "--help"
        }
        assert sorted(theirs) == sorted(option["name"] for option in verb["options"])
        for option in verb["options"]:
            action = theirs[option["name"]]
            assert option["required"] == action.required and bool(option["value"]) == (action.nargs != 0), option
    assert tried >= 2


# Options that only the command has, and why.
NOT_IN_PYTHON = {
    "json": "functions return a dict",
    "quiet": "functions print nothing",
    "no-progress": "functions print nothing",
    "max-size": "view takes bytes, as max_bytes",
    "count": "search takes k, as the letter is",
    "clusters": "cluster takes k, as the letter is",
}
FUNCTIONS = {"list": "list_images"}  # verb -> function, where that is called otherwise


def test_every_option_is_in_python(table):
    """Each verb that works on data is a function, and each of its options a parameter."""
    tried = 0
    for verb in table:
        function = getattr(coulis, FUNCTIONS.get(verb["name"], verb["name"]), None)
        if not inspect.isfunction(function):
            assert verb["name"].split()[0] in ("models", "bench", "completion", "version", "help"), verb["name"]
            continue
        parameters = inspect.signature(function).parameters
        for option in verb["options"]:
            if option["name"] in NOT_IN_PYTHON:
                assert option["letter"] != "k" or "k" in parameters, (verb["name"], option["name"])
                continue
            assert option["name"].replace("-", "_") in parameters, (verb["name"], option["name"])
            tried += 1
    assert tried > 60
    known = {option["name"] for verb in table for option in verb["options"]}
    assert set(NOT_IN_PYTHON) <= known


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["featurise", "x"], "unknown command 'featurise'; did you mean 'featurize'?"),
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        (["feat"], "did you mean 'featurize'?"),
        (["modles"], "did you mean 'models'?"),
        (["models", "lst"], "unknown command 'models lst'; did you mean 'models list'?"),
        (["help", "trasnform"], "did you mean 'transform'?"),
        (["dance"], "unknown command 'dance'; see 'coulis help'"),
        (["run", ".", "-o", "x", "--treads", "2"], "'coulis run' has no option --treads; did you mean --threads?"),
        (["fit", "x", "-o", "y", "--resize", "crop"], "'coulis fit' has no option --resize; see 'coulis help fit'"),
        (["run", ".", "-o", "x", "--features", "poled"], "not 'poled'; did you mean 'pooled'?"),
        (["run", ".", "-o", "x", "-k", "1.0"], "1 or 0.999…"),
        (["run", ".", "-o", "x", "-k", "0"], "whole number from 1, or a share"),
        (["run", ".", "-o", "out.csv"], "--output out.csv: looks like a file"),
        (["featurize", ".", "-o", "a/b.parquet"], "--output a/b.parquet: looks like a file"),
        (["run"], "'coulis run' needs at least one PATH; usage: coulis run PATH... -o DIR"),
        (["run", "."], "'coulis run' needs -o DIR: folder of the result"),
        (["fit", "a", "b", "-o", "x"], "'coulis fit' does not take 'b'"),
        (["transform", "x", "-o", "y"], "'coulis transform' needs --pca PCA"),
        (["run", ".", "-o"], "-o needs a value"),
        (["run", ".", "-o", "x", "--json=1"], "--json takes no value"),
        (["run", ".", "-o", "x", "--threads", "0x2"], "--threads must be a whole number from 1 to 1024, not '0x2'"),
        (["completion", "csh"], "only for bash, zsh and fish"),
        ([], "no command given; see 'coulis help'"),
        (["run", ".", "-o", ""], "--output must not be empty"),
        (["run", ".", "-o", "x", "--like", "photoshop"], "--like must be pillow, not 'photoshop'"),
        (["run", ".", "-o", "x", "--include", ""], "a pattern must not be empty"),
        (["run", ".", "-o", "x", "--shard", "3/2"], "--shard 3/2: must be I/N"),
        (["run", ".", "-o", "x", "--shard", "0/2"], "must be I/N"),
        (["run", ".", "-o", "x", "--shard", "1/200000"], "must be I/N"),
        (["run", ".", "-o", "x", "--shard", "1/2x"], "must be I/N"),
        (["run", ".", "-o", "x", "-k", "2.5"], "whole number from 1, or a share"),
        (["run", ".", "-o", "x", "-k", "1e12"], "whole number from 1, or a share"),
        (["run", ".", "-o", "x", "-k", "3x"], "whole number from 1, or a share"),
        (["run", ".", "-o", "x", "--threads", "2.5"], "--threads must be a whole number"),
        (["run", ".", "-o", "x", "--threads", ""], "--threads must be a whole number"),
        (["run", ".", "-o", "x", "--threads", "5000"], "--threads must be a whole number"),
        (["bench", "--seconds", "nan"], "--seconds must be a number from 0.1"),
        (["search", "x"], "search: needs a DIR and a QUERY, or --text WORDS"),
        (["search", "x", "y", "--text", "a cat"], "search: images or --text, not both"),
        (["verify"], "'coulis verify' needs"),
        (["models", "path"], "'coulis models path' needs"),
    ],
)
def test_what_is_wrong_is_said(say, arguments, words):
    said = say(*arguments, code=2)
    assert words in said and said.startswith("coulis: ") and said.count("\n") == 1


def test_short_forms(say):
    version = say("version")
    assert version == say("-v") == say("--version") and version.startswith(f"coulis {_library.version()} (")
    assert say("help") == say("-h") == say("--help")
    assert say("models") == say("models", "list")
    assert json.loads(say("bench", "--seconds=0.1", "--threads=1", "--json"))["threads"] == 1


def test_a_folder_may_be_named_like_a_file(command, image_folder, tmp_path):
    (tmp_path / "v1.csv").mkdir()
    done = subprocess.run([command, "run", image_folder / "red", "-ov1.csv", "-k2", "--quiet"], cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "v1.csv" / "run.json").exists()
