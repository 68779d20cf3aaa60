"""Walks through guides: runs the code of Markdown files, a statement at a time, in the current folder.

    python guides.py [--without PATTERN]... FILE.md...

Blocks of ``python`` share their names within a file. Blocks of ``sh`` are run by bash, which ends at the first command
that fails; ``coulis`` and ``python`` are those of PATH. Other blocks are not code. A block that cannot be run has a
comment on the line before it, ``<!-- not run: the reason -->``. What matches a PATTERN, a statement of Python or a line
of a shell, is left out. All that was not run is listed, then how many blocks were run.
"""

import argparse
import ast
import dataclasses
import pathlib
import re
import subprocess
import traceback

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


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


def plain(text):
    """Python without the prompts of an interactive session and what it answered."""
    if not text.startswith(">>> "):
        return text
    return "\n".join(line[4:] if line.startswith((">>> ", "... ")) else "" for line in text.split("\n"))


def run_python(block, path, names, without):
    source = "\n" * (block.line - 1) + plain(block.text)
    for statement in ast.parse(source, str(path)).body:
        if without and without.search(ast.get_source_segment(source, statement)):
            print(f"{path}:{statement.lineno}: left out")
            continue
        try:
            exec(compile(ast.Module([statement], []), str(path), "exec"), names)
        except BaseException:
            traceback.print_exc()
            raise SystemExit(f"{path}:{statement.lineno}: this statement fails") from None


def run_shell(block, path, without):
    lines = block.text.split("\n")
    for number, line in enumerate(lines):
        if without and without.search(line):
            print(f"{path}:{block.line + number}: left out")
            lines[number] = ""
    text = "\n".join(lines)
    # The trap names the line: of a command in a block, counted from its first.
    code = f"trap 'echo \"{path}:$(({block.line - 1} + LINENO - 1)): this command fails\" >&2' ERR\n{text}"
    if subprocess.run(["bash", "-euEo", "pipefail", "-c", code], check=False).returncode:
        raise SystemExit(f"{path}:{block.line}: this block fails")


def walk(path, without=None):
    """Runs the blocks of a file; the names that Python has at the end, and how many ran."""
    names, ran = {"__name__": "__main__"}, 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.why:
            print(f"{path}:{block.line}: not run: {block.why}")
        elif block.kind == "python":
            run_python(block, path, names, without)
        else:
            run_shell(block, path, without)
        ran += not block.why
    return names, ran


def main():
    parser = argparse.ArgumentParser(description="Runs the code of guides.")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    given = parser.parse_args()
    without = re.compile("|".join(given.without)) if given.without else None
    print(sum(walk(path, without)[1] for path in given.files), "blocks were run")


if __name__ == "__main__":
    main()
