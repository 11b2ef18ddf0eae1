"""Processes that the launcher starts, recognises again after its own death, and stops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from launch.errors import StartFailed

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

# A process start time is read from the boot time, which a corrected clock shifts a little.
START_TIME_TOLERANCE = 2.0
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid with its start time, since a pid alone is soon another program's."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the live process; None when it ended, also when its pid is reused by now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= START_TIME_TOLERANCE
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    death_signal: signal.Signals,
    account: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, out of reach of the terminal's Ctrl-C.

    Call it from the main thread: Linux sends `death_signal` when the *thread* that started a
    process ends. `account` holds setpriv options that say under whom the service runs.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own binaries
            [*_privileges(death_signal, account), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
        )


def _privileges(death_signal: signal.Signals, account: Sequence[str]) -> list[str]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG"), *account]


def wait_ready(
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    *,
    name: str,
    log: Path,
    seconds: float,
) -> None:
    """Return once `ready()`; raise StartFailed when the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise StartFailed(f"{name} ended while starting: {last_words(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{name} was not ready after {seconds:.0f} s; see {log}")
        time.sleep(POLL_SECONDS)


def last_words(log: Path) -> str:
    """Return the log's last line that names a failure, else its last line."""
    lines = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
    failures = [line for line in lines if any(word in line for word in _FAILURES)]
    return (failures or lines or ["it said nothing"])[-1].strip()


_FAILURES = ("FATAL", "PANIC", "ERROR", "error", "Failed", "rror:")


def stop(process: psutil.Process, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn, giving each its seconds, until the process has ended."""
    for number, grace in signals:
        try:
            process.send_signal(number)
            process.wait(grace)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
