"""Every odd image through every decoder, under AddressSanitizer and UBSan."""

import platform
import shutil
import subprocess

import pytest


def package_config(what):
    libraries = ["libopenjp2", "libtiff-4", "libavif", "lcms2"]
    return subprocess.run(["pkg-config", what, *libraries], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.quick(0)
def test_replay_with_sanitizers(odd_images, more_formats, repository, tmp_path):
    """fuzz_image over every odd image, with address and undefined-behaviour sanitizers."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler")
    source = repository / "src"
    sources = [*sorted((source / "image").glob("*.c")), *sorted((source / "kernels" / "resize").glob("*.c"))]
    sources += [*sorted((source / "base").glob("*.c")), source / "cpu" / "cpu.c"]
    sources.append(repository / "fuzz" / "fuzz_image.c")
    x86 = platform.machine() in ("x86_64", "AMD64")
    avx512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
    sets = {"avx2": ["-mavx2", "-mfma"], "avx512": avx512, "neon": []}
    common = ["-std=gnu11", "-O1", "-g", "-D_GNU_SOURCE", "-DCOULIS_FUZZ_MAIN"]
    common += [f"-I{source}", f"-I{repository / 'include'}"]
    common += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", *package_config("--cflags")]
    objects = []
    for number, path in enumerate(sources):
        if path.stem in sets and x86 == (path.stem == "neon"):
            continue
        objects.append(tmp_path / f"{number}.o")
        subprocess.run([compiler, *common, *sets.get(path.stem, []), "-c", path, "-o", objects[-1]], check=True)
    archive = tmp_path / "all.a"  # the linker takes what is needed, and of src/base that is not all
    subprocess.run(["ar", "rc", archive, *objects], check=True)
    program = tmp_path / "fuzz_image"
    libraries = ["-ljpeg", "-lz", "-lwebpdemux", "-lwebp", *package_config("--libs"), "-lm", "-lpthread"]
    linked = subprocess.run(
        [compiler, *common, objects[-1], archive, "-o", program, *libraries], capture_output=True, text=True
    )
    if "cannot find" in linked.stderr:
        pytest.skip("the sanitizers' libraries are not installed")
    assert linked.returncode == 0, linked.stderr
    paths = sorted(p for p in odd_images.rglob("*") if p.suffix.lower() in (".jpg", ".png", ".webp"))
    paths += sorted(p for p in more_formats.rglob("*") if p.is_file() and p.suffix != ".md")
    done = subprocess.run([program, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"{len(paths)} files replayed"
