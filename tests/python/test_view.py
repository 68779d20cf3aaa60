"""The report in a real browser: opened from disk, with the network off."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import time

import browser
import coulis
import numpy as np
import pytest
from conftest import draw_image, draw_images
from PIL import Image, ImageOps

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def result(tmp_path_factory, lite0_path):
    """90 images of three labels; one that cannot be read, one file twice, and a name that could end a script."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(90):
        label = ("pear", "plum", 'fig </script> & "x"')[number % 3].replace("/", "")
        (folder / label).mkdir(exist_ok=True)
        draw_image(number, (90, 70)).save(folder / label / f"{number:03}.png")
    (folder / "plum" / "twice.png").write_bytes((folder / "pear" / "000.png").read_bytes())
    (folder / "plum" / "bad.jpg").write_bytes(b"no image")
    output = tmp_path_factory.mktemp("result") / "out"
    coulis.run(folder, output, components=6)
    return output


@pytest.fixture(scope="module")
def report(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    summary = coulis.view(result, path)
    assert summary["images"] == 91 and summary["bytes"] == path.stat().st_size
    assert summary["thumbnails_missing"] == 0 and summary["thumbnail_pixels"] == 64
    return path


@pytest.fixture(scope="module")
def page(report):
    if not browser.is_here():
        pytest.skip("chromium and chromedriver are not installed")
    with browser.Browser() as window:
        window.network_off()
        window.open(report.as_uri())
        window.wait("return document.body.dataset.ready == 'yes'")
        yield window


def data_of(report):
    text = report.read_text().split('<script id="data" type="application/json">')[1]
    return json.loads(text[: text.index("</script>")])


def test_the_same_result_gives_the_same_report(result, report, tmp_path):
    coulis.view(result, tmp_path / "again.html", threads=1)
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_nothing_is_fetched(report):
    text = re.sub(r"http://www\.w3\.org/\d+/(svg|xlink|xmlns/?)", "", report.read_text())
    assert not re.search(r'(src|href)="(https?:)?//', text.replace('href="https://leafletjs.com"', ""))
    assert "@import" not in text and '<link rel="stylesheet"' not in text


def test_the_data_are_the_results(result, report):
    data = data_of(report)
    table = [row for row in coulis.read_table(result / "features").to_pylist() if row["features"] is not None]
    assert data["paths"] == [row["path"] for row in table]
    x = np.array([row["features"] for row in table])
    _, expected = coulis.Index(x).search(x, 9)
    expected = [[j for j in near if j != i][:8] for i, near in enumerate(expected.tolist())]
    near = np.frombuffer(base64.b64decode(data["neighbours"]), np.int32).reshape(-1, 8)
    assert near.tolist() == expected
    assert data["failed"] == 1 and data["failures"][0]["status"] == "unsupported"
    assert len(data["explained"]) == 6 and data["recipe"]["model"] == "efficientnet-lite0"
    assert data["duplicates"]["groups"] >= 1


def test_the_size_is_bounded(result, tmp_path):
    limit = coulis.view(result, tmp_path / "small.html")["bytes"] - 1000
    summary = coulis.view(result, tmp_path / "small.html", max_bytes=limit)
    assert 0 < summary["thumbnail_pixels"] < 64 and (tmp_path / "small.html").stat().st_size <= limit
    assert coulis.view(result, tmp_path / "small.html", max_bytes=1000)["thumbnail_pixels"] == 0


def test_images_that_are_gone_have_no_thumbnail(tmp_path, lite0_path):
    folder = draw_images(tmp_path / "images", 4)
    coulis.run(folder, tmp_path / "out", components=2)
    (folder / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"1 of 4 images could not be read again .*: .*/2\.png does not exist"):
        assert coulis.view(tmp_path / "out", tmp_path / "r.html")["thumbnails_missing"] == 1
    summary = coulis.view(tmp_path / "out", tmp_path / "r.html", no_thumbnails=True)
    assert summary["thumbnail_pixels"] == summary["thumbnails_missing"] == 0 and not summary["thumbnails"]


def test_it_opens_without_an_error(page):
    assert page.console() == []
    assert page.run("return document.getElementById('matches').textContent") == "91 images"
    assert "1 files could not be read" in page.run("return document.getElementById('counts').textContent")
    labels = page.run("return [...document.getElementById('label').options].map(o => o.textContent)")
    assert labels[0] == "all" and len(labels) == 4 and "plum (31)" in labels


def drawn(page):
    """Pixels of the map's canvas that have a colour."""
    return page.run("""
        const c = document.querySelector('#map canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n;""")


def test_hover_and_click_on_the_map(page, report):
    page.run("document.getElementById('reset').click(); document.getElementById('map').scrollIntoView()")
    time.sleep(0.5)  # the map glides home
    assert drawn(page) > 1000
    # A pixel that is drawn, found on the canvas, is under the mouse.
    left, top = page.run("""
        const c = document.querySelector('#map canvas'), box = c.getBoundingClientRect();
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        for (let i = 4 * c.width * Math.floor(c.height / 2) + 3; i < d.length; i += 4)
          if (d[i] > 200) {
            const x = box.left + (i >> 2) % c.width * box.width / c.width + 1;
            const y = box.top + Math.floor((i >> 2) / c.width) * box.height / c.height + 2;
            const map = document.getElementById('map').getBoundingClientRect();
            if (x > map.left + 60 && x < map.right - 10 && y > map.top + 10 && y < map.bottom - 30
                && document.elementFromPoint(x, y) === c) return [x, y];
          }""")
    for step in range(20):  # Leaflet looks where the mouse is a few times a second
        page.mouse(left - 20 * (step % 2), top)
        if step % 2 == 0 and page.run("return document.querySelector('.leaflet-tooltip b')"):
            break
        time.sleep(0.1)
    name = page.run("return document.querySelector('.leaflet-tooltip b').textContent")
    assert any(path.endswith(name) for path in data_of(report)["paths"])
    page.mouse(left, top, click=True)
    page.wait("return !document.getElementById('selected').hidden", 5)
    assert page.run("return document.getElementById('name').textContent").endswith(name)
    assert page.console() == []


def test_search_and_neighbours(page, report):
    paths = data_of(report)["paths"]
    page.run("const s = document.getElementById('search'); s.value = 'PLUM/0'; s.dispatchEvent(new Event('input'))")
    wanted = [path for path in paths if "plum/0" in path.lower()]
    page.wait(f"return document.getElementById('matches').textContent == '{len(wanted)} of 91 images'", 5)
    assert page.run("return [...document.querySelectorAll('#list button')].map(b => b.textContent)") == wanted
    page.run("document.querySelectorAll('#list button')[2].click()")
    assert page.run("return document.getElementById('name').textContent") == wanted[2]
    assert page.run("return document.querySelectorAll('#neighbours button').length") == 8
    page.run("document.querySelector('#neighbours button').click()")
    assert page.run("return document.getElementById('name').textContent") != wanted[2]
    background = page.run("return getComputedStyle(document.querySelector('#large .thumb')).backgroundImage")
    assert background.startswith("url(")
    page.run("document.getElementById('reset').click()")
    page.wait("return document.getElementById('matches').textContent == '91 images'", 5)
    assert page.console() == []


def test_filter_by_label_and_colour_by_cluster(page):
    before = drawn(page)
    page.run("const s = document.getElementById('label'); s.selectedIndex = 2; s.dispatchEvent(new Event('change'))")
    assert re.match("3[01] of 91", page.run("return document.getElementById('matches').textContent"))
    page.wait("return true")
    assert drawn(page) < before
    page.run("const c = document.getElementById('colour'); c.value = 'cluster'; c.dispatchEvent(new Event('change'))")
    assert "cluster 0" in page.run("return document.getElementById('legend').textContent")
    page.run("document.getElementById('reset').click()")
    assert page.console() == []


def test_the_other_sections(page):
    assert "6 components explain" in page.run("return document.getElementById('scree').textContent")
    assert page.run("return document.querySelectorAll('#scree rect').length") == 6
    assert page.run("return document.querySelectorAll('#groups .group').length") >= 1
    assert "unsupported" in page.run("return document.getElementById('failure-table').textContent")
    assert "efficientnet-lite0" in page.run("return document.getElementById('recipe-table').textContent")


def test_the_keyboard_is_enough(page):
    """Every control is reached by the Tab key, and the map moves with the arrows."""
    page.run("window.scrollTo(0, 0); document.activeElement.blur(); document.getElementById('search').focus()")
    reached = set()
    for _ in range(14):
        reached.add(page.run("return document.activeElement.id || document.activeElement.className"))
        page.keys("\ue004")
    assert {"search", "label", "colour", "reset", "map"} <= {name.split(" ")[0] for name in reached} | reached
    page.run("document.getElementById('map').focus()")
    before = page.run("return document.querySelector('.leaflet-map-pane').style.transform")
    page.keys("\ue014\ue014")
    page.wait(f"return document.querySelector('.leaflet-map-pane').style.transform != {json.dumps(before)}", 5)
    page.run("document.querySelector('#list button').focus()")
    page.keys("\ue007")
    assert page.run("return document.getElementById('selected').hidden") is False


def test_narrow_and_dark(page, tmp_path):
    page.emulate("setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=False)
    page.emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.wait("return window.innerWidth == 360", 5)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    light = [int(n) for n in re.findall(r"\d+", page.run("return getComputedStyle(document.body).color"))[:3]]
    back = [int(n) for n in re.findall(r"\d+", page.run("return getComputedStyle(document.body).backgroundColor"))[:3]]
    assert min(light) > 200 and max(back) < 60
    page.screenshot(tmp_path / "narrow.png")
    page.emulate("clearDeviceMetricsOverride")
    page.emulate("setEmulatedMedia", features=[])
    assert page.console() == []


# ---- maps by other packages ----


def places(report):
    data = data_of(report)
    return np.stack([np.frombuffer(base64.b64decode(data[name]), np.float32) for name in "xy"], axis=1)


def near_on_the_map(report):
    """The share of images whose nearest on the map is among their eight most similar."""
    xy, near = places(report), np.frombuffer(base64.b64decode(data_of(report)["neighbours"]), np.int32).reshape(-1, 8)
    distance = ((xy[:, None] - xy[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return np.mean([i in row for i, row in zip(distance.argmin(axis=1), near)])


@pytest.fixture(scope="module")
def by_tsne(result, tmp_path_factory):
    pytest.importorskip("sklearn")
    path = tmp_path_factory.mktemp("tsne") / "report.html"
    coulis.view(result, path, map="tsne")
    return path


def test_map_by_tsne(by_tsne, report):
    assert data_of(by_tsne)["map"] == "t-SNE" and "map" not in data_of(report)
    assert np.ptp(places(by_tsne), axis=0).max() == pytest.approx(1000, abs=1e-3)
    assert near_on_the_map(by_tsne) > max(0.5, near_on_the_map(report))


def test_map_by_umap(result, tmp_path):
    pytest.importorskip("umap")
    coulis.view(result, tmp_path / "a.html", map="umap")
    coulis.view(result, tmp_path / "b.html", map="umap")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert data_of(tmp_path / "a.html")["map"] == "UMAP" and near_on_the_map(tmp_path / "a.html") > 0.3


# A package of that name which places the images on a line, or one that fails or places them nowhere.
FAKES = {
    "line": "return numpy.stack([numpy.arange(len(x)), numpy.zeros(len(x))], axis=1)",
    "raises": "raise RuntimeError('no map today')",
    "nowhere": "return numpy.full((len(x), 2), numpy.nan)",
}


FAKE = """
import numpy
class UMAP:
    def __init__(self, n_components, n_neighbors, random_state, n_jobs):
        assert (n_components, n_neighbors, random_state, n_jobs) == (2, 15, 0, 1)
    def fit_transform(self, x):
        assert x.shape == (91, 50) and x.dtype == numpy.float32
        {}
"""


@pytest.mark.parametrize("fake", FAKES)
def test_what_places_the_images_is_asked(result, tmp_path, monkeypatch, fake):
    (tmp_path / "umap.py").write_text(FAKE.format(FAKES[fake]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    if fake == "line":
        coulis.view(result, tmp_path / "r.html", map="umap")
        assert np.allclose(places(tmp_path / "r.html")[:, 0], np.arange(91) / 90 * 1000, atol=1e-3)
    else:
        with pytest.raises(RuntimeError if fake == "raises" else coulis.Error, match="no map today|no finite place"):
            coulis.view(result, tmp_path / "r.html", map="umap")
        assert not (tmp_path / "r.html").exists()
    monkeypatch.delitem(sys.modules, "umap")


def test_map_by_the_command(command, result, by_tsne, tmp_path):
    environment = {**os.environ, "COULIS_PYTHON": sys.executable}

    def view(*words):
        return subprocess.run(
            [command, "view", result, "-o", tmp_path / "c.html", *words],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    done = view("--map", "tsne")
    assert done.returncode == 0 and "91 images" in done.stderr, done.stderr
    assert (tmp_path / "c.html").read_bytes() == by_tsne.read_bytes()  # nothing in it is left to chance
    assert view("--map", "circle").returncode == 2
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    (tmp_path / "umap.py").write_text(FAKE.format(FAKES["line"]))
    done = view("--map", "umap", "--max-size", "1", "--threshold", "0.9", "--json")
    assert json.loads(done.stdout)["images"] == 91 and (tmp_path / "c.html").stat().st_size < 10**6
    assert data_of(tmp_path / "c.html")["duplicates"]["threshold"] == 0.9
    # Where the package is missing, a sentence says what to install.
    (tmp_path / "umap.py").write_text("raise ImportError")
    done = view("--map", "umap")
    assert (
        done.returncode == 1
        and done.stderr == "coulis: map='umap' needs the package umap-learn: pip install umap-learn\n"
    )


# ---- what a search found, as a page ----


def test_contact_sheet(result, command, tmp_path):
    found = coulis.search(result, 3, k=40, output=tmp_path / "sheet.html")
    done = subprocess.run(
        [command, "search", result, "3", "-k", "40", "-o", tmp_path / "again.html", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == found and len(found) == 40
    text = (tmp_path / "sheet.html").read_text()
    assert (tmp_path / "again.html").read_text() == text
    assert "nearest to 3</title>" in text and "<script" not in text and "http" not in text
    if not browser.is_here():
        pytest.skip("chromium and chromedriver are not installed")
    with browser.Browser() as window:
        window.network_off()
        window.open((tmp_path / "sheet.html").as_uri())
        shown = window.run("""
            return [...document.querySelectorAll('li')].map((line) => [line.querySelector('small').textContent,
              line.querySelector('b').textContent, line.querySelector('div').getAttribute('aria-label')]);""")
        assert shown == [[m["path"], f"{m['similarity']:.4f}", m["path"]] for m in found]
        # The 34th is the second thumbnail of the second sheet, and shows the image itself.
        style = window.run(
            "const s = getComputedStyle(document.querySelectorAll('li div')[33]); "
            "return [s.backgroundImage, s.backgroundPositionX]"
        )
        sheet = Image.open(io.BytesIO(base64.b64decode(style[0].split("base64,")[1].split('"')[0])))
        assert style[1] == "-160px" and sheet.size == (32 * 160, 160)
        original = ImageOps.fit(Image.open(found[33]["path"]).convert("RGB"), (160, 160), Image.Resampling.BICUBIC)
        difference = np.abs(np.asarray(sheet)[:, 160:320].astype(int) - np.asarray(original)).mean()
        assert difference < 12 and window.console() == []  # JPEG of quality 72


def test_contact_sheet_of_odd_names(tmp_path, lite0_path):
    folder = tmp_path / "a&b <i>"
    folder.mkdir()
    for number in range(3):
        draw_image(number).save(folder / f'{number}".png')
    coulis.featurize(folder, tmp_path / "out")
    coulis.search(tmp_path / "out", [0, 1], output=tmp_path / "s.html")
    assert "nearest to 0 and 1 more" in (tmp_path / "s.html").read_text()
    assert "a&amp;b &lt;i&gt;/2&quot;.png" in (tmp_path / "s.html").read_text()
    with pytest.raises(coulis.Error, match="nowhere"):
        coulis.search(tmp_path / "out", 0, output=tmp_path / "nowhere" / "s.html")
