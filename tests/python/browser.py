"""A headless Chromium, driven by the WebDriver protocol (W3C), without a package for it."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def is_here():
    return shutil.which("chromium") and shutil.which("chromedriver")


class Browser:
    """One window. Use as a context manager."""

    def __init__(self, width=1300, height=1000):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {"binary": shutil.which("chromium"), "args": [*ARGUMENTS, f"--window-size={width},{height}"]}
        self.session = ""
        capabilities = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": options}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{session['sessionId']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(30)

    def call(self, method, path, body=None):
        address = f"http://127.0.0.1:{self.port}{self.session}{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        for tries in range(100):
            request = urllib.request.Request(address, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.load(answer)["value"]
            except urllib.error.HTTPError as error:
                raise RuntimeError(error.read().decode()) from error
            except OSError:  # the driver is still starting
                if tries == 99 or self.driver.poll() is not None:
                    raise
                time.sleep(0.2)

    def open(self, address):
        self.call("POST", "/url", {"url": address})

    def run(self, code, *arguments):
        """The value that JavaScript returns."""
        return self.call("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def wait(self, code, seconds=30):
        """Waits until JavaScript returns something true, and gives it."""
        end = time.monotonic() + seconds
        while not (value := self.run(code)):
            assert time.monotonic() < end, f"not true within {seconds} s: {code}"
            time.sleep(0.05)
        return value

    def mouse(self, x, y, click=False):
        moves = [{"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}]
        if click:
            moves += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})

    def keys(self, text):
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def emulate(self, command, **parameters):
        self.call("POST", "/goog/cdp/execute", {"cmd": f"Emulation.{command}", "params": parameters})

    def network_off(self):
        self.call("POST", "/goog/cdp/execute", {"cmd": "Network.enable", "params": {}})
        self.call(
            "POST",
            "/goog/cdp/execute",
            {
                "cmd": "Network.emulateNetworkConditions",
                "params": {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
            },
        )

    def console(self):
        """What the page wrote to the console since the last call, errors of loading included. A hint at reading pixels
        back is about the tests, which do so."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if "willReadFrequently" not in entry["message"]]

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))
