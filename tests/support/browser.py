"""A real browser that has never been anywhere, spoken to by WebDriver: Debian's Chromium (`chromium-driver`)."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from tests.support.ports import free_port

SECONDS_MAX = 30
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1200",
)


def is_there():
    return shutil.which("chromedriver") is not None


class Browser:
    """One window; `profile` is a new folder of its own."""

    def __init__(self, profile):
        self._port = free_port()
        self._driver = subprocess.Popen(["chromedriver", f"--port={self._port}"], stdout=subprocess.DEVNULL)
        wait_for(lambda: self._ask("GET", "/status")["ready"])
        options = {"args": [*QUIET, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._session = f"/session/{self._ask('POST', '/session', wanted)['sessionId']}"

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return json.load(answer)["value"]

    def go(self, url):
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script):
        """What a script returns that runs in the page."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def text(self):
        """What a reader sees of the page."""
        return self.run("return document.body.innerText")

    def wait_for_text(self, *words):
        """Wait until all of the words can be read on the page; returns its text."""
        try:
            return wait_for(lambda: all(word in (text := self.text()) for word in words) and text)
        except TimeoutError:
            raise AssertionError(f"expected {words} in: {self.text()}") from None

    def _do(self, what, xpath, body):
        found = wait_for(lambda: self._ask("POST", f"{self._session}/element", {"using": "xpath", "value": xpath}))
        (element,) = found.values()
        self._ask("POST", f"{self._session}/element/{element}/{what}", body)

    def type(self, xpath, text):
        self._do("value", xpath, {"text": text})

    def click(self, xpath):
        self._do("click", xpath, {})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self._session}/screenshot")))

    def close(self):
        try:
            self._ask("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(SECONDS_MAX)


def wait_for(answer):
    """Ask again and again until there is an answer."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if found := answer():
                return found
        except (OSError, urllib.error.HTTPError):
            pass
        time.sleep(0.1)
    raise TimeoutError
