"""Vectors of the precisions bf16 and int8 beside those of float32."""

import os
import subprocess
import sys
from pathlib import Path

import coulis
import numpy
import pytest
from coulis import _library
from net_helpers import generated_images

# The least cosine with float32's vectors. Measured on these images, whose noise is a hard case: EfficientNet-Lite0
# 0.9989 (bf16) and 0.9835 (int8; its narrow layers have channels of very different size), ResNet50 with random weights
# 0.999997 and 0.99998. The distance from 1 may be twice as large, or more where it is tiny; a wrong product gives far
# less.
LEAST = {"lite0": {"bf16": 0.997, "int8": 0.96}, "resnet50": {"bf16": 0.9999, "int8": 0.9995}}

INSTRUCTIONS = {"bf16": "avx512_bf16", "int8": "avx512_vnni"}  # as Linux lists them


def featurizer(network, lite0_path, **options):
    if network == "lite0":
        return coulis.Featurizer(lite0_path, **options)
    try:
        return coulis.Featurizer("resnet50", random_weights=True, **options)
    except coulis.Error as error:
        pytest.skip(str(error))


@pytest.mark.quick(0)
@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("network", ["lite0", "resnet50"])
def test_vectors_stay_close_and_depend_on_nothing_else(network, precision, lite0_path):
    pixels = generated_images(9)
    with featurizer(network, lite0_path) as whole:
        wanted = whole.featurize_pixels(pixels)
    with featurizer(network, lite0_path, precision=precision, threads=1) as low:
        found = low.featurize_pixels(pixels)
        order = numpy.random.default_rng(1).permutation(9)
        assert low.featurize_pixels(pixels[order]).tobytes() == found[order].tobytes()
        for row in range(9):
            assert low.featurize_pixels(pixels[row : row + 1]).tobytes() == found[row].tobytes(), row
    with featurizer(network, lite0_path, precision=precision, threads=2) as low:
        assert low.featurize_pixels(pixels).tobytes() == found.tobytes()
    cosines = (wanted * found).sum(1) / numpy.linalg.norm(wanted, axis=1) / numpy.linalg.norm(found, axis=1)
    assert cosines.min() > LEAST[network][precision]
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    if INSTRUCTIONS[precision] in flags and _library.library().coulis_instruction_set() == b"avx512":
        assert found.tobytes() != wanted.tobytes()
    else:
        assert found.tobytes() == wanted.tobytes()


CHILD = """
import sys, numpy, coulis
with coulis.Featurizer(sys.argv[1], precision=sys.argv[2]) as featurizer:
    sys.stdout.buffer.write(featurizer.featurize_pixels(numpy.load(sys.argv[3])).tobytes())
"""


@pytest.mark.quick(0)
def test_without_the_instructions_vectors_are_those_of_float32(lite0_path, tmp_path):
    numpy.save(tmp_path / "pixels.npy", generated_images(3))
    for level in ("scalar", "avx2"):
        environment = {**os.environ, "COULIS_CPU": level, "PYTHONPATH": os.pathsep.join(sys.path)}
        found = [
            subprocess.run(
                [sys.executable, "-c", CHILD, str(lite0_path), precision, str(tmp_path / "pixels.npy")],
                env=environment,
                check=True,
                capture_output=True,
            ).stdout
            for precision in ("float32", "bf16", "int8")
        ]
        assert len(found[0]) == 3 * 1280 * 4 and found[0] == found[1] == found[2], level


def test_unknown_words_are_refused(lite0_path):
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'bf16', 'int8'"):
        coulis.Featurizer(lite0_path, precision="half")
