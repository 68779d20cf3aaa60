"""What each group of tests does, and how its programs are run.

A group is named after what it tests: group `pca` is tests/c/test_pca.c and tests/python/test_pca.py. Beside them are
groups that build again: `clang` (the other compiler), `sanitize` (AddressSanitizer and UBSan), `tsan`
(ThreadSanitizer), `valgrind`, `neon` (64-bit ARM in an emulator) and `lint`. A folder of tests with a list of packages
of its own is a group too: tests/wheel runs in build/venv-wheel, which holds what requirements/wheel.txt says; so do
`keras`, tests/python/test_keras_*.py in build/venv-keras, and `torch`, whose environment stands on Debian's PyTorch;
tests/spark (`spark`, and `spark_connect`) needs more, all of it in build/spark (tools/spark_environment.sh).
"""

import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
TOOLS = pathlib.Path(sys.executable).parent  # cmake and ninja are beside this Python
C_COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
C_TEST = re.compile(r"^(?:ok    |FAILED|skipped) (\w+)  ([\d.]+) s$", re.MULTILINE)
GROUP_SECONDS_MAX = 1500  # a test that hangs ends, and counts as failed

# Not among the tests before each commit: what needs another compiler, another environment, a server or a browser, and
# what takes more than some ten seconds. The ordinary run has all of them.
NOT_QUICK = {
    "clang",
    "sanitize",
    "tsan",
    "neon",
    "keras",
    "spark",
    "spark_connect",
    "wheel",
    "types",
    "emr",
    "notebooks",
    "torch",
    "valgrind",
    "http",
    "s3",
    "s3_large",
    "s3_output",
    "sources",
    "view",
    "view_remote",
    "recipes",
    "sklearn",
    "install",
    "image_replay",
    "net",
    "models",
    "models_bounds",
    "checkpoint",
    "convert_torch",
    "onnx",
    "formats",
    "guides",
    "provenance",
    "kill",
    "powerloss",
    "signals",
    "little_memory",
    "search_text",
    "fault_sites",
    "watching",
    "grow_safely",
    "pca",
    "pca_krylov",
    "pca_shapes",
    "pca_sklearn",
    "reduced",
    "shards",
    "archives",
    "python_jobs",
    "other_tables",
    "texts",
}
# Groups that mostly wait, for pip and for servers. They run one after the other beside the slots, and two of them may
# not run beside one another: each makes the wheel in dist/ anew.
WAITING = {"emr", "wheel"}


@dataclasses.dataclass
class Job:
    """One run of a group, or of a part of it, on one of the slots."""

    name: str
    only: str = ""  # tests whose names contain this
    output: list = dataclasses.field(default_factory=list)
    times: list = dataclasses.field(default_factory=list)  # (seconds, test)
    live: bool = False  # print at once
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of all programs it ran and waited for
    process: object = None
    stopped: bool = False

    def say(self, text):
        self.output.append(text + "\n")
        if self.live:
            print(text, flush=True)

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def call(self, command, **more):
        """Runs a command and keeps what it prints; returns its exit code and output."""
        if self.stopped:
            return -signal.SIGTERM, ""
        lines = []
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            **more,
        )
        for line in self.process.stdout:
            lines.append(line)
            self.say(line.rstrip("\n"))
        try:
            _, status, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
        except ChildProcessError:  # stop() saw its end first
            self.process.wait()
        return self.process.returncode, "".join(lines)

    def stop(self):
        """Ends what is running, with all it started."""
        self.stopped = True
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            time.sleep(1)
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


def run_c(job, program, environment=None, before=(), only=""):
    arguments = [job.only or only] if job.only or only else []
    code, output = job.call([*before, str(program), *arguments], env={**os.environ, **(environment or {})})
    for name, seconds in C_TEST.findall(output):
        job.times.append((float(seconds), f"{program.stem}:{name}"))
    counts = C_COUNTS.findall(output)
    if counts:
        passed, failed, skipped = (int(n) for n in counts[-1])
        job.add(passed, failed or (1 if code else 0), skipped)
    else:
        job.say(f"{program.name}: ended with {code} before its last line")
        job.add(0, 1, 0)


def run_python(job, files, python=sys.executable, environment=None):
    report = BUILD / f"pytest-{job.name}.xml"
    report.unlink(missing_ok=True)
    only = ["-k", job.only] if job.only else []
    code, _ = job.call(
        [str(python), "-m", "pytest", "-q", "-rs", f"--junitxml={report}", *only, *(str(f) for f in files)],
        env={
            **os.environ,
            "COULIS_LIBRARY": str(BUILD / "libcoulis.so"),
            "COULIS_COMMAND": str(BUILD / "coulis"),
            **(environment or {}),
        },
    )
    if code == 5 and job.only:  # no test of that name here
        return
    if not report.exists():
        job.add(0, 1, 0)
        return
    suite = ElementTree.parse(report).getroot().find("testsuite")
    for case in suite.iter("testcase"):
        job.times.append((float(case.get("time")), f"{case.get('classname').rpartition('.')[2]}:{case.get('name')}"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    skipped = int(suite.get("skipped"))
    job.add(int(suite.get("tests")) - failed - skipped, failed or (1 if code else 0), skipped)


# An environment that is made otherwise than from this Python: which one, and options for venv and for pip.
BASES = {"torch": ("/usr/bin/python3", ["--system-site-packages"], ["--no-deps"])}


def own_environment(job, name):
    """The Python of build/venv-<name>, which holds what requirements/<name>.txt says; made once per content. None when
    it could not be made."""
    folder, wanted = BUILD / f"venv-{name}", ROOT / "requirements" / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if stamp.exists() and stamp.read_bytes() == wanted.read_bytes():
        return python
    job.say(f"installing {wanted.relative_to(ROOT)} into {folder.relative_to(ROOT)}")
    base, making, installing = BASES.get(name, (sys.executable, [], []))
    for step in (
        [base, "-m", "venv", "--clear", *making, str(folder)],
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            *installing,
            "-r",
            str(wanted),
        ],
    ):
        if job.call(step)[0] != 0:
            job.say(f"the environment of {name} could not be made")
            job.add(0, 1, 0)
            return None
    code, site = job.call([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    pathlib.Path(site.strip(), "coulis.pth").write_text(f"{ROOT / 'python'}\n")
    stamp.write_bytes(wanted.read_bytes())
    return python


def own_groups():
    """Folders of tests/ that run in an environment of their own."""
    return sorted(
        p.name
        for p in (ROOT / "tests").iterdir()
        if p.is_dir() and p.name not in SPECIAL and (ROOT / "requirements" / f"{p.name}.txt").exists()
    )


def run_own(job, name, files=None):
    python = own_environment(job, name)
    if python:
        run_python(job, files or [ROOT / "tests" / name], python)


def compile_again(job, folder, options, targets, environment=None):
    """Configures and builds in build/<folder>; True when it went well."""
    steps = [
        [
            str(TOOLS / "cmake"),
            "-G",
            "Ninja",
            "-S",
            str(ROOT),
            "-B",
            str(BUILD / folder),
            f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
            "-DCOULIS_WERROR=ON",
            "-DCOULIS_TESTS=ON",
            f"-DCOULIS_CARQUET_DIR={BUILD / 'deps' / 'carquet-0.7.2' / 'native'}",
            *options,
        ],
        [str(TOOLS / "ninja"), "-C", str(BUILD / folder), *targets],
    ]
    for step in steps:
        quiet = Job(job.name)  # what a build prints matters only when it fails
        job.process, quiet.stopped = None, job.stopped
        code, output = quiet.call(step, env={**os.environ, **(environment or {})})
        job.cpu_seconds += quiet.cpu_seconds
        if code:
            job.say(output[-8000:])
            return False
    return True


def test_clang(job):
    """Everything without a warning by the other compiler."""
    # -O1: clang's warnings do not depend on it, and the kernels take a minute more with -O3.
    options = ["-DCOULIS_BENCH=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1"]
    good = compile_again(job, "clang", options, ["all", "coulis_install"], {"CC": "clang"})
    job.say("ok     clang builds everything without a warning" if good else "FAILED clang")
    job.add(int(good), int(not good), 0)


def c_tests():
    return sorted(p.stem[len("test_") :] for p in (ROOT / "tests" / "c").glob("test_*.c"))


def under_sanitizer(job, folder, sanitizer, tests, environment, targets=()):
    names = [f"test_{name}" for name in tests]
    # -O1: the instrumented kernels take minutes to compile at -O2, and find nothing more.
    options = [
        f"-DCOULIS_SANITIZE={sanitizer}",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g",
    ]
    if not compile_again(job, folder, options, [*targets, *names]):
        job.add(0, 1, 0)
        return
    for name in names:
        run_c(job, BUILD / folder / "tests" / name, {"COULIS_TEST_SLOW": "1", **environment})


def test_sanitize(job):
    """Every C test, among them the odd images, and damaged model files, under AddressSanitizer and UBSan."""
    under_sanitizer(
        job,
        "sanitize",
        "address,undefined",
        c_tests(),
        {
            "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
            "LSAN_OPTIONS": f"print_suppressions=0:suppressions={ROOT / 'tests' / 'lsan.supp'}",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        ["coulis"],
    )
    library = BUILD / "sanitize" / "libcoulis.so"
    if library.exists():
        # Python itself leaks, and its library is loaded too late to bring the sanitizer's runtime with it.
        runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        run_python(
            job,
            [ROOT / "tests" / "python" / f"{name}.py" for name in ("test_model", "test_model_tokens")],
            environment={
                "COULIS_LIBRARY": str(library),
                "LD_PRELOAD": runtime.stdout.strip(),
                "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
                "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            },
        )


def test_tsan(job):
    """What runs in several threads, under ThreadSanitizer."""
    threaded = ("base", "collection", "eigen", "index", "pca", "pca_krylov", "pca_moments", "pipeline")
    tests = [name for name in threaded if name in c_tests()]
    # One thread of OpenBLAS, whose code is not instrumented, where a test calls it itself to compare.
    under_sanitizer(
        job, "tsan", "thread", tests, {"TSAN_OPTIONS": "halt_on_error=0:exitcode=66", "OPENBLAS_NUM_THREADS": "1"}
    )


# Those that read files, and a job from its images to its table, in seconds even so: (test, those of its names).
UNDER_VALGRIND = (("base", ""), ("safetensors", ""), ("table_folder", ""), ("pipeline", "a_stopped_job"))


def test_valgrind(job):
    """What AddressSanitizer does not see: decisions by values that nobody wrote, also in libraries that are linked."""
    if not shutil.which("valgrind"):
        job.say("skipped: no valgrind: ./run test valgrind installs it")
        job.add(0, 0, 1)
        return
    check = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]
    for name, only in UNDER_VALGRIND:
        run_c(job, BUILD / "tests" / f"test_{name}", {"COULIS_TEST_QUICK": "1"}, check, only)


def test_neon(job):
    """Library, command and C tests for 64-bit ARM, cross-compiled and run in an emulator."""
    run_c(job, ROOT / "tools" / "cross_test.sh", {"COULIS_TEST_SLOW": "1"})


def keras_tests():
    return sorted((ROOT / "tests" / "python").glob("test_keras_*.py"))


def torch_tests():
    return sorted((ROOT / "tests" / "python").glob("test_torch_*.py"))


def test_torch(job):
    """Networks of PyTorch, timm and transformers against themselves, in an environment of their own."""
    base = BASES["torch"][0]
    if subprocess.run([base, "-c", "import torch, torchvision"], capture_output=True).returncode:
        job.say(f"skipped: {base} has no torch and torchvision: apt-get install python3-torch python3-torchvision")
        job.add(0, 0, 1)
        return
    run_own(job, "torch", torch_tests())


def test_keras(job):
    """Networks of Keras against Keras itself, in an environment of their own."""
    if sys.version_info >= (3, 14):
        job.say("skipped: TensorFlow 2.20 has no package for Python 3.14 and later")
        job.add(0, 0, 1)
        return
    run_own(job, "keras", keras_tests())


def on_spark(job, name):
    python = BUILD / "spark" / name / "bin" / "python"
    if not python.exists():
        job.say(f"skipped: no {python.relative_to(ROOT)}: ./run test spark makes it")
        job.add(0, 0, 1)
        return
    run_python(job, [ROOT / "tests" / "spark"], python)


def test_spark(job):
    """coulis.spark on a cluster of three workers, from S3 to S3."""
    on_spark(job, "driver")


def test_spark_connect(job):
    """Those tests that are marked `connect` once more, from a client of Spark Connect."""
    on_spark(job, "connect")


def test_lint(job):
    """Shell scripts, and the conventions that a program can check."""
    code, _ = job.call([sys.executable, str(ROOT / "tools" / "lint.py")])
    job.add(int(code == 0), int(code != 0), 0)


SPECIAL = {
    "clang": test_clang,
    "sanitize": test_sanitize,
    "tsan": test_tsan,
    "neon": test_neon,
    "keras": test_keras,
    "torch": test_torch,
    "spark": test_spark,
    "spark_connect": test_spark_connect,
    "valgrind": test_valgrind,
    "lint": test_lint,
}


def groups():
    python = {
        p.stem[len("test_") :]
        for p in (ROOT / "tests" / "python").glob("test_*.py")
        if p not in keras_tests() + torch_tests()
    }
    return sorted(python | set(c_tests())) + own_groups() + list(SPECIAL)


def run_group(job):
    """All tests of the group that `job` names, its counts and times into `job`."""
    began = time.monotonic()
    if job.name in SPECIAL:
        SPECIAL[job.name](job)
    elif job.name in own_groups():
        run_own(job, job.name)
    else:
        if job.name in c_tests():
            run_c(job, BUILD / "tests" / f"test_{job.name}")
        file = ROOT / "tests" / "python" / f"test_{job.name}.py"
        if file.exists():
            run_python(job, [file])
    if job.only and job.passed + job.failed + job.skipped == 0:
        job.say(f"no test of {job.name} has '{job.only}' in its name")
        job.add(0, 1, 0)
    job.seconds = time.monotonic() - began
