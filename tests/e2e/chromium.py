"""A real browser, spoken to in its own protocol over a pipe, so that it needs no driver."""

import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--remote-debugging-pipe"),
)


def program() -> str | None:
    """Answer the browser of this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser of its own; `events` is all that it has told."""

    def __init__(self, folder: Path) -> None:
        (to_read, self._write), (self._read, to_write) = _pipe(), _pipe()
        # it takes commands from file 3 and answers on file 4
        redirected = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        command = [program() or "", *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        with (folder.parent / "chromium.txt").open("w") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", redirected, "bash", *command],
                pass_fds=(to_read, to_write),
                stdout=output,
                stderr=output,
            )
        os.close(to_read)
        os.close(to_write)
        self._numbers = itertools.count(1)
        self._left = b""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Give a command and answer its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def wait(self) -> dict[str, Any]:
        """Wait for an event that has not been told before."""
        self.events.append(self._next())
        return self.events[-1]

    def until(self, method: str) -> None:
        """Wait for an event of one kind that has not been told before."""
        while self.wait().get("method") != method:
            pass

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], deadline - time.monotonic())
            assert ready, "the browser says nothing"
            part = os.read(self._read, 1 << 16)
            assert part, "the browser has ended"
            self._left += part
        text, _, self._left = self._left.partition(b"\0")
        said: dict[str, Any] = json.loads(text)
        return said

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        self.process.kill()
        self.process.wait()


class Page:
    """A tab of the browser."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for part in ("Page", "Network", "Log"):
            self.ask(f"{part}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.ask(method, self._session, **parameters)

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        self._browser.until("Page.loadEventFired")

    def reload(self) -> None:
        self.ask("Page.reload")
        self._browser.until("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Run the body of an async function in the page, and answer what it returns."""
        result = self.ask(
            "Runtime.evaluate",
            expression=f"(async () => {{ {script} }})()",
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def told(self, method: str) -> list[dict[str, Any]]:
        """Answer the events of one kind."""
        mine = [said for said in self._browser.events if said.get("sessionId") == self._session]
        return [said["params"] for said in mine if said.get("method") == method]

    def statuses(self, path: str, count: int) -> list[int]:
        """Wait until so many requests for a path are answered, also where the page is not told."""
        while True:
            asked = [
                said["requestId"]
                for said in self.told("Network.requestWillBeSent")
                if said["request"]["url"].endswith(path)
            ]
            answers = self.told("Network.responseReceivedExtraInfo")
            found: list[int] = [
                said["statusCode"] for said in answers if said["requestId"] in asked
            ]
            if len(found) >= count:
                return found
            self._browser.wait()


def _pipe() -> tuple[int, int]:
    """Open a pipe whose files are not 3 or 4."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Run it, and never leave it behind."""
    browser = Chromium(folder)
    try:
        yield browser
    finally:
        browser.close()
