"""A report in headless Chromium: how large it is, how soon it opens, how soon it answers the mouse.

Of the images of fruits-360 (COULIS_BENCH_RESULT names a finished result of them) and of 20,000 drawn vectors, the most
that a report shows. Beside milliseconds as a person would see them, on a machine that is otherwise idle, stand those
of CPU that the page's main thread used.
"""

import json
import os
import pathlib
import statistics
import tempfile

import browser
import coulis
import drawn_vectors

HOVERS, PANS = 15, 8
# A pixel of the map's canvas that is drawn, the n-th of some.
FIND = """
    const c = document.querySelector('#map canvas'), box = c.getBoundingClientRect(), found = [];
    const map = document.getElementById('map').getBoundingClientRect();
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    for (let i = 3; i < d.length; i += 4) {
      if (d[i] < 200) continue;
      const x = box.left + (i >> 2) % c.width * box.width / c.width + 1;
      const y = box.top + Math.floor((i >> 2) / c.width) * box.height / c.height + 1;
      if (x > map.left + 60 && x < map.right - 20 && y > map.top + 20 && y < map.bottom - 40) found.push([x, y]);
    }
    const step = Math.floor(found.length / arguments[0]);
    return found.filter((_, i) => step === 0 || i % step === 0).slice(0, arguments[0]);"""
# Keeps when the mouse moved, and when the image under it was shown.
WATCH = """
    window.moved = window.answered = 0;
    document.addEventListener('mousemove', (e) => { window.moved = e.timeStamp; }, true);
    new MutationObserver(() => { window.answered = performance.now(); })
      .observe(document.querySelector('.leaflet-tooltip-pane'), { childList: true, subtree: true });"""
FRAMES = """
    window.frames_seen = []; let last = performance.now();
    const tick = (now) => { window.frames_seen.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);"""


def cdp(window, command, **parameters):
    return window.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})


def cpu(window):
    """Seconds of CPU of the page's main thread so far."""
    metrics = cdp(window, "Performance.getMetrics")["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def measure(report):
    with browser.Browser() as window:
        window.network_off()
        cdp(window, "Performance.enable", timeDomain="threadTicks")
        window.open(report.as_uri())
        window.wait("return document.body.dataset.ready == 'yes'", 300)
        opened = window.run("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        figures = {"opened_ms": opened, "opened_cpu_ms": 1000 * cpu(window)}
        window.run(WATCH)
        waits, before, places = [], cpu(window), window.run(FIND, HOVERS)
        for x, y in places:
            window.run("window.moved = window.answered = 0")
            window.mouse(x, y)
            try:
                waits.append(
                    window.wait(
                        "return window.moved && window.answered > window.moved && window.answered - window.moved", 5
                    )
                )
            except AssertionError:  # another point's image was shown already, or the pixel is the edge of one
                continue
        figures |= {
            "hovers": len(waits),
            "hover_ms": statistics.median(waits),
            "hover_most_ms": max(waits),
            "hover_cpu_ms": 1000 * (cpu(window) - before) / len(places),
        }
        window.run(FRAMES)
        window.run("document.getElementById('map').focus()")
        before = cpu(window)
        for _ in range(PANS):
            window.keys("\ue014")
        window.run("return new Promise((done) => setTimeout(done, 400))")
        frames = window.run("return window.frames_seen")
        figures |= {"frames": len(frames), "frame_cpu_ms": 1000 * (cpu(window) - before) / len(frames)}
        assert window.console() == []
    return figures


def run(arguments):
    if not browser.is_here():
        print("view: skipped, chromium and chromedriver are not installed")
        return []
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        given = os.environ.get("COULIS_BENCH_RESULT")
        data = pathlib.Path(os.environ.get("COULIS_TEST_DATA", pathlib.Path(__file__).parents[2] / "shared" / "data"))
        if not given and (data / "fruits-360" / "test").is_dir():
            given = folder / "fruits"
            coulis.run(data / "fruits-360" / "test", given)
        drawn_vectors.write(folder / "drawn", drawn_vectors.draw(20_000, 64))
        for name, result in (("fruits", given), ("drawn", folder / "drawn")):
            if result:
                summary = coulis.view(result, folder / f"{name}.html")
                rows[name] = {
                    "images": summary["images"],
                    "bytes": summary["bytes"],
                    "thumbnail_pixels": summary["thumbnail_pixels"],
                    **measure(folder / f"{name}.html"),
                }
                print(json.dumps(rows[name]), flush=True)
    print(
        "\n| report | images | MB | opens, ms (CPU) | answers a hover, ms (CPU) | a frame while moving, ms of CPU |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, r in rows.items():
        print(
            f"| {name} | {r['images']} | {r['bytes'] / 1e6:.1f} | {r['opened_ms']:.0f} ({r['opened_cpu_ms']:.0f}) | "
            f"{r['hover_ms']:.0f} ({r['hover_cpu_ms']:.0f}) | {r['frame_cpu_ms']:.1f} |"
        )
    return [{"title": "view", "unit": "milliseconds", "rows": rows}]
