"""The notebooks run from the first cell to the last, and show what they say."""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
FRUITS = Path(os.environ.get("COULIS_TEST_DATA", ROOT.parent / "shared" / "data")) / "fruits-360" / "test"
STAMPS = ROOT / "build" / "demo" / "stamps"
SPARK = Path(os.environ.get("COULIS_SPARK", ROOT / "build" / "spark"))


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def run(name, monkeypatch, tmp_path, **variables):
    """Runs a notebook; gives its outputs as one text, and its plots, which COULIS_PLOTS gets too."""
    notebook = read(name)
    for key, value in {
        "COULIS_LIBRARY": ROOT / "build" / "libcoulis.so",
        "COULIS_MODELS": ROOT / "build" / "models",
        "IPYTHONDIR": tmp_path / "ipython",
        "MPLCONFIGDIR": tmp_path / "matplotlib",
        "JUPYTER_PLATFORM_DIRS": "1",
        **variables,
    }.items():
        monkeypatch.setenv(key, str(value))
    # The kernel of this environment, whatever others are installed for this user.
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    plots = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    if "COULIS_PLOTS" in os.environ:
        import base64

        for number, plot in enumerate(plots):
            Path(os.environ["COULIS_PLOTS"], f"{name}-{number}.png").write_bytes(base64.b64decode(plot))
    assert [
        output
        for output in outputs
        if output.output_type == "stream" and output.name == "stderr" and "Error" in output.text
    ] == []
    return "\n".join(str(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in outputs), plots


def share(text):
    return float(re.search(r"7 components hold ([\d.]+)%", text)[1])


@pytest.mark.parametrize("name", ["local_app", "cloud_app"])
def test_kept_without_outputs(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert len(cells) > 3
    for cell in cells:
        assert cell.outputs == [] and cell.execution_count is None


def demo_images():
    if not STAMPS.is_dir():
        done = subprocess.run([ROOT / "run", "demo"], capture_output=True, text=True)
        assert STAMPS.is_dir(), done.stderr
    return STAMPS


@pytest.mark.parametrize("images", ["fruits-360", "demo"])
def test_local_app(images, monkeypatch, tmp_path):
    if images == "fruits-360" and not FRUITS.is_dir():
        pytest.skip(f"no {FRUITS}")
    folder = FRUITS if images == "fruits-360" else demo_images()
    text, plots = run("local_app", monkeypatch, tmp_path, COULIS_PICTURES=folder)
    assert "(9, 1280) float32 {'ok'}" in text
    assert 99 < share(text) <= 100
    assert len(plots) == 3


def test_cloud_app(monkeypatch, tmp_path):
    for needed in (SPARK / "bin" / "versitygw", SPARK / "ivy" / "jars", SPARK / "driver", SPARK / "worker"):
        if not needed.exists():
            pytest.skip(f"no {needed}: ./run test spark makes it")
    sys.path.insert(0, str(ROOT / "tests" / "spark"))
    from servers import S3

    server = S3(SPARK / "bin" / "versitygw", tmp_path)
    try:
        images = tmp_path / "bucket" / "pictures"
        folder = FRUITS if FRUITS.is_dir() else demo_images() / "food"
        for path in random.Random(1).sample(sorted([*folder.rglob("*.jpg"), *folder.rglob("*.png")]), 40):
            target = images / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (images / "none").mkdir()
        (images / "none" / "words.jpg").write_text("no image")
        server.upload(tmp_path / "bucket", "notebook")
        jars = ",".join(str(jar) for jar in sorted((SPARK / "ivy" / "jars").glob("*.jar")))
        settings = {
            **server.hadoop(),
            "spark.jars": jars,
            "spark.ui.enabled": "false",
            "spark.driver.memory": "1g",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "4",
        }
        submit = " ".join(f"--conf {key}={value}" for key, value in settings.items())
        (site,) = (SPARK / "driver").glob("lib/python3*/site-packages")
        text, plots = run(
            "cloud_app",
            monkeypatch,
            tmp_path,
            COULIS_INPUT="s3a://notebook/pictures",
            COULIS_OUTPUT="s3a://notebook/out",
            PYTHONPATH=f"{ROOT / 'python'}:{site}",
            PYSPARK_PYTHON=SPARK / "driver" / "bin" / "python",
            PYSPARK_SUBMIT_ARGS=f"--master local[2] {submit} pyspark-shell",
        )
        listed = server.client().list_objects_v2(Bucket="notebook", Prefix="out/")["Contents"]
        written = {item["Key"].split("/")[1] for item in listed if item["Size"]}
    finally:
        server.server.kill()
    assert re.search(r"ok\|\s*40\|", text) and re.search(r"unsupported\|\s*1\|", text)
    assert 30 < share(text) < 100 and len(plots) == 2
    assert written == {"features", "reduced", "pca"}
