"""notebooks/tutorial.ipynb is docs/tutorial.md with what it prints, and runs."""

import random
import sys
from pathlib import Path

import nbformat
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import tutorial_notebook  # noqa: E402 it is not a package


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(ROOT / "notebooks" / "tutorial.ipynb", as_version=4)


def test_the_text_and_code_are_the_tutorials(kept):
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    wanted = tutorial_notebook.cells(text)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [(cell.cell_type, cell.source) for cell in wanted]
    assert sum(cell.cell_type == "code" for cell in wanted) == text.count("```python\n") + text.count("```sh\n")


def test_it_is_kept_with_outputs(kept):
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    for cell in code:
        shows = "".join(output.get("text", "") for output in cell.outputs)
        assert shows or "not-run" in cell.metadata.tags, cell.source
    assert any("% of the test images are recognized" in str(cell.outputs) for cell in code)


def test_it_runs(kept, tmp_path, monkeypatch):
    for kind, bright in (("dark", 0), ("bright", 120)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(12):
            generator = random.Random(number + bright)
            image = Image.new("RGB", (8, 6))
            image.putdata([tuple(bright + generator.randrange(100) for _ in range(3)) for _ in range(48)])
            image.resize((64, 48), Image.BICUBIC).save(tmp_path / "photos" / kind / f"{number}.png")
    for key, value in {
        "COULIS_LIBRARY": ROOT / "build" / "libcoulis.so",
        "COULIS_MODELS": ROOT / "build" / "models",
        "IPYTHONDIR": tmp_path / "ipython",
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_PATH": Path(sys.prefix) / "share" / "jupyter",
        "PATH": f"{ROOT / 'build'}:{Path(sys.executable).parent}:/usr/bin:/bin",
    }.items():
        monkeypatch.setenv(key, str(value))
    again = nbformat.from_dict(kept)
    for cell in again.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    tutorial_notebook.execute(again, tmp_path / "photos")
    outputs = [output for cell in again.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") for output in outputs)
    assert "24 images, 24 with a vector" in said and "100.0% of the test images are recognized" in said
