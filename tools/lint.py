"""Checks the conventions that no compiler checks: ./run lint

One line for each check, and below a failed one a line for each place. Exits with 1 when any failed.
"""

import ast
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "build" / "libcoulis.so"
PASSED_OVER = re.compile(r"^(build.*|dist|\.git|\.venv|\.cache|__pycache__|\..*_cache)$")

# What a reader can keep in mind; more in Python, where the formatter gives an argument a line of its own.
LINES_MAX = {".c": 420, ".h": 420, ".py": 490}
LINES_FOLDERS = ("src", "cli", "python", "tools", "tests", "bench")
COLUMNS_MAX = 120
# Each may use those before it.
LAYERS = (
    "base",
    "cpu",
    "kernels",
    "image",
    "net",
    "pca",
    "table",
    "index",
    "remote",
    "s3",
    "source",
    "pipeline",
    "collection",
)
OLDEST_PYTHON = (3, 9)  # that python/coulis promises to run on
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")  # in pieces, as this file is searched too


class Skipped(Exception):
    """A check that cannot be done here; its text says why."""


def walk(folder):
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if not PASSED_OVER.match(path.name):
                yield from walk(path)
        elif path.is_file():
            yield path


FILES = list(walk(ROOT))


def name(path):
    return str(path.relative_to(ROOT))


def of_kind(*endings, below=""):
    return [p for p in FILES if p.suffix in endings and name(p).startswith(below)]


def lines(path):
    return path.read_text(encoding="utf-8").split("\n")


def bash_scripts():
    return [p for p in FILES if p.suffix in ("", ".sh") and re.match(rb"#!.*\b(ba)?sh\b", p.read_bytes()[:80])]


def scripts_are_clean():
    """shellcheck finds nothing in the shell scripts"""
    if not shutil.which("shellcheck"):
        return ["shellcheck is not installed: apt-get install shellcheck"]
    done = subprocess.run(
        ["shellcheck", "-x", "--format=gcc", *map(name, bash_scripts())], cwd=ROOT, capture_output=True, text=True
    )
    return (done.stdout + done.stderr).splitlines()


def exported():
    if not LIBRARY.exists():
        raise Skipped(f"no {name(LIBRARY)}: ./run build makes it")
    done = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def symbols_have_our_prefix():
    """every symbol the library exports begins with coulis_"""
    return sorted(f"{name(LIBRARY)}: exports {symbol}" for symbol in exported() if not symbol.startswith("coulis_"))


def header_and_library_agree():
    """the library exports what include/coulis.h declares, and nothing else of that name"""
    header = ROOT / "include" / "coulis.h"
    text = re.sub(r"/\*.*?\*/|^#.*?$", " ", header.read_text(), flags=re.S | re.M)
    declared = set(re.findall(r"\bCOULIS_API\s[^;(]*?\b(coulis_\w+)\s*\(", text))
    found = {symbol for symbol in exported() if symbol.startswith("coulis_")}
    return (
        sorted(f"{name(header)}: {f} is not in the library" for f in declared - found)
        + sorted(f"{name(LIBRARY)}: {f} is not in the header" for f in found - declared)
        + ([] if declared else [f"{name(header)}: declares nothing"])
    )


def files_are_short():
    """no source file is longer than LINES_MAX"""
    paths = [p for folder in LINES_FOLDERS for p in of_kind(*LINES_MAX, below=folder + "/")]
    lengths = {p: len(p.read_text().splitlines()) for p in paths}
    return [
        f"{name(p)}: {n} lines, more than {LINES_MAX[p.suffix]}" for p, n in lengths.items() if n > LINES_MAX[p.suffix]
    ]


def layers_are_kept():
    """no file includes a header of a later layer"""
    found = []
    for path in of_kind(".c", ".h", below="src/"):
        layer = name(path).split("/")[1]
        if layer not in LAYERS:
            found.append(f"{name(path)}: in none of the layers {', '.join(LAYERS)}")
            continue
        for number, line in enumerate(lines(path), 1):
            included = re.match(r'\s*#\s*include\s*"(\w+)/', line)
            if included and included[1] not in LAYERS[: LAYERS.index(layer) + 1]:
                found.append(f"{name(path)}:{number}: {layer} may not use {included[1]}")
    for path in of_kind(".c", ".h", below="cli/"):
        found += [
            f"{name(path)}:{number}: the command knows nothing but coulis.h"
            for number, line in enumerate(lines(path), 1)
            if re.match(r'\s*#\s*include\s*"(?!\w+\.h")', line)
        ]
    return found


def in_circles(uses):
    """Of {file: files that it uses} those that use one another, by whatever way round."""
    while True:
        used = set().union(*uses.values())
        left = {one: others & uses.keys() for one, others in uses.items() if one in used and others & uses.keys()}
        if left == uses:
            return [f"{one}: in a circle with {', '.join(sorted(others))}" for one, others in sorted(uses.items())]
        uses = left


def c_files_form_no_circle():
    """no C file, with the header of its name, uses one that uses it"""
    uses = {}
    for path in of_kind(".c", ".h", below="src/") + of_kind(".c", ".h", below="cli/"):
        included = re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.MULTILINE)
        places = [place for file in included for place in (ROOT / "src" / file, path.parent / file) if place.exists()]
        one = name(path.with_suffix(""))
        uses.setdefault(one, set()).update({name(place.with_suffix("")) for place in places} - {one})
    return in_circles(uses)


def python_files_form_no_circle():
    """no module of python/coulis imports one that imports it, not even in a function"""
    modules = {
        tuple(p.relative_to(ROOT / "python").with_suffix("").parts): p for p in of_kind(".py", below="python/coulis/")
    }
    modules = {key[:-1] if key[-1] == "__init__" else key: path for key, path in modules.items()}
    uses = {key: set() for key in modules}
    for key, path in modules.items():
        package = key if path.name == "__init__.py" else key[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = [tuple(alias.name.split(".")) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                above += tuple(node.module.split(".")) if node.module else ()
                found = [(*above, alias.name) if (*above, alias.name) in modules else above for alias in node.names]
            else:
                continue
            uses[key] |= {one for one in found if one in modules and one != key}
    return in_circles({name(modules[key]): {name(modules[one]) for one in others} for key, others in uses.items()})


def statuses_are_asked_one_way():
    """C says `if (status)` and `if (!status)`, not `status == COULIS_OK`"""
    return [
        f"{name(p)}:{number}: {found[0]}"
        for p in of_kind(".c", ".h", below="src/") + of_kind(".c", below="cli/")
        for number, line in enumerate(lines(p), 1)
        if (found := re.search(r"(?<![.>\w])status [!=]= COULIS_OK", line))
    ]


# What only POSIX systems have: another platform gets another src/base.
OF_THE_PLATFORM = re.compile(
    r"\b(fts_\w+|flock|fsync|fdatasync|mmap|munmap|dlopen|dlsym|dlclose|dladdr|dlerror"
    r"|_WIN32|pthread_\w+)\b"
    r'|"/proc/|<(dirent|dlfcn|fcntl|fts|pthread|sched|signal|unistd)\.h>'
    r"|<sys/(file|ioctl|mman|stat|wait)\.h>"
)
PLATFORM_ALLOWED = {"cli/system.c"}


def platform_is_in_base():
    """threads, files, folders, memory and libraries of the system are used by src/base and cli/system.c alone"""
    paths = [
        p
        for p in of_kind(".c", ".h", below="src/") + of_kind(".c", ".h", below="cli/")
        if not name(p).startswith("src/base/") and name(p) not in PLATFORM_ALLOWED
    ]
    return [
        f"{name(p)}:{number}: {found[0]}"
        for p in paths
        for number, line in enumerate(lines(p), 1)
        if (found := OF_THE_PLATFORM.search(line))
    ]


def nothing_is_unfinished():
    """no source file has a note of unfinished work"""
    paths = of_kind(".c", ".h", ".py", ".cmake", ".toml") + bash_scripts() + [ROOT / "CMakeLists.txt"]
    return [
        f"{name(p)}:{number}: {found[0]}"
        for p in paths
        for number, line in enumerate(lines(p), 1)
        if (found := UNFINISHED.search(line))
    ]


def format_is_kept():
    """clang-format (.clang-format) would change no C file"""
    program = pathlib.Path(sys.executable).parent / "clang-format"
    if not program.exists():
        raise Skipped("clang-format is not installed: ./run lint does that")
    done = subprocess.run(
        [program, "--dry-run", "-Werror", *of_kind(".c", ".h")], cwd=ROOT, capture_output=True, text=True
    )
    return [line for line in done.stderr.splitlines() if "error:" in line] if done.returncode else []


PYTHON_FOLDERS = ("python", "tests", "tools", "bench", "fuzz", "emr", "notebooks", "docs")


def ruff(*words):
    """The lines that ruff prints where it finds something in the Python files."""
    command = [sys.executable, "-m", "ruff", *words, "--no-cache", *PYTHON_FOLDERS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if "No module named ruff" in done.stderr:
        raise Skipped("ruff is not installed: ./run lint does that")
    return done.stdout.splitlines() + done.stderr.splitlines() if done.returncode else []


def ruff_is_content():
    """ruff finds nothing in the Python files"""
    return ruff("check", "--output-format=concise")


def python_format_is_kept():
    """ruff would format no Python file in another way"""
    return ruff("format", "--check")


def lines_are_tidy():
    """no tab, no blank at the end, no line over COLUMNS_MAX in C and Python"""
    found = []
    for path in of_kind(".c", ".h", ".py"):
        for number, line in enumerate(lines(path), 1):
            faults = [
                ("a tab", "\t" in line),
                ("a blank at its end", line != line.rstrip()),
                (f"{len(line)} columns", len(line) > COLUMNS_MAX),
            ]
            found += [f"{name(path)}:{number}: {what}" for what, is_so in faults if is_so]
    return found


def prose():
    """(path, line number, line) of what people read: pages whole, and the lines of code with a comment or a text."""
    pages = {".md", ".ipynb"}
    for path in of_kind(*pages, ".c", ".h", ".py", ".sh") + [ROOT / "run"]:
        inside = False
        for number, line in enumerate(lines(path), 1):
            inside = inside and "*/" not in line or "/*" in line.split("*/")[-1]
            if path.suffix in pages or inside or re.search(r'["\'#]|/\*|\*/|//|^\s*(\*|[A-Z`].*\w)', line):
                yield path, number, line


def words_are_plain():
    """the words are those of the field (tools/plain_words.txt)"""
    entries = [line.split("\t") for line in lines(ROOT / "tools" / "plain_words.txt") if line and line[0] != "#"]
    wanted = re.compile("|".join(f"(?P<w{i}>{pattern})" for i, (pattern, _) in enumerate(entries)))
    return [
        f"{name(p)}:{number}: '{found[0]}'; write: {entries[int(found.lastgroup[1:])][1]}"
        for p, number, line in prose()
        if (found := wanted.search(line))
    ]


def spelling_is_right():
    """codespell finds nothing"""
    paths = of_kind(".md", ".ipynb", ".c", ".h", ".py", ".sh", ".toml", ".json", ".cmake")
    # SIZ is a marker of JPEG 2000; the others are parts of words and mistakes that tests are about.
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "--ignore-words-list", "siz,caf,ecret,fo,modles,trasnform", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if "No module named codespell" in done.stderr:
        raise Skipped("codespell is not installed: ./run lint does that")
    return done.stdout.splitlines() + (done.stderr.splitlines() if done.returncode else [])


def links_lead_somewhere():
    """Markdown links between files lead to files, and README.md names each of docs/"""
    found = []
    for path in of_kind(".md"):
        text = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), path.read_text(), flags=re.S)
        for link in re.finditer(r"\]\(([^)\s#]+)(#[^)\s]*)?\)", text):
            target = path.parent / link[1]
            if not re.match(r"\w+:", link[1]) and not target.exists():
                found.append(f"{name(path)}:{text.count(chr(10), 0, link.start()) + 1}: no {link[1]}")
    readme = ROOT / "README.md"
    if readme.exists():
        text = readme.read_text()
        found += [
            f"README.md: does not name {name(p)}"
            for p in of_kind(".md", below="docs/")
            if name(p) not in text and name(p.parent / "README.md") not in text
        ]
    return found


def python_is_valid():
    """all Python parses, and python/coulis in the oldest Python it promises"""
    found = []
    for path in of_kind(".py"):
        oldest = OLDEST_PYTHON if name(path).startswith("python/coulis/") else None
        try:
            compile(path.read_text(), name(path), "exec", dont_inherit=True)
            ast.parse(path.read_text(), name(path), feature_version=oldest)
        except SyntaxError as error:
            in_version = f" (Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]})" if oldest else ""
            found.append(f"{name(path)}:{error.lineno}: {error.msg}{in_version}")
    return found


CHECKS = (
    scripts_are_clean,
    symbols_have_our_prefix,
    header_and_library_agree,
    files_are_short,
    layers_are_kept,
    c_files_form_no_circle,
    python_files_form_no_circle,
    platform_is_in_base,
    nothing_is_unfinished,
    statuses_are_asked_one_way,
    lines_are_tidy,
    format_is_kept,
    ruff_is_content,
    python_format_is_kept,
    words_are_plain,
    spelling_is_right,
    links_lead_somewhere,
    python_is_valid,
)


def main():
    failed = 0
    for check in CHECKS:
        try:
            found = check()
        except Skipped as reason:
            print(f"skipped {check.__doc__}: {reason}")
            continue
        print(f"{'FAILED ' if found else 'ok     '} {check.__doc__}")
        for line in found:
            print(f"    {line}")
        failed += bool(found)
    print(f"{failed} of {len(CHECKS)} checks failed" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
