"""Takes the image of a report that README.md shows, docs/images/report.webp.

    ./run demo && .venv/bin/python tools/report_image.py

The report is that of the demo, made with `coulis view build/demo/result`. A headless Chromium, which `./run test view`
installs, opens it, selects an image and takes the screenshot. Its thumbnails are the stamps of Tux Paint, whose licence
is GPL-2: so is that of the image (docs/images/LICENSE.txt).
"""

import argparse
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python")]
SIZE = (1280, 860)
BYTES_MAX = 300_000


def take(result, output, selected):
    import browser
    import coulis
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        report, shot = pathlib.Path(folder, "report.html"), pathlib.Path(folder, "report.png")
        coulis.view(result, report)
        with browser.Browser(*SIZE) as window:
            window.network_off()
            window.open(report.as_uri())
            window.wait("return document.body.dataset.ready == 'yes'", 300)
            window.run(
                "const box = document.getElementById('search'); box.value = arguments[0];"
                "box.dispatchEvent(new Event('input'))",
                selected,
            )
            window.wait("return document.querySelectorAll('#list button').length < 10", 60)
            window.run(
                "document.querySelector('#list button').click(); const box = document.getElementById('search');"
                "box.value = ''; box.dispatchEvent(new Event('input'))"
            )
            window.wait("return document.querySelectorAll('#list button').length > 10", 60)
            window.run("window.scrollTo(0, 0)")
            window.screenshot(shot)
        with Image.open(shot) as image:
            image.convert("RGB").save(output, quality=82, method=6)
    size = pathlib.Path(output).stat().st_size
    if size > BYTES_MAX:
        raise SystemExit(f"{output} has {size} bytes, more than {BYTES_MAX}")
    print(f"{output}: {size} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--result", default="build/demo/result", help="of ./run demo")
    parser.add_argument("--select", default="apple", help="part of the name of an image")
    parser.add_argument("-o", "--output", default=ROOT / "docs" / "images" / "report.webp")
    given = parser.parse_args()
    os.chdir(ROOT)  # the image shows the folder's name as it is given
    take(given.result, given.output, given.select)


if __name__ == "__main__":
    main()
