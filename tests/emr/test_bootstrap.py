"""emr/upload.sh and emr/bootstrap.sh: from an S3 server into an environment where nothing is, and every way to fail."""

import hashlib
import platform
import shutil
import sys
import zipfile

import pytest
from conftest import ROOT, TOOLS, node_python, run

PREFIX = "s3://coulis-test/coulis"
FOUND = node_python()
KIND = f"python{FOUND[1] if FOUND else ''}-{platform.machine()}"  # the folder for nodes like this machine
SOURCE = f"{PREFIX}/{KIND}"


@pytest.fixture(scope="module")
def store(amazon):
    """Fills a bucket with upload.sh; gives the environment variables of whoever works with it, and a node's Python."""
    if not FOUND:
        pytest.skip("no Python from 3.9 to 3.12 with venv, which the packages of emr/requirements.txt are made for")
    python, version = FOUND
    code, output, error = run(ROOT / "run", "wheel", platform.machine(), cwd=ROOT)
    assert code == 0, output + error
    variables = {
        "PATH": f"{TOOLS}:/usr/bin:/bin",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{amazon}",
    }
    assert run("aws", "s3", "mb", "s3://coulis-test", env=variables)[0] == 0
    code, output, error = run(
        ROOT / "emr" / "upload.sh",
        PREFIX,
        "--architecture",
        platform.machine(),
        env={**variables, "COULIS_NODE_PYTHON": version},
    )
    assert code == 0, error
    return variables, python


@pytest.fixture(scope="module")
def empty_environment(store, tmp_path_factory):
    """An environment with pip and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "node"
    code, _, error = run(store[1], "-m", "venv", folder)
    assert code == 0, error
    return folder


@pytest.fixture
def node(empty_environment, bare, tmp_path):
    """A node of a cluster: a Python with nothing installed, an empty home. Gives a function that runs bootstrap.sh."""
    shutil.copytree(empty_environment, tmp_path / "node", symlinks=True)  # much faster than making another

    def bootstrap(*arguments, **more):
        variables = {
            **bare,
            "COULIS_PYTHON": str(tmp_path / "node" / "bin" / "python"),
            "COULIS_FOLDER": str(tmp_path / "opt"),
            **more,
        }
        return run("bash", ROOT / "emr" / "bootstrap.sh", *(arguments or [PREFIX]), env=variables, cwd=tmp_path)

    bootstrap.python = tmp_path / "node" / "bin" / "python"
    bootstrap.folder = tmp_path / "opt"
    return bootstrap


def copy(source, target, variables):
    code, _, error = run("aws", "s3", "cp", "--only-show-errors", "--recursive", source, target, env=variables)
    assert code == 0, error


def changed_copy(variables, folder, name, change):
    """A prefix that is a copy of the source, without pyarrow, which is large, and with the wheel changed; its URI.

    ``change`` takes the path of the wheel, and says whether SHA256SUMS is to hold for what it made of it.
    """
    copy(f"{SOURCE}/wheels", folder / "wheels", variables)
    copy(f"{SOURCE}/models", folder / "models", variables)
    next((folder / "wheels").glob("pyarrow-*")).unlink()
    wanted = folder / "wheels" / "requirements.txt"
    wanted.write_text("".join(line for line in wanted.read_text().splitlines(True) if not line.startswith("pyarrow")))
    (wheel,) = (folder / "wheels").glob("coulis-*.whl")

    def write_sums():
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
        (folder / "SHA256SUMS").write_text("".join(lines))

    write_sums()
    if change(wheel):
        write_sums()
    copy(folder, f"s3://coulis-test/{name}/{KIND}", variables)
    return f"s3://coulis-test/{name}"


def test_installs_and_is_idempotent(node):
    code, output, error = node()
    assert code == 0, error
    assert output.startswith("bootstrap: coulis 0.")
    assert (node.folder / "models" / "efficientnet-lite0.json").exists()
    code, output, _ = run(
        node.python,
        "-c",
        "import coulis, pyarrow; print(coulis.__file__); print(coulis.Featurizer().featurize([b'']).status)",
        env={},
        cwd="/",
    )
    assert code == 0 and str(ROOT) not in output and output.endswith("['empty']\n")
    code, output, error = run(node.python, "-m", "pip", "list", "--disable-pip-version-check", env={})
    assert "tensorflow" not in output.lower() and "torch" not in output.lower()

    code, output, _ = node()
    assert (code, output) == (0, f"bootstrap: everything of {SOURCE} is installed already\n")
    # Half of it gone: the same call makes it whole again.
    assert run(node.python, "-m", "pip", "uninstall", "--quiet", "--yes", "coulis", env={})[0] == 0
    code, output, error = node()
    assert code == 0 and output.startswith("bootstrap: coulis 0."), error


@pytest.mark.parametrize("arguments", [[PREFIX, "/usr/bin/python3", "more"], ["/tmp"], ["s3://coulis-test"]])
def test_wrong_arguments(arguments, node):
    code, output, error = node(*arguments)
    assert code == 1 and error.startswith("bootstrap: ") and output == ""


def test_empty_source(node):
    code, _, error = node("s3://coulis-test/elsewhere")
    assert code == 1 and f"bootstrap: cannot read s3://coulis-test/elsewhere/{KIND}/SHA256SUMS" in error
    assert f"was emr/upload.sh run for {KIND}" in error


def test_a_changed_file_is_noticed(node, store, tmp_path):
    def flip_a_bit(wheel):
        content = bytearray(wheel.read_bytes())
        content[len(content) // 2] ^= 1
        wheel.write_bytes(content)

    changed = changed_copy(store[0], tmp_path / "copy", "changed", flip_a_bit)
    code, _, error = node(changed)
    assert code == 1 and ".whl: FAILED" in error and f"bootstrap: what came from {changed}/{KIND} is not what" in error
    assert run(node.python, "-c", "import coulis", env={}, cwd="/")[0] == 1


def test_a_wheel_that_does_not_work_is_noticed(node, store, tmp_path):
    """Right by its checksum, but its library cannot be loaded."""

    def leave_out_libjpeg(wheel):
        folder = tmp_path / "unpacked"
        shutil.unpack_archive(wheel, folder, "zip")
        next((folder / "coulis.libs").glob("libjpeg*")).unlink()
        record = next(folder.glob("*.dist-info")) / "RECORD"
        record.write_text("".join(line for line in record.read_text().splitlines(True) if "libjpeg-" not in line))
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return True

    code, _, error = node(changed_copy(store[0], tmp_path / "copy", "broken", leave_out_libjpeg))
    assert code == 1 and "libjpeg" in error and "bootstrap: coulis was installed and does not work" in error


def test_a_python_that_is_not_there(node):
    code, _, error = node(PREFIX, COULIS_PYTHON="/usr/bin/python9.9")
    assert code == 1 and error.startswith("bootstrap: no Python at /usr/bin/python9.9; this node has /usr/bin/python3")


def test_a_node_of_spark_4(store, node, tmp_path):
    """emr-spark-8: the newer packages, beside those of EMR 7 under the same prefix, for a Python from 3.11 on."""
    variables, _ = store
    version = "%d.%d" % sys.version_info[:2]
    if version not in ("3.11", "3.12", "3.13"):
        pytest.skip(f"emr/requirements-spark4.txt is for Python 3.11 to 3.13, this is {version}")
    code, output, error = run(
        ROOT / "emr" / "upload.sh",
        PREFIX,
        "--release",
        "emr-spark-8.1.0",
        "--architecture",
        platform.machine(),
        env={**variables, "COULIS_NODE_PYTHON": version},
    )
    assert code == 0, error
    assert f"for Python {version} on {platform.machine()} in {PREFIX}/python{version}-{platform.machine()}" in output
    shutil.rmtree(tmp_path / "node")
    assert run(sys.executable, "-m", "venv", tmp_path / "node")[0] == 0
    code, output, error = node()
    assert code == 0 and "with NumPy 2." in output, error


@pytest.mark.parametrize(
    "wrong",
    [
        ["--instance", "nonsense"],
        ["--architecture", "riscv64"],
        ["--release", "emr-6.9.0"],
        ["--release"],
        ["--what", "1"],
        ["nothing.safetensors"],
        ["--architecture", "aarch64" if platform.machine() == "x86_64" else "x86_64"],
    ],
)
def test_upload_refuses(wrong, store):
    code, output, error = run(ROOT / "emr" / "upload.sh", PREFIX, *wrong, env=store[0])
    assert code == 1 and output == "" and error.startswith("upload: ") and error.count("\n") == 1


def test_graviton_packages_are_there(tmp_path):
    """What upload.sh fetches for 64-bit ARM: each pinned package has a file for it, and hashes that hold."""
    for file, version in (("requirements.txt", "3.9"), ("requirements-spark4.txt", "3.11")):
        tags = [f"{tag}_aarch64" for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")]
        code, _, error = run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-version",
            version,
            "--require-hashes",
            "--dest",
            tmp_path / version,
            *(word for tag in tags for word in ("--platform", tag)),
            "-r",
            ROOT / "emr" / file,
        )
        assert code == 0, error
        assert sorted(path.name.split("-")[0] for path in (tmp_path / version).iterdir()) == ["numpy", "pyarrow"]
        assert all(path.name.endswith("aarch64.whl") for path in (tmp_path / version).iterdir())


def test_job_folder_of_serverless(store, tmp_path):
    """site.tar.gz on PYTHONPATH is all that a job on EMR Serverless has."""
    variables, python = store
    code, _, error = run("aws", "s3", "cp", "--only-show-errors", f"{SOURCE}/site.tar.gz", tmp_path, env=variables)
    assert code == 0, error
    shutil.unpack_archive(tmp_path / "site.tar.gz", tmp_path / "site")
    program = "import coulis, pyarrow; print(coulis.Featurizer().featurize([b'']).status)"
    code, output, error = run(
        python, "-c", program, cwd=tmp_path, env={"PYTHONPATH": "./site", "COULIS_MODELS": "./site/models"}
    )
    assert (code, output) == (0, "['empty']\n"), error
