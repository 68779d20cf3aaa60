"""Makes notebooks/tutorial.ipynb of docs/tutorial.md: the same text and code as cells, with what they print.

    tutorial_notebook.py PHOTOS

PHOTOS is a folder of images, one folder of each kind. The notebook is run in a folder beside a link to it; what needs a
package that is not installed is kept as a cell without output. Needs nbclient, nbformat and ipykernel.
"""

import os
import pathlib
import re
import sys
import tempfile

import nbformat
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(?:<!-- not run: [^\n]+ -->\n)?```(python|sh)\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def cells(text):
    """The cells of a guide: its text, and its code, that of a shell by the magic %%bash."""
    found, end = [], 0
    for match in FENCE.finditer(text):
        found.append(nbformat.v4.new_markdown_cell(text[end : match.start()].strip()))
        code = match[2] if match[1] == "python" else f"%%bash\n{match[2]}"
        found.append(nbformat.v4.new_code_cell(code, metadata={"tags": ["not-run"]} if match[0][0] == "<" else {}))
        end = match.end()
    found.append(nbformat.v4.new_markdown_cell(text[end:].strip()))
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"  # not drawn by chance, so that the same text gives the same file
        if cell.cell_type == "markdown":  # links are those of docs/
            cell.source = re.sub(r"\]\((\w+\.md)", r"](../docs/\1", cell.source)
    return found


def execute(notebook, photos):
    """Runs the cells in a new folder, in which `photos` is a link."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "photos").symlink_to(pathlib.Path(photos).resolve())
        client = NotebookClient(
            notebook, timeout=600, skip_cells_with_tag="not-run", resources={"metadata": {"path": folder}}
        )
        client.execute()


def main(photos):
    os.environ["PATH"] = f"{ROOT / 'build'}{os.pathsep}{os.environ['PATH']}"
    notebook = nbformat.v4.new_notebook(cells=cells((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")))
    execute(notebook, photos)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, ROOT / "notebooks" / "tutorial.ipynb")


if __name__ == "__main__":
    main(*sys.argv[1:])
