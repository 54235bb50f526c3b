"""A headless Chromium that tests click through, by the DevTools protocol over one websocket."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.sync.client import ClientConnection, connect

_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic", "--remote-debugging-port=0"),
)


class Browser:
    """One page of a browser.

    Parameters
    ----------
    line
        Websocket of the page's DevTools.
    """

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._asked = line, 0
        self._call("Page.enable")

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Give the window a size in pixels, and say which scheme of colours its owner likes."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, address: str) -> None:
        """Open an address; wait for what is needed there."""
        self._call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """Return the value of an expression on the page, waiting for it if it is a promise.

        Raises
        ------
        AssertionError
            The expression has failed; with what the browser says.
        """
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60.0) -> Any:
        """Return the value of an expression once it is true; fail with the page's text when it stays false."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(AssertionError):  # the page may be on its way to another
                if value := self.run(script):
                    return value
            time.sleep(0.2)
        pytest.fail(f"never true: {script}\n{self.run('document.body.innerText')[:3000]}")

    def click(self, text: str, among: str = "button, a, [role=menuitem], [role=tab]", seconds: float = 60.0) -> None:
        """Click the first visible and enabled element with just this text, once it is there."""
        meant = f"e.innerText.trim() === {json.dumps(text)} && e.getClientRects().length && !e.disabled"
        found = f"[...document.querySelectorAll({json.dumps(among)})].find((e) => {meant})"
        self.wait(f"!!{found}", seconds)
        self.run(f"{found}.click()")

    def enter(self, text: str, into: str, seconds: float = 60.0) -> None:
        """Type a text into the first field that a selector names, once it is there, and press Enter."""
        field = f"document.querySelector({json.dumps(into)})"
        self.wait(f"!!{field}", seconds)
        self.run(f"{field}.focus()")
        self._call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)

    def picture(self) -> bytes:
        """Return the window as a PNG file."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._asked += 1
        self._line.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._line.recv(timeout=60))
            if answer.get("id") == self._asked:
                assert "error" not in answer, answer
                return dict(answer["result"])


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Yield a browser with a profile of its own in a folder; skip where Chromium is not installed."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    command = [chromium, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = next(filter(None, (re.search(r"ws://([^/]+)/", line) for line in process.stderr)))[1]
            with urllib.request.urlopen(f"http://{address}/json/list", timeout=60) as answer:
                page = next(target for target in json.load(answer) if target["type"] == "page")
            with connect(page["webSocketDebuggerUrl"], max_size=None) as line:
                yield Browser(line)
        finally:
            process.kill()
