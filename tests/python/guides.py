"""Walks through guides: runs the code of Markdown files, a statement at a time, in the current folder.

    python guides.py FILE.md...

Blocks of ``python`` share their names within a file. Blocks of ``sh`` are run by bash, which ends at the first command
that fails; ``coulis`` and ``python`` are those of PATH. Other blocks are not code. A block that cannot be run has a
comment on the line before it, ``<!-- not run: the reason -->``. The last line says how many blocks were run; those that
were not are listed before it.
"""

import ast
import dataclasses
import pathlib
import re
import subprocess
import sys
import traceback

FENCE = re.compile(r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$",
                   re.DOTALL | re.MULTILINE)


@dataclasses.dataclass
class Block:
    """Code of a guide; `line` is that of its first line, from 1."""

    kind: str
    text: str
    line: int
    why: str  # it is not run


def blocks(text):
    """The blocks of a Markdown file that are code."""
    found = []
    for match in FENCE.finditer(text):
        if match["kind"] in ("python", "sh"):
            line = text.count("\n", 0, match.start("text")) + 1
            found.append(Block(match["kind"], match["text"], line, match["why"] or ""))
    return found


def run_python(block, path, names):
    tree = ast.parse("\n" * (block.line - 1) + block.text, str(path))
    for statement in tree.body:
        try:
            exec(compile(ast.Module([statement], []), str(path), "exec"), names)
        except BaseException:
            traceback.print_exc()
            raise SystemExit(f"{path}:{statement.lineno}: this statement fails") from None


def run_shell(block, path):
    # The trap names the line: of a command in a block, counted from its first.
    code = f'trap \'echo "{path}:$(({block.line - 1} + LINENO - 1)): this command fails" >&2\' ERR\n{block.text}'
    if subprocess.run(["bash", "-euEo", "pipefail", "-c", code], check=False).returncode:
        raise SystemExit(f"{path}:{block.line}: this block fails")


def walk(path):
    """Runs the blocks of a file; the names that Python has at the end, and how many ran."""
    names, ran = {"__name__": "__main__"}, 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.why:
            print(f"{path}:{block.line}: not run: {block.why}")
        elif block.kind == "python":
            run_python(block, path, names)
        else:
            run_shell(block, path)
        ran += not block.why
    return names, ran


if __name__ == "__main__":
    print(sum(walk(pathlib.Path(name))[1] for name in sys.argv[1:]), "blocks were run")
