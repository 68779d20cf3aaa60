"""emr/bootstrap.sh on nodes of 64-bit ARM: roots with a Python, pip and nothing else, in an emulator.

COULIS_TEST_LONG=1 runs it, as the wheel for that processor takes ten minutes where nothing of it is compiled yet.
"""

import json
import os
import platform
import shutil
import subprocess

import pytest
from conftest import ROOT, TOOLS, png, run

EMULATOR = shutil.which("qemu-aarch64-static")
PREFIX = "s3://coulis-graviton/coulis"
PACKAGES = "bash coreutils sed grep findutils diffutils python3-pip".split()
LIBRARIES = "libc6 libgcc-s1 libstdc++6".split()  # of this machine's Debian: Debian 11's are too old for the wheel
# Which Python a release has, under which name, and the Debian that has it, where that is not this machine's.
NODES = [("emr-7.13.0", "3.9", "/usr/bin/python3", "bullseye"), ("emr-spark-8.1.0", "3.11", "/usr/bin/python3.11", "")]
# Within namespaces of its own: there programs for 64-bit ARM run in the emulator (the kernel reads it before the root
# changes: F), the machine's own files are /host, and $2 is the same folder inside and outside.
ENTER = r"""
root=$1 shared=$2; shift 2
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):F" >/proc/sys/fs/binfmt_misc/register
mkdir -p "$root/host" "$root$shared"
for folder in proc dev; do mount --rbind "/$folder" "$root/$folder"; done
mount --rbind / "$root/host"
mount --bind "$shared" "$root$shared"
exec chroot "$root" "$@"
"""
FEATURIZE = """
import json, platform, sys
import coulis, pyarrow

result = coulis.Featurizer(threads=1).featurize([sys.argv[1]])
print(json.dumps({"machine": platform.machine(), "python": "%d.%d" % sys.version_info[:2],
                  "status": result.status, "vector": result.values[0].tolist()}))
"""

pytestmark = [
    pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="COULIS_TEST_LONG=1 makes this wheel, too"),
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="the wheel is made by Debian's cross-compiler for x86-64"
    ),
    pytest.mark.skipif(not EMULATOR, reason="no qemu-aarch64-static: apt-get install qemu-user-static"),
]


def in_root(root, shared, *command, **variables):
    """(exit code, stdout, stderr) of a command inside `root`."""
    enter = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc", ENTER, "enter", root, shared]
    # bootstrap.sh names files in its temporary folder to the AWS CLI, which runs outside.
    inside = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "TMPDIR": str(shared)}
    return run(*enter, *command, env={**inside, **variables})


@pytest.fixture(scope="module")
def wheel():
    code, output, error = run(ROOT / "run", "wheel", "aarch64", cwd=ROOT)
    assert code == 0, output + error


@pytest.fixture
def node(request, tmp_path):
    """The root of a node with this Python, as (root, folder that is the same inside and outside)."""
    version, suite = request.param
    kept, root, shared = ROOT / "build" / "arm64" / f"node-{version}", tmp_path / "root", tmp_path / "shared"
    environment = {**os.environ, **({"COULIS_SUITE": suite} if suite else {})}
    libraries = [f"{name}/{platform.freedesktop_os_release()['VERSION_CODENAME']}" for name in LIBRARIES]
    packages = [*PACKAGES, f"python{version}", *libraries]
    code, output, error = run(ROOT / "tools" / "arm64_sysroot.sh", kept, *packages, env=environment, cwd=ROOT)
    if code:
        pytest.skip(f"no Python {version} for 64-bit ARM from Debian's archive: {(output + error).strip()[-300:]}")
    shutil.copytree(kept, root, symlinks=True)
    shared.mkdir()
    for mark in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        mark.unlink()  # Debian's own; Amazon Linux lets pip install
    # The AWS CLI, which each node has: that of this machine.
    (root / "usr" / "local" / "bin").mkdir(parents=True, exist_ok=True)
    program = root / "usr" / "local" / "bin" / "aws"
    program.write_text(f'#!/bin/bash\nexec chroot /host {TOOLS / "aws"} "$@"\n')
    program.chmod(0o755)
    shutil.copy(ROOT / "emr" / "bootstrap.sh", root / "root" / "bootstrap.sh")
    code, output, error = in_root(root, shared, "/bin/bash", "-c", "uname -m")
    if (code, output) != (0, "aarch64\n"):
        pytest.skip(f"this kernel lets no user register an emulator in a namespace: {error.strip()[-300:]}")
    return root, shared


@pytest.mark.parametrize(
    "release, node, python",
    [(release, (version, suite), python) for release, version, python, suite in NODES],
    indirect=["node"],
    ids=[version for _, version, _, _ in NODES],
)
def test_installs_and_featurizes(release, node, python, wheel, bare):
    root, shared = node
    variables = {name: value for name, value in bare.items() if name.startswith("AWS_")}
    with_tools = {**bare, "PATH": f"{TOOLS}:{bare['PATH']}"}
    run("aws", "s3", "mb", "s3://coulis-graviton", env=with_tools)
    code, _, error = run(
        ROOT / "emr" / "upload.sh", PREFIX, "--release", release, "--architecture", "aarch64", env=with_tools
    )
    assert code == 0, error

    bootstrap = ["/bin/bash", "/root/bootstrap.sh", PREFIX, python]
    code, output, error = in_root(root, shared, *bootstrap, **variables)
    assert code == 0 and output.startswith("bootstrap: coulis 0."), output + error
    assert (root / "opt" / "coulis" / "models" / "efficientnet-lite0.json").exists()
    code, output, error = in_root(root, shared, *bootstrap, **variables)
    assert code == 0 and output.endswith("is installed already\n"), output + error

    image = shared / "image.png"
    image.write_bytes(png(7))
    code, output, error = in_root(
        root, shared, python, "-s", "-c", FEATURIZE, image, COULIS_MODELS="/opt/coulis/models"
    )
    assert code == 0, error
    there = json.loads(output)
    here = json.loads(subprocess.check_output([ROOT / ".venv" / "bin" / "python", "-c", FEATURIZE, image]))
    assert (there["machine"], there["status"], here["status"]) == ("aarch64", ["ok"], ["ok"])
    assert release.startswith("emr-spark") == (there["python"] == "3.11")
    # Other instructions round otherwise in the last digits.
    product = sum(a * b for a, b in zip(here["vector"], there["vector"]))
    squares = sum(a * a for a in here["vector"]) * sum(b * b for b in there["vector"])
    assert product / squares**0.5 > 0.999999
