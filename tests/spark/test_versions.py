"""The oldest Python and Spark, as on EMR 7, and others between those and the newest: the bytes of the command."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy
import pyarrow.parquet
import pytest
from conftest import REPOSITORY, SPARK, draw

import coulis


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("drawn")
    draw(made)
    (made / "none.jpg").write_bytes(b"These are words.")
    return made


@pytest.fixture(scope="module")
def expected(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("command") / "out"
    done = subprocess.run([os.environ["COULIS_COMMAND"], "run", folder, "-o", output, "--quiet"])
    assert done.returncode == 3  # one image is none
    return output


def vectors(table, column):
    """The bytes of each vector by the name of the image."""
    return {
        row["path"].rpartition("/")[2]: row[column] and numpy.array(row[column], numpy.float32).tobytes()
        for row in table.to_pylist()
    }


@pytest.mark.parametrize("version, python", [("3.5", "3.9"), ("4.1", "3.13")])
def test_gives_the_bytes_of_the_command(folder, expected, tmp_path, version, python):
    place = SPARK / f"spark-{version}"
    if not (place / "bin" / "python").exists():
        pytest.skip(f"no Python {python}, which Spark {version} is tried with")
    variables = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "LANG") if name in os.environ}
    variables.update(
        PATH=f"{place}/bin:{Path(shutil.which('java')).parent}:{os.defpath}",
        PYSPARK_PYTHON=str(place / "bin" / "python"),
        SPARK_LOCAL_IP="127.0.0.1",
    )
    job = [place / "bin" / "python", REPOSITORY / "tests" / "spark" / "job_of_versions.py"]
    done = subprocess.run([*job, folder, tmp_path], env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = vectors(coulis.read_table(expected, "features"), "features")
    for kind in ("features", "sql"):
        assert vectors(pyarrow.parquet.read_table(tmp_path / kind), "features") == wanted
    reduced = vectors(pyarrow.parquet.read_table(tmp_path / "reduced"), "pca")
    assert reduced == vectors(coulis.read_table(expected, "reduced"), "pca")
    ours, theirs = (coulis.PCA.load(path / "pca.safetensors").components_ for path in (tmp_path / "model", expected))
    assert ours.tobytes() == theirs.tobytes()
