"""emr/README.md, step by step: every line of its walk-through, against a server that answers as Amazon does.

What only Amazon can do is marked in the text and left out here; for the work of the cluster itself `coulis run` stands
in, whose tables have the same rows and, but for width and height, the same columns.
"""

import os
import platform
import re
import shutil

import pytest
from conftest import ROOT, TOOLS, png, run

ONLY = "# only on Amazon"
WAITS = "aws emr wait"  # what comes after it needs the result


def blocks(title):
    text = (ROOT / "emr" / "README.md").read_text()
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```(?:sh)?\n(.*?)```", section, re.DOTALL)


def commands(title="Step by step"):
    """The commands of a section, of the walk-through by default, each with its continuation lines."""
    found = []
    for block in blocks(title):
        gathered = ""
        for line in block.splitlines():
            gathered += line + "\n"
            if run("bash", "-n", "-c", gathered)[0] == 0 and not line.endswith("\\"):
                found.append(gathered)
                gathered = ""
        assert not gathered, gathered
    return found


@pytest.fixture
def checkout(tmp_path):
    """What the walk-through needs of a checkout: links to its parts, a wheel, images, and a Python with coulis."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("emr", "models", "python", "build"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    if not list((ROOT / "dist").glob("coulis-*-manylinux*.whl")):
        code, output, error = run(ROOT / "run", "wheel", platform.machine(), cwd=ROOT)
        assert code == 0, output + error
    (folder / "dist").symlink_to(ROOT / "dist")
    for label in ("red", "green"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(4):
            (folder / "photos" / label / f"{number} of 4.png").write_bytes(png(number + len(label)))
    return folder


def test_every_line(bare, checkout):
    command = shutil.which("coulis", path=str(ROOT / "build")) or os.environ.get("COULIS_COMMAND")
    if not command:
        pytest.skip("no build/coulis to stand in for the cluster")
    lines = commands()
    left_out = [line for line in lines if ONLY in line]
    assert len(lines) > 20 and left_out
    stand_in = (
        f"{command} run photos -o made --quiet && mkdir made/pca && mv made/pca.safetensors made/pca/ && "
        'aws s3 sync --only-show-errors made "s3://$BUCKET/out"\n'
    )
    script = "set -euo pipefail\n"
    for number, line in enumerate(lines):
        script += f"echo '+++ {number}'\n"
        if ONLY not in line:
            script += line
        elif WAITS in line:
            script += stand_in
    bare["PYTHON"] = str(TOOLS / "python")  # has pip
    code, output, error = run("bash", "-c", script, env=bare, cwd=checkout, timeout=1200)
    last = re.findall(r"^\+\+\+ (\d+)$", output, re.MULTILINE)
    assert code == 0, f"{lines[int(last[-1])] if last else script}{error}"
    assert len(last) == len(lines)
    said = dict(zip(lines, re.split(r"^\+\+\+ \d+\n", output, flags=re.MULTILINE)[1:]))

    def answer(words):
        (found,) = [text for line, text in said.items() if words in line]
        return found

    assert re.fullmatch(r"j-[A-Z0-9]+\n", answer('echo "$CLUSTER"'))
    assert answer("list-steps").startswith("coulis\t")
    assert "part-00000.parquet" in answer("s3 ls --recursive")
    assert "'label': 'green'" in answer('read_table("out", "reduced")') and "components" in answer("PCA.load")
    # Nothing is left.
    assert answer('echo "$CLUSTER"').strip() not in answer("list-clusters --active")
    assert not (checkout / "coulis.pem").exists()
    names = {"s3 ls": "coulis-20", "ec2 describe-key-pairs": '"coulis"', "iam list-roles": "EMR_DefaultRole_V2"}
    for what, name in names.items():
        code, output, error = run("aws", *what.split(), env=bare)
        assert code == 0 and name not in output, what + output + error


@pytest.mark.parametrize("title", ["Step by step", "EMR on EKS", "AWS Batch on Spot"])
def test_lines_for_amazon_alone_are_valid_calls(title, bare):
    """They are not run, but the AWS CLI accepts their parameters: only the connection is refused."""
    calls = [line for line in commands(title) if line.startswith("aws ") and (ONLY in line or title != "Step by step")]
    names = (
        "export BUCKET=coulis CLUSTER=j-ABCDEFGHIJKLM TEMPLATE=abcdef0123456789\n"
        "export AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_MAX_ATTEMPTS=1\n"
    )
    assert calls
    for call in calls:
        code, _, error = run("bash", "-c", names + call.replace("s3://BUCKET", "s3://coulis"), env=bare, cwd=ROOT)
        # create-default-roles finds out from the host's name which cloud it is in.
        refused = "Could not connect to the endpoint" in error or "Could not resolve the service principal" in error
        assert code != 0 and (refused or "--quiet" in call), call + error
