"""Headless Chromium over its debugging pipe: what a page fetched, logged and drew."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip


def find():
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a headless Chromium.

    Attributes:
        requests: URLs that pages asked for.
        logged: what was written to the console, uncaught errors, and what the browser complained of.
    """

    def __init__(self):
        self.requests, self.logged = [], []
        self._buffer, self._numbers = b"", itertools.count(1)
        self._loaded = False

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        command = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", command, "browser", str(to_browser), str(from_browser), find(), *_FLAGS,
             f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._session = None
        with contextlib.suppress(OSError, EOFError):
            self.call("Browser.close")
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._stack.close()

    def call(self, method, **parameters):
        """Send a command of the DevTools protocol and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise EOFError("The browser has ended.")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params"))
        return message

    def _note(self, event, details):
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif event == "Runtime.consoleAPICalled":
            self.logged.append(str([part.get("value", part.get("description")) for part in details["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.logged.append(str(details["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.logged.append(details["entry"]["text"])
        elif event == "Page.loadEventFired":
            self._loaded = True

    def open(self, path, *, scheme="light", width=1200, height=900):
        """Load a file and wait until its scripts are done."""
        self.visit(Path(path).resolve().as_uri(), scheme=scheme, width=width, height=height)

    def visit(self, url, *, scheme="light", width=1200, height=900):
        """Load a page of a server and wait until its scripts are done."""
        self.requests.clear()
        self.logged.clear()
        self._loaded = False
        self.scheme(scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._receive()
        for _ in range(100):
            self.settle(0.1)
            if self.evaluate("!document.querySelector('main') || document.documentElement.dataset.drawn"):
                break
        self.settle()

    def scheme(self, name):
        """Tell pages that the reader likes "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def settle(self, seconds=0.3):
        """Let the page work on."""
        time.sleep(seconds)
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def evaluate(self, expression):
        """Return the JSON value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key, code=None):
        """Press and release a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        number = {"Enter": 13, "Tab": 9, " ": 32}[key]
        fields = {"key": key, "code": code or key, "windowsVirtualKeyCode": number, **text}
        self.call("Input.dispatchKeyEvent", type="keyDown", **fields)
        self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    def picture(self, path):
        """Write a picture of the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(taken["data"]))

    def pdf(self, path):
        """Print the page to a PDF file."""
        printed = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        Path(path).write_bytes(base64.b64decode(printed["data"]))
