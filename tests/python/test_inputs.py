"""What a featurizer takes as an image, and what it returns."""

import io
import json
import pathlib
import zipfile

import coulis
import numpy
import pandas
import polars
import pyarrow
import pytest
from PIL import Image


def encoded(image, kind="PNG", **more):
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def drawn(seed=0, shape=(40, 50, 3)):
    return numpy.random.default_rng(seed).integers(0, 256, shape, dtype=numpy.uint8)


# ---- the same image in each form ---------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"like": "pillow"}, {"resize": "crop"}])
def test_pixels_give_the_vector_of_their_png(options, lite0_path):
    featurizer = coulis.Featurizer(lite0_path, **options)
    for shape in (40, 50, 3), (50, 40), (33, 20, 4), (1, 1), (1, 700, 3), (300, 2, 4):
        pixels = drawn(1, shape)
        image = Image.fromarray(pixels)
        result = featurizer.featurize([encoded(image), pixels, image, numpy.asfortranarray(pixels)])
        assert result.status == ["ok"] * 4
        for row in result.values[1:]:
            assert row.tobytes() == result.values[0].tobytes(), shape
        assert result.width.tolist() == [shape[1]] * 4 and result.height.tolist() == [shape[0]] * 4


@pytest.mark.parametrize("depth", ["pillow", "scale"])
def test_pil_images_give_the_vector_of_their_file(depth, lite0_path):
    generator = numpy.random.default_rng(2)
    images = {
        mode: Image.fromarray(drawn(3, (30, 40, 4))).convert("RGB" if mode == "CMYK" else mode).convert(mode)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
    }
    images["I;16"] = Image.fromarray(generator.integers(0, 2**16, (30, 40), dtype=numpy.uint16))
    data = {mode: encoded(image, "TIFF" if mode == "CMYK" else "PNG") for mode, image in images.items()}
    with coulis.Featurizer(lite0_path, depth=depth) as featurizer:
        files = featurizer.featurize(list(data.values()))
        opened = featurizer.featurize([Image.open(io.BytesIO(file)) for file in data.values()])
    assert files.status == opened.status == ["ok"] * 8
    for mode, file, image in zip(data, files.values, opened.values):
        assert image.tobytes() == file.tobytes(), mode


def test_transparent_colours_of_a_palette_or_of_grey(featurizer):
    for mode in ("P", "L", "RGB"):
        image = Image.fromarray(drawn(4, (30, 40))).convert(mode)
        data = encoded(image, transparency=7 if mode != "RGB" else (7, 7, 7))
        file, opened = featurizer.featurize([data, Image.open(io.BytesIO(data))]).values
        assert opened.tobytes() == file.tobytes(), mode


@pytest.mark.parametrize("orient", ["exif", "ignore"])
def test_pil_images_are_turned_as_their_file_is(orient, lite0_path):
    image = Image.fromarray(drawn(5))
    with coulis.Featurizer(lite0_path, orient=orient) as featurizer:
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            data = encoded(image, exif=exif)
            file, opened = featurizer.featurize([data, Image.open(io.BytesIO(data))]).values
            assert opened.tobytes() == file.tobytes(), orientation


def test_mixed_with_failures_each_keeps_its_place(featurizer, tmp_path):
    pixels = [drawn(seed, (20 + seed, 30, 3)) for seed in range(4)]
    files = [encoded(Image.fromarray(entry)) for entry in pixels]
    (tmp_path / "1.png").write_bytes(files[1])
    cut = Image.open(io.BytesIO(files[2][:-300]))
    with open(tmp_path / "1.png", "rb") as opened, zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inner.png", files[2])
        result = featurizer.featurize(
            [
                pixels[0],
                tmp_path / "nowhere.png",
                opened,
                archive.open("inner.png"),
                cut,
                Image.fromarray(pixels[3]),
                numpy.zeros((0, 5, 3), numpy.uint8),
                str(tmp_path / "1.png"),
                memoryview(files[0]),
                b"",
            ]
        )
    expected = featurizer.featurize(files).values
    assert result.status == ["ok", "missing", "ok", "ok", "unreadable", "ok", "unreadable", "ok", "ok", "empty"]
    for row, wanted in ((0, 0), (2, 1), (3, 2), (5, 3), (7, 1), (8, 0)):
        assert result.values[row].tobytes() == expected[wanted].tobytes(), row
    assert not result.values[~result.ok].any()
    assert "truncated" in result.error[4] and "0" in result.error[6]
    assert result.path[1] == str(tmp_path / "nowhere.png") and result.path[0] is None


def test_too_many_pixels_are_a_row(lite0_path):
    with coulis.Featurizer(lite0_path, max_pixels=1000) as featurizer:
        result = featurizer.featurize([drawn(), drawn(1, (10, 10))])
    assert result.status == ["too_large", "ok"] and "1000" in result.error[0]


# ---- several -----------------------------------------------------------------------------


def test_columns_iterators_and_arrays(featurizer, tmp_path):
    paths = []
    for seed in range(3):
        paths.append(str(tmp_path / f"{seed}.png"))
        pathlib.Path(paths[-1]).write_bytes(encoded(Image.fromarray(drawn(seed, (224, 224, 3)))))
    expected = featurizer.featurize(paths).values.tobytes()
    frame = pandas.DataFrame({"file": paths, "label": list("abc")}, index=[7, 8, 9])
    table = polars.DataFrame({"file": paths})
    stack = numpy.stack([drawn(seed, (224, 224, 3)) for seed in range(3)])
    for several in (
        tuple(paths),
        iter(paths),
        (path for path in paths),
        map(pathlib.Path, paths),
        frame["file"],
        frame[["file"]],
        frame["file"].astype(object),
        table["file"],
        table,
        pyarrow.table({"file": paths}),
        pyarrow.array(paths),
        pyarrow.chunked_array([paths[:1], paths[1:]]),
        numpy.array(paths),
        numpy.array(paths, object)[:, None],
        stack,
        list(stack),
        pandas.Series([open(path, "rb").read() for path in paths]),
        [Image.fromarray(entry) for entry in stack],
    ):
        assert featurizer.featurize(several).values.tobytes() == expected, type(several)


@pytest.mark.parametrize(
    "given, named",
    [
        (5, "int 5"),
        (None, "None"),
        ({"a": 1}, "dict"),
        ({"a.png"}, "set"),
        (["a.png", None], "item 1 is None"),
        (["a.png", 3.5], "item 1 is float 3.5"),
        (numpy.zeros((4, 4, 3)), r"array of float64 of shape \(4, 4, 3\)"),
        (numpy.zeros((4, 4, 2), numpy.uint8), r"\(4, 4, 2\)"),
        (numpy.zeros((2, 3, 4, 4), numpy.float32), r"float32"),
        ([numpy.zeros(4, numpy.uint8)], r"item 0 is an array of uint8 of shape \(4,\)"),
        (pandas.DataFrame({"a": ["x"], "b": ["y"]}), r"DataFrame of 2 columns.*table\['a'\]"),
        (io.StringIO("text"), "opened as text"),
        ([object()], "item 0 is object"),
    ],
)
def test_anything_else_is_named(given, named, featurizer):
    with pytest.raises(TypeError, match=named) as caught:
        featurizer.featurize(given)
    assert "uint8" in str(caught.value) or "columns" in str(caught.value)


def test_an_open_text_file_is_named(featurizer, tmp_path):
    (tmp_path / "list.txt").write_text("a.png\n")
    with open(tmp_path / "list.txt") as file, pytest.raises(TypeError, match="list.txt; open it with 'rb'"):
        featurizer.featurize(file)


def test_a_file_that_cannot_be_read_is_no_row(featurizer):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        featurizer.featurize([Broken()])


# ---- batches -----------------------------------------------------------------------------


def test_batches_are_those_of_one_result(featurizer):
    images = [drawn(seed, (10, 10, 3)) for seed in range(7)]
    whole = featurizer.featurize(images)
    parts = list(featurizer.featurize_iter(iter(images), batch_size=3))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert numpy.concatenate([part.values for part in parts]).tobytes() == whole.values.tobytes()
    assert list(featurizer.featurize_iter([])) == []
    with pytest.raises(TypeError, match="item 4 is int 9"):
        list(featurizer.featurize_iter(iter([*images[:4], 9]), 3))
    with pytest.raises(ValueError, match="batch_size"):
        featurizer.featurize_iter(images, 0)


def test_no_more_is_taken_than_a_batch_needs(featurizer):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield drawn(len(taken), (5, 5))

    batches = featurizer.featurize_iter(endless(), batch_size=2)
    for number in range(1, 4):
        assert len(next(batches)) == 2 and len(taken) == 2 * number


def test_few_large_images_are_held_at_once(featurizer, monkeypatch):
    monkeypatch.setattr("coulis.inputs._BYTES_TOGETHER", 3000)
    alive = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            alive.append(len(seen))
            return encoded(Image.fromarray(drawn(1, (30, 30, 3))))

    seen = []
    run = featurizer._run
    monkeypatch.setattr(featurizer, "_run", lambda entries, values: seen.append(len(entries)) or run(entries, values))
    result = featurizer.featurize(Counted() for _ in range(6))
    assert result.status == ["ok"] * 6 and len(seen) >= 3 and alive[-1] > 0


# ---- results -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(featurizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "a.png"
    path.write_bytes(encoded(Image.fromarray(drawn())))
    return featurizer.featurize([path, b"no image", drawn(1, (20, 30, 3))])


def test_indexing_and_iterating(result):
    row = result[0]
    assert (row.status, row.error, row.width, row.height) == ("ok", None, 50, 40) and row.path.endswith("a.png")
    assert row.values.tobytes() == result.values[0].tobytes()
    assert result[-1].width == 30 and [entry.status for entry in result] == ["ok", "unsupported", "ok"]
    with pytest.raises(IndexError):
        result[3]
    for chosen in (result[::2], result[result.ok], result[[0, 2]], result[[True, False, True]]):
        assert chosen.status == ["ok", "ok"] and chosen.width.tolist() == [50, 30] and chosen.recipe == result.recipe
        assert chosen.values.tobytes() == result.values[::2].tobytes() and chosen.path == [result.path[0], None]
    assert len(result[[]]) == 0 and result[[]].values.shape == (0, 1280)
    assert repr(result) == "Result(3 images: 2 ok, 1 unsupported; 3 x 1280)"


def test_tables(result):
    table, frame = result.to_arrow(), result.to_pandas()
    assert table.schema.names == list(frame.columns) == ["path", "status", "error", "width", "height", "features"]
    assert table.schema.field("features").type == pyarrow.list_(pyarrow.float32())
    assert json.loads(table.schema.metadata[b"coulis"]) == result.recipe
    assert table["features"].is_valid().to_pylist() == [True, False, True]
    assert table["width"].to_pylist() == [50, None, 30] and table["status"].to_pylist() == result.status
    assert numpy.array(table["features"][2].as_py(), "f4").tobytes() == result.values[2].tobytes()
    assert frame["features"][1] is None and frame["features"][2].tobytes() == result.values[2].tobytes()
    assert frame["width"].isna().tolist() == [False, True, False] and frame["error"][1] == result.error[1]
    assert result[[]].to_arrow().num_rows == len(result[[]].to_pandas()) == 0


def test_long_columns_come_in_pieces(result, monkeypatch):
    monkeypatch.setattr("coulis.result._PIECE", 1280)
    assert result.to_arrow()["features"].num_chunks == 3
    assert result.to_arrow()["features"].is_valid().to_pylist() == [True, False, True]


def test_a_result_goes_into_pca(result):
    pca = coulis.PCA(1).fit(result)
    assert pca.recipe_["model"] == "efficientnet-lite0" and pca.transform(result[[0]]).shape == (1, 1)
