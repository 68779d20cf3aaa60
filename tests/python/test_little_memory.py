"""However little memory there is, the command ends at once, with a sentence and exit 1."""

import resource
import subprocess
import time

import pytest

from conftest import draw_images

MIB = 1 << 20


@pytest.fixture(scope="module")
def serial(command):
    """A shared OpenBLAS starts threads as it is loaded, and signals or waits where it cannot."""
    if "openblas" in subprocess.run(["ldd", command.parent / "libcoulis.so"], capture_output=True, text=True).stdout:
        pytest.skip("built with a shared OpenBLAS: configure with -DCOULIS_LAPACK=static")


def limited(arguments, mebibytes):
    """Exit code, what was said, and the seconds it took, with so much address space."""
    began = time.monotonic()
    done = subprocess.run(
        [str(a) for a in arguments],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MIB,) * 2),
    )
    return done.returncode, done.stderr, time.monotonic() - began


def test_steps(command, serial, lite0_path, tmp_path):
    images = draw_images(tmp_path / "images", 4, "jpg")
    codes = []
    for mebibytes in [40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 160, 180, 200, 250, 300, 400, 600]:
        code, said, seconds = limited(
            [command, "run", images, "-o", tmp_path / f"out{mebibytes}", "-k", "2", "--threads", "2", "--quiet"],
            mebibytes,
        )
        assert seconds < 30, f"{mebibytes} MiB: {seconds:.0f} s"
        if said.startswith(f"{command}: error while loading shared libraries"):
            assert code == 127 and mebibytes < 80, said  # the loader, before anything of coulis runs
            continue
        assert code in (0, 1), f"{mebibytes} MiB: exit {code}: {said}"
        assert code == 0 or (said.startswith("coulis: ") and said.count("\n") == 1), said
        codes.append(code)
    assert codes[0] == 1 and codes[-1] == 0, codes
