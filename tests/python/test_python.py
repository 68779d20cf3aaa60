"""The Python package: arguments, results, errors. What the numbers are worth is for the other tests."""

import inspect
import io
import os
import pickle
import shutil
import subprocess
import sys
import threading

import coulis
import numpy
import pytest
from PIL import Image


def small_image(seed=0, size=(50, 40), kind="PNG"):
    """A small image in memory: its bytes, and it as Pillow made it."""
    values = numpy.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8)
    image, file = Image.fromarray(values), io.BytesIO()
    image.save(file, kind)
    return file.getvalue(), image


# ---- the package ------------------------------------------------------------------------


def test_version(repository):
    assert f'COULIS_VERSION "{coulis.__version__}"' in (repository / "include" / "coulis.h").read_text()


def test_everything_public_is_documented():
    for name in coulis.__all__:
        thing = getattr(coulis, name)
        if name != "__version__":
            assert thing.__doc__ and len(thing.__doc__) > 40, name
        for method, function in vars(thing).items() if inspect.isclass(thing) else ():
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"


def test_errors_can_be_pickled():
    error = pickle.loads(pickle.dumps(coulis.Error("no such thing", "missing", 5)))
    assert (str(error), error.status, error.code) == ("no such thing", "missing", 5)


def test_a_library_that_is_not_there_is_named(tmp_path, repository):
    code = "import coulis\ntry:\n    coulis.load_image('x')\nexcept ImportError as error:\n    print(error)"
    environment = {**os.environ, "COULIS_LIBRARY": str(tmp_path / "none.so"), "PYTHONPATH": str(repository / "python")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert str(tmp_path / "none.so") in done.stdout


def test_only_numpy_is_imported(repository):
    code = (
        "import sys\nbefore = set(sys.modules)\nimport numpy\nwith_numpy = set(sys.modules)\nimport coulis\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - with_numpy} - set(sys.stdlib_module_names)))"
    )
    if not hasattr(sys, "stdlib_module_names"):
        pytest.skip("Python before 3.10 does not list its standard library")
    environment = {**os.environ, "PYTHONPATH": str(repository / "python")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['coulis']"


def test_models_are_listed_and_found(tmp_path, repository):
    (tmp_path / "b.graph.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"")
    code = "import coulis; print(coulis.list_models()); print(coulis.find_model('a'))"
    environment = {**os.environ, "COULIS_MODELS": str(tmp_path), "PYTHONPATH": str(repository / "python")}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    models = eval(lines[0])
    assert list(models) == sorted(models)
    assert models["a"] == lines[1] == str(tmp_path / "a.safetensors") and models["b"] == str(tmp_path / "b.graph.json")
    with pytest.raises(coulis.Error) as caught:
        coulis.find_model("no-such-network")
    assert caught.value.status == "missing" and "no-such-network" in str(caught.value)


def test_the_installed_command_is_handed_the_arguments(tmp_path, repository):
    shutil.copytree(repository / "python" / "coulis", tmp_path / "coulis", ignore=shutil.ignore_patterns("lib*", "bin"))
    call = [sys.executable, "-c", "from coulis._command import main; main()", "run", "a b", "--json"]
    missing = subprocess.run(call, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert missing.returncode == 1 and str(tmp_path / "coulis" / "bin" / "coulis") in missing.stderr
    program = tmp_path / "coulis" / "bin" / "coulis"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$#" "$2"\nexit 3\n')
    program.chmod(0o755)
    done = subprocess.run(call, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "3 a b\n")


# ---- load_image ---------------------------------------------------------------------------


def test_load_image_from_every_kind_of_source(tmp_path):
    data, image = small_image()
    path = tmp_path / "a picture.png"
    path.write_bytes(data)
    wanted = numpy.asarray(image.resize((30, 20), Image.BICUBIC))
    for source in (data, bytearray(data), memoryview(data), str(path), path):
        pixels = coulis.load_image(source, (30, 20))
        assert pixels.shape == (20, 30, 3) and pixels.dtype == numpy.uint8
        assert (pixels == wanted).all()
    assert coulis.load_image(data).shape == (224, 224, 3)


def test_load_image_of_a_path_that_is_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    with open(path, "wb") as file:
        file.write(small_image()[0])
    assert coulis.load_image(os.fsdecode(path)).shape == (224, 224, 3)


def test_load_image_options():
    values = numpy.zeros((20, 10, 4), numpy.uint8)
    values[..., 0] = 200
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    data = file.getvalue()
    assert (coulis.load_image(data, (10, 10), like="pillow") == (200, 0, 0)).all()
    assert (coulis.load_image(data, (10, 10)) == 255).all()
    assert (coulis.load_image(data, (10, 10), alpha="white") == 255).all()
    stripes = numpy.zeros((20, 10, 3), numpy.uint8)
    stripes[5:15] = 255  # what a crop of the centre leaves
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "PNG")
    assert (coulis.load_image(file.getvalue(), (10, 10), resize="crop")[1:-1] == 255).all()
    assert (coulis.load_image(file.getvalue(), (10, 10), resize="squash") == 0).any()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "PNG", exif=exif)
    upright = coulis.load_image(file.getvalue(), (20, 20), orient="ignore")
    turned = coulis.load_image(file.getvalue(), (20, 20))
    assert (turned == numpy.rot90(upright, -1)).all() and not (turned == upright).all()


@pytest.mark.parametrize(
    "source, status",
    [
        (b"", "empty"),
        (b"not an image at all", "unsupported"),
        (small_image()[0][:300], "unreadable"),
        ("nowhere.jpg", "missing"),
    ],
)
def test_load_image_errors(source, status):
    with pytest.raises(coulis.Error) as caught:
        coulis.load_image(source)
    assert caught.value.status == status and 1 <= caught.value.code <= 5
    assert len(str(caught.value)) > 15 and not str(caught.value).endswith("\n")
    if status == "missing":
        assert "nowhere.jpg" in str(caught.value)


def test_load_image_arguments():
    data = small_image()[0]
    for arguments in (
        dict(size=(0, 5)),
        dict(size=(5, 1 << 20)),
        dict(resize="stretch"),
        dict(orient="up"),
        dict(alpha="black"),
        dict(like="photoshop"),
        dict(truncated="perhaps"),
        dict(depth=16),
        dict(cmyk="rich"),
        dict(max_pixels=0),
        dict(decode="quick"),
    ):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            coulis.load_image(data, **arguments)
    with pytest.raises(ValueError, match="null character"):
        coulis.load_image("a\0b")
    with pytest.raises(TypeError):
        coulis.load_image(5)


# ---- Featurizer ------------------------------------------------------------------------------


def test_featurize_mixes_sources_and_reports_each(featurizer, tmp_path):
    data = [small_image(seed)[0] for seed in range(3)]
    (tmp_path / "a.png").write_bytes(data[1])
    result = featurizer.featurize([data[0], tmp_path / "a.png", b"", "nowhere.png", data[2][:200], bytearray(data[2])])
    assert len(result) == 6 and result.status == ["ok", "ok", "empty", "missing", "unreadable", "ok"]
    assert result.values.shape == (6, featurizer.length) and result.values.dtype == numpy.float32
    assert [message is None for message in result.error] == [True, True, False, False, False, True]
    assert "nowhere.png" in result.error[3]
    assert result.ok.tolist() == [True, True, False, False, False, True]
    assert result.width[[0, 1, 5]].tolist() == [50] * 3 and result.height[[0, 1, 5]].tolist() == [40] * 3
    assert not result.values[~result.ok].any() and result.values[result.ok].any(1).all()


def test_featurize_equals_featurize_pixels_of_load_image(featurizer):
    data = [small_image(seed)[0] for seed in range(5)]
    pixels = numpy.stack([coulis.load_image(entry) for entry in data])
    assert featurizer.featurize(data).values.tobytes() == featurizer.featurize_pixels(pixels).tobytes()
    # what is not contiguous is copied
    wide = numpy.zeros((5, 224, 448, 3), numpy.uint8)
    wide[:, :, ::2] = pixels
    assert featurizer.featurize_pixels(wide[:, :, ::2]).tobytes() == featurizer.featurize_pixels(pixels).tobytes()


def test_featurize_in_chunks_of_any_size_gives_the_same(featurizer, monkeypatch):
    data = [small_image(seed)[0] for seed in range(7)] + [b"", small_image(9)[0]]
    whole = featurizer.featurize(data)
    monkeypatch.setattr("coulis.featurizer._CHUNK", 2)
    parts = featurizer.featurize(iter(data))
    assert parts.values.tobytes() == whole.values.tobytes()
    assert (parts.status, parts.error) == (whole.status, whole.error)
    assert parts.width.tolist() == whole.width.tolist() and parts.height.tolist() == whole.height.tolist()
    pixels = numpy.stack([coulis.load_image(entry) for entry in data[:5]])
    assert featurizer.featurize_pixels(pixels).tobytes() == whole.values[:5].tobytes()


def test_featurize_one_and_none(featurizer, tmp_path):
    data = small_image()[0]
    (tmp_path / "a.png").write_bytes(data)
    alone = featurizer.featurize(data).values
    assert alone.shape == (1, 1280)
    assert featurizer.featurize(tmp_path / "a.png").values.tobytes() == alone.tobytes()
    assert featurizer.featurize(str(tmp_path / "a.png")).values.tobytes() == alone.tobytes()
    assert featurizer.featurize([]).values.shape == (0, 1280)
    assert featurizer.featurize_pixels(numpy.zeros((0, 224, 224, 3), numpy.uint8)).shape == (0, 1280)


def test_featurizer_options_reach_the_library(lite0_path):
    data = small_image(3, (60, 30))[0]
    pixels = coulis.load_image(data, resize="crop")
    with coulis.Featurizer(lite0_path, resize="crop", threads=1) as featurizer:
        assert featurizer.featurize(data).values.tobytes() == featurizer.featurize_pixels(pixels[None]).tobytes()


def test_featurizer_arguments(lite0_path, featurizer):
    for arguments in (dict(features="best"), dict(threads=0), dict(threads=-1), dict(threads=1.5), dict(resize="no")):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            coulis.Featurizer(lite0_path, **arguments)
    for pixels in (
        numpy.zeros((1, 224, 224, 3)),
        numpy.zeros((224, 224, 3), numpy.uint8),
        numpy.zeros((1, 224, 223, 3), numpy.uint8),
        numpy.zeros((1, 3, 224, 224), numpy.uint8),
    ):
        with pytest.raises(ValueError, match="pixels must be uint8"):
            featurizer.featurize_pixels(pixels)
    with pytest.raises(TypeError):
        featurizer.featurize([5])


def test_a_closed_featurizer_says_so(lite0_path):
    featurizer = coulis.Featurizer(lite0_path)
    featurizer.close()
    featurizer.close()
    with pytest.raises(ValueError, match="closed"):
        featurizer.featurize(small_image()[0])


def test_a_featurizer_can_be_shared_by_threads(featurizer):
    data = [small_image(seed)[0] for seed in range(4)]
    wanted = featurizer.featurize(data).values.tobytes()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(featurizer.featurize(data).values.tobytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


# ---- PCA ----------------------------------------------------------------------------------------


def matrix(rows=60, columns=20, seed=1):
    generator = numpy.random.default_rng(seed)
    return (generator.standard_normal((rows, columns)) * numpy.linspace(3, 0.1, columns)).astype(numpy.float32)


@pytest.mark.quick(4)
@pytest.mark.parametrize("n_components", [None, 1, 7, 20, 0.5, 0.99])
@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_pca_has_scikit_learns_names_shapes_and_numbers(n_components, shape):
    from sklearn import decomposition

    x = matrix(*shape)
    ours = coulis.PCA(n_components).fit(x)
    theirs = decomposition.PCA(n_components, svd_solver="full").fit(x.astype(float))
    k = theirs.n_components_
    assert (ours.n_components_, ours.n_features_in_, ours.n_samples_) == (k, shape[1], shape[0])
    # The last component of n_components=None with rows < columns has no variance and no direction of its own.
    sure = theirs.explained_variance_ > 1e-9
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_", "singular_values_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a.shape == b.shape, name
        if name != "mean_":
            a, b = a[sure], b[sure]
        # components are kept in float32, 24 bits; singular values are roots of numbers known to 1e-15 of the largest
        numpy.testing.assert_allclose(a, b, rtol=1e-6, atol=2e-6, err_msg=name)
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-6, abs=1e-9)
    scores = ours.transform(x)
    assert scores.dtype == numpy.float32 and scores.shape == (shape[0], k)
    # 20 to 60 products in float32 of numbers up to about 12: 60 * 2**-24 * 12 = 4e-5
    numpy.testing.assert_allclose(scores, theirs.transform(x), atol=4e-5)
    numpy.testing.assert_allclose(
        ours.inverse_transform(scores), theirs.inverse_transform(theirs.transform(x)), atol=8e-5
    )
    assert coulis.PCA(n_components).fit_transform(x).tobytes() == scores.tobytes()


def test_pca_takes_what_numpy_takes():
    x = matrix()
    wanted = coulis.PCA(3).fit(x).components_
    for other in (x.tolist(), x.astype(float), numpy.asfortranarray(x), numpy.repeat(x, 2, 0)[::2]):
        assert coulis.PCA(3).fit(other).components_.tobytes() == wanted.tobytes()


def test_pca_save_and_load(tmp_path):
    x = matrix()
    pca = coulis.PCA(0.9).fit(x)
    pca.save(tmp_path / "pca.safetensors")
    again = coulis.PCA.load(tmp_path / "pca.safetensors")
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_", "singular_values_"):
        assert getattr(again, name).tobytes() == getattr(pca, name).tobytes(), name
    for name in ("n_components_", "n_features_in_", "n_samples_"):
        assert getattr(again, name) == getattr(pca, name), name
    # worked out from the total variance, which the file keeps as text of 15 digits
    assert again.noise_variance_ == pytest.approx(pca.noise_variance_, rel=1e-12)
    assert again.transform(x).tobytes() == pca.transform(x).tobytes()
    with pytest.raises(coulis.Error) as caught:
        coulis.PCA.load(tmp_path / "nowhere")
    assert caught.value.status == "missing"
    (tmp_path / "bad").write_bytes(b"no PCA" * 10)
    with pytest.raises(coulis.Error) as caught:
        coulis.PCA.load(tmp_path / "bad")
    assert caught.value.status == "bad_data"


def test_pca_can_be_fitted_again():
    pca = coulis.PCA(2).fit(matrix(columns=5))
    pca.fit(matrix(columns=9))
    assert pca.components_.shape == (2, 9) and pca.transform(matrix(columns=9)).shape == (60, 2)


@pytest.mark.parametrize("n_components", [0, -1, 1.0, 1.5, 0.0, -0.5, True, "mle", float("nan"), [3]])
def test_pca_numbers_of_components_that_make_no_sense(n_components):
    with pytest.raises(ValueError, match="number of components"):
        coulis.PCA(n_components).fit(matrix())


def test_pca_errors():
    x = matrix()
    with pytest.raises(ValueError, match="not fitted"):
        coulis.PCA().transform(x)
    with pytest.raises(ValueError, match="two dimensions"):
        coulis.PCA().fit(x[0])
    with pytest.raises(ValueError, match="19 features"):
        coulis.PCA().fit(x).transform(x[:, :19])
    with pytest.raises(coulis.Error) as caught:
        coulis.PCA(30).fit(x)
    assert caught.value.status == "invalid_argument" and caught.value.code == 10
    with pytest.raises(coulis.Error) as caught:
        coulis.PCA().fit(x[:1])
    assert caught.value.status == "invalid_argument"
    x[3, 4] = numpy.nan
    with pytest.raises(coulis.Error, match="3.*4") as caught:
        coulis.PCA().fit(x)
    assert caught.value.status == "numeric"
