"""Runs the tests by group and adds up their counts.

A group is named after what it tests: group `pca` is tests/c/test_pca.c and tests/python/test_pca.py. Beside
them stand groups that build again: `clang` (the other compiler), `sanitize` (AddressSanitizer and UBSan), `tsan`
(ThreadSanitizer), `neon` (64-bit ARM in an emulator) and `lint`. A folder of tests with a list of packages of its own
is a group too: tests/wheel is run in build/venv-wheel, which holds what requirements/wheel.txt says; so are `keras`,
tests/python/test_keras_*.py in build/venv-keras, and `torch`, whose environment stands on Debian's PyTorch; tests/spark
needs more, all of it in build/spark (tools/spark_environment.sh). The last line printed is
"N passed, N failed, N skipped".
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TOOLS = pathlib.Path(sys.executable).parent  # cmake and ninja lie beside this Python
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def heading(text):
    print(f"--- {text}", flush=True)


def call(command, **more):
    """Runs a command, echoing what it prints; gives its exit code and output."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", **more)
    lines = []
    for line in process.stdout:
        lines.append(line)
        print(line, end="", flush=True)
    return process.wait(), "".join(lines)


def run_c(program, totals, environment=None):
    code, output = call([str(program)], env={**os.environ, **(environment or {})})
    counts = COUNTS.findall(output)
    if counts:
        passed, failed, skipped = (int(n) for n in counts[-1])
        totals.add(passed, failed or (1 if code else 0), skipped)
    else:
        print(f"{program.name}: ended with {code} before its last line")
        totals.add(0, 1, 0)


def run_python(files, totals, python=sys.executable, environment=None):
    report = BUILD / "pytest.xml"
    report.unlink(missing_ok=True)
    code, _ = call([str(python), "-m", "pytest", "-q", "-rs", f"--junitxml={report}",
                    *(str(f) for f in files)],
                   env={**os.environ, "COULIS_LIBRARY": str(BUILD / "libcoulis.so"),
                        "COULIS_COMMAND": str(BUILD / "coulis"), **(environment or {})})
    if not report.exists():
        totals.add(0, 1, 0)
        return
    suite = ElementTree.parse(report).getroot().find("testsuite")
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    skipped = int(suite.get("skipped"))
    totals.add(int(suite.get("tests")) - failed - skipped, failed or (1 if code else 0), skipped)


# An environment that is made otherwise than from this Python: which one, and options for venv and for pip.
BASES = {"torch": ("/usr/bin/python3", ["--system-site-packages"], ["--no-deps"])}


def own_environment(name):
    """The Python of build/venv-<name>, which holds what requirements/<name>.txt says; made once per content."""
    folder, wanted = BUILD / f"venv-{name}", ROOT / "requirements" / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists() or stamp.read_bytes() != wanted.read_bytes():
        print(f"installing {wanted.relative_to(ROOT)} into {folder.relative_to(ROOT)}", flush=True)
        base, making, installing = BASES.get(name, (sys.executable, [], []))
        subprocess.run([base, "-m", "venv", "--clear", *making, str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "--require-hashes", *installing, "-r", str(wanted)], check=True)
        site = subprocess.run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                              check=True, capture_output=True, text=True).stdout.strip()
        pathlib.Path(site, "coulis.pth").write_text(f"{ROOT / 'python'}\n")
        stamp.write_bytes(wanted.read_bytes())
    return python


def own_groups():
    """Folders of tests/ that are run in an environment of their own."""
    return sorted(p.name for p in (ROOT / "tests").iterdir()
                  if p.is_dir() and p.name not in SPECIAL and (ROOT / "requirements" / f"{p.name}.txt").exists())


def run_own(name, totals, files=None):
    try:
        python = own_environment(name)
    except subprocess.CalledProcessError as error:
        print(f"the environment of {name} could not be made: {error}")
        totals.add(0, 1, 0)
        return
    run_python(files or [ROOT / "tests" / name], totals, python)


def compile_again(folder, options, targets, environment=None):
    """Configures and builds in build/<folder>; True when it went well."""
    steps = [[str(TOOLS / "cmake"), "-G", "Ninja", "-S", str(ROOT), "-B", str(BUILD / folder),
              f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}", "-DCOULIS_WERROR=ON", "-DCOULIS_TESTS=ON",
              f"-DCOULIS_CARQUET_DIR={BUILD / 'deps' / 'carquet-0.7.2' / 'native'}", *options],
             [str(TOOLS / "ninja"), "-C", str(BUILD / folder), *targets]]
    for step in steps:
        done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **(environment or {})})
        if done.returncode:
            print(done.stdout[-6000:], done.stderr[-2000:])
            return False
    return True


def test_clang(totals):
    """All sources without a warning by the other compiler."""
    good = compile_again("clang", [], ["coulis_testing", "coulis_cli_objects"], {"CC": "clang"})
    print("ok     clang compiles everything without a warning" if good else "FAILED clang")
    totals.add(int(good), int(not good), 0)


def c_tests():
    return sorted(p.stem[len("test_"):] for p in (ROOT / "tests" / "c").glob("test_*.c"))


def under_sanitizer(folder, sanitizer, tests, totals, environment, targets=()):
    names = [f"test_{name}" for name in tests]
    # -O1: the instrumented kernels take minutes to compile at -O2, and find nothing more.
    options = [f"-DCOULIS_SANITIZE={sanitizer}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
               "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g"]
    if not compile_again(folder, options, [*targets, *names]):
        totals.add(0, 1, 0)
        return
    for name in names:
        run_c(BUILD / folder / "tests" / name, totals, environment)


def test_sanitize(totals):
    """Every C test, among them the odd images, and damaged model files, under AddressSanitizer and UBSan."""
    under_sanitizer("sanitize", "address,undefined", c_tests(), totals,
                    {"ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
                     "UBSAN_OPTIONS": "print_stacktrace=1"}, ["coulis"])
    library = BUILD / "sanitize" / "libcoulis.so"
    if library.exists():
        # Python itself leaks, and its library is loaded too late to bring the sanitizer's runtime with it.
        runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        run_python([ROOT / "tests" / "python" / "test_model.py"], totals, environment={
            "COULIS_LIBRARY": str(library), "LD_PRELOAD": runtime.stdout.strip(),
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})


def test_tsan(totals):
    """What runs in several threads, under ThreadSanitizer."""
    tests = [name for name in ("base", "eigen", "pca", "pca_krylov", "pca_moments", "pipeline") if name in c_tests()]
    # One thread of OpenBLAS, whose code is not instrumented, where a test calls it itself to compare.
    under_sanitizer("tsan", "thread", tests, totals,
                    {"TSAN_OPTIONS": "halt_on_error=0:exitcode=66", "OPENBLAS_NUM_THREADS": "1"})


def test_neon(totals):
    """The NEON kernels, cross-compiled and run in an emulator."""
    run_c(ROOT / "tools" / "cross_test.sh", totals)


def keras_tests():
    return sorted((ROOT / "tests" / "python").glob("test_keras_*.py"))


def torch_tests():
    return sorted((ROOT / "tests" / "python").glob("test_torch_*.py"))


def test_torch(totals):
    """Networks of PyTorch, timm and transformers against themselves, in an environment of their own."""
    base = BASES["torch"][0]
    if subprocess.run([base, "-c", "import torch, torchvision"], capture_output=True).returncode:
        print(f"skipped: {base} has no torch and torchvision: apt-get install python3-torch python3-torchvision")
        totals.add(0, 0, 1)
        return
    run_own("torch", totals, torch_tests())


def test_keras(totals):
    """Networks of Keras against Keras itself, in an environment of their own."""
    if sys.version_info >= (3, 14):
        print("skipped: TensorFlow 2.20 has no package for Python 3.14 and later")
        totals.add(0, 0, 1)
        return
    run_own("keras", totals, keras_tests())


def test_spark(totals):
    """coulis.spark on a cluster of three workers, from S3 to S3."""
    python = BUILD / "spark" / "driver" / "bin" / "python"
    if not python.exists():
        print(f"skipped: no {python.relative_to(ROOT)}: ./run test spark makes it")
        totals.add(0, 0, 1)
        return
    run_python([ROOT / "tests" / "spark"], totals, python)


def test_lint(totals):
    code, _ = call([sys.executable, str(ROOT / "tools" / "lint.py")])
    totals.add(int(code == 0), int(code != 0), 0)


SPECIAL = {"clang": test_clang, "sanitize": test_sanitize, "tsan": test_tsan, "neon": test_neon, "keras": test_keras,
           "torch": test_torch, "spark": test_spark, "lint": test_lint}


def groups():
    python = {p.stem[len("test_"):] for p in (ROOT / "tests" / "python").glob("test_*.py")
              if p not in keras_tests() + torch_tests()}
    return sorted(python | set(c_tests())) + own_groups() + list(SPECIAL)


def main(names):
    if names == ["--list"]:
        print("\n".join(groups()))
        return 0
    unknown = [name for name in names if name not in groups()]
    if unknown:
        print(f"no such test: {', '.join(unknown)}; there are {', '.join(groups())}", file=sys.stderr)
        return 2
    # A shell's background jobs ignore Ctrl-C, and what they start would too; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = names or groups()
    totals = Totals()
    began = time.monotonic()
    for name in chosen:
        if name in c_tests():
            heading(f"{name} (C)")
            run_c(BUILD / "tests" / f"test_{name}", totals)
    files = [f for f in (ROOT / "tests" / "python" / f"test_{name}.py" for name in chosen) if f.exists()]
    if files:
        heading("Python: " + ", ".join(f.stem[len("test_"):] for f in files))
        run_python(files, totals)
    for name in chosen:
        if name in own_groups():
            heading(f"{name}, in an environment of its own")
            run_own(name, totals)
    for name in chosen:
        if name in SPECIAL:
            heading(f"{name}: {(SPECIAL[name].__doc__ or name).strip()}")
            SPECIAL[name](totals)
    print(f"{time.monotonic() - began:.0f} seconds")
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped", flush=True)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
