"""`carelane up` as a process, for the tests that use the whole platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from launch import ports

if TYPE_CHECKING:
    from collections.abc import Iterator

CARELANE = Path(sys.executable).with_name("carelane")
READY = "Ctrl-C stops everything"
START_SECONDS = 90
STOP_SECONDS = 10


class Up:
    """A running `carelane up` on a folder, and what it has said."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.rest, self.grpc = ports.free_port(), ports.free_port()
        self.output = folder.parent / f"{folder.name}-{self.rest}.txt"
        arguments = ["--folder", str(folder), "--rest-port", str(self.rest), "--doctors", "40"]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [CARELANE, "up", *arguments, "--grpc-port", str(self.grpc), *options],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=folder.parent,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def until(self, words: str, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def post(self, path: str, body: dict[str, str]) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.rest}{path}", json=body, timeout=10)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def left(folder: Path) -> list[dict[str, Any]]:
    """Return the processes that work in the folder, or name it."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline", "status"]):
        seen = f"{process.info['cwd']} {process.info['cmdline']}"
        if str(folder) in seen and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info)
    return found


@contextmanager
def up(folder: Path, *options: str) -> Iterator[Up]:
    """Run it, and never leave it behind."""
    running = Up(folder, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        for found in left(folder):
            os.kill(found["pid"], signal.SIGKILL)
