"""emr/upload.sh and emr/bootstrap.sh: from an S3 server into an environment where nothing is, and every way to fail."""

import hashlib
import shutil
import zipfile

import pytest
from conftest import ROOT, TOOLS, node_python, run

SOURCE = "s3://coulis-test/coulis"


@pytest.fixture(scope="module")
def store(amazon):
    """Fills a bucket with upload.sh; gives the environment variables of whoever works with it, and a node's Python."""
    found = node_python()
    if not found:
        pytest.skip("no Python from 3.9 to 3.12 with venv, which the packages of emr/requirements.txt are made for")
    python, version = found
    code, output, error = run(ROOT / "run", "wheel", cwd=ROOT)
    assert code == 0, output + error
    variables = {"PATH": f"{TOOLS}:/usr/bin:/bin", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                 "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{amazon}"}
    assert run("aws", "s3", "mb", "s3://coulis-test", env=variables)[0] == 0
    code, output, error = run(ROOT / "emr" / "upload.sh", SOURCE, env={**variables, "COULIS_NODE_PYTHON": version})
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
        variables = {**bare, "COULIS_PYTHON": str(tmp_path / "node" / "bin" / "python"),
                     "COULIS_FOLDER": str(tmp_path / "opt"), **more}
        return run("bash", ROOT / "emr" / "bootstrap.sh", *(arguments or [SOURCE]), env=variables, cwd=tmp_path)

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
    copy(folder, f"s3://coulis-test/{name}", variables)
    return f"s3://coulis-test/{name}"


def test_installs_and_is_idempotent(node):
    code, output, error = node()
    assert code == 0, error
    assert output.startswith("bootstrap: coulis 0.")
    assert (node.folder / "models" / "efficientnet-lite0.toml").exists()
    code, output, _ = run(node.python, "-c", "import coulis, pyarrow; print(coulis.__file__); "
                          "print(coulis.Featurizer().featurize([b'']).status)", env={}, cwd="/")
    assert code == 0 and str(ROOT) not in output and output.endswith("['empty']\n")
    code, output, error = run(node.python, "-m", "pip", "list", "--disable-pip-version-check", env={})
    assert "tensorflow" not in output.lower() and "torch" not in output.lower()

    code, output, _ = node()
    assert (code, output) == (0, f"bootstrap: everything of {SOURCE} is installed already\n")
    # Half of it gone: the same call makes it whole again.
    assert run(node.python, "-m", "pip", "uninstall", "--quiet", "--yes", "coulis", env={})[0] == 0
    code, output, error = node()
    assert code == 0 and output.startswith("bootstrap: coulis 0."), error


@pytest.mark.parametrize("arguments", [[SOURCE, "more"], ["/tmp"], ["s3://coulis-test"]])
def test_wrong_arguments(arguments, node):
    code, output, error = node(*arguments)
    assert code == 1 and error.startswith("bootstrap: ") and output == ""


def test_empty_source(node):
    code, _, error = node("s3://coulis-test/elsewhere")
    assert code == 1 and "bootstrap: cannot read s3://coulis-test/elsewhere/SHA256SUMS" in error


def test_a_changed_file_is_noticed(node, store, tmp_path):
    def flip_a_bit(wheel):
        content = bytearray(wheel.read_bytes())
        content[len(content) // 2] ^= 1
        wheel.write_bytes(content)

    changed = changed_copy(store[0], tmp_path / "copy", "changed", flip_a_bit)
    code, _, error = node(changed)
    assert code == 1 and ".whl: FAILED" in error and f"bootstrap: what came from {changed} is not what" in error
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


def test_job_folder_of_serverless(store, tmp_path):
    """site.tar.gz on PYTHONPATH is all that a job on EMR Serverless has."""
    variables, python = store
    code, _, error = run("aws", "s3", "cp", "--only-show-errors", f"{SOURCE}/site.tar.gz", tmp_path, env=variables)
    assert code == 0, error
    shutil.unpack_archive(tmp_path / "site.tar.gz", tmp_path / "site")
    program = "import coulis, pyarrow; print(coulis.Featurizer().featurize([b'']).status)"
    code, output, error = run(python, "-c", program, cwd=tmp_path,
                              env={"PYTHONPATH": "./site", "COULIS_MODELS": "./site/models"})
    assert (code, output) == (0, "['empty']\n"), error
