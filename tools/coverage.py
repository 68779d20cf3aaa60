"""Lines and branches of src/ and cli/ that the tests reach, as a table by folder; the least covered files below it.

Runs after tests of a build with gcc's --coverage; `./run coverage` does both. Files of which nothing ran, such as the
kernels of other instruction sets, are left out. Of a line that is compiled several times, the most is taken.

Many branches ask whether something has failed so far ("status == COULIS_OK && ...") or whether there was memory. Their
other side is reached only when the machine fails at that very place. The last columns leave out the lines with such
questions: what is left depends on what coulis is given, not on the machine.

A kernel is inlined into itself many times over, and gcov counts each copy. There a line has two branches: whether its
conditions were ever true, and ever false, in any copy.
"""

import collections
import functools
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORST = 15
OF_FAULTS = re.compile(r"\bstatus ?(==|!=)|!status\b|\(status\)|\bstatus \?|&& status\b|cl_fail_memory")


@functools.cache
def source(path):
    return path.read_text().splitlines()


def reports(build):
    """gcov's report of every object that ran."""
    counts = sorted(build.rglob("*.gcda"))
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(counts), 50):
            chunk = [str(p) for p in counts[first : first + 50]]
            subprocess.run(
                ["gcov", "--json-format", "--branch-probabilities", "--preserve-paths", *chunk],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        for file in pathlib.Path(folder).glob("*.gcov.json.gz"):
            yield json.loads(gzip.decompress(file.read_bytes()))


def covered(build):
    """{file: ({line: count}, {(line, branch): count}, the same but for questions about faults)} of our sources."""
    files = collections.defaultdict(lambda: ({}, {}, {}))
    for report in reports(build):
        for file in report["files"]:
            path = pathlib.Path(os.path.normpath(os.path.join(report["current_working_directory"], file["file"])))
            if not any(path.is_relative_to(ROOT / top) for top in ("src", "cli")):
                continue
            lines, branches, others = files[str(path.relative_to(ROOT))]
            text = source(path)
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
                for i, branch in enumerate(line["branches"]):
                    key = number, i % 2 if "kernels" in path.parts else i
                    branches[key] = max(branches.get(key, 0), branch["count"])
                    if number <= len(text) and not OF_FAULTS.search(text[number - 1]):
                        others[key] = branches[key]
    return files


def share(counts):
    return 100 * sum(count > 0 for count in counts) / len(counts) if counts else 100.0


def row(name, files):
    columns = [[count for file in files for count in file[which].values()] for which in range(3)]
    print(f"{name:<28}" + "".join(f"{len(counts):>10}{share(counts):>8.1f} %" for counts in columns))


def main(build):
    files = covered(build)
    if not files:
        print(f"no counts in {build}: run the tests of that build first", file=sys.stderr)
        return 1
    folders = collections.defaultdict(list)
    for name, counts in files.items():
        folders[str(pathlib.Path(name).parent)].append(counts)
    print(f"{'folder':<28}" + "".join(f"{name:>10}{'reached':>10}" for name in ("lines", "branches", "others")))
    for name in sorted(folders):
        row(name, folders[name])
    row("all", list(files.values()))
    print("\nleast covered files")
    for name in sorted(files, key=lambda name: share(files[name][0].values()))[:WORST]:
        row(name, [files[name]])
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
