"""What every embedded service has in common: a folder, a port, a process and its end."""

from __future__ import annotations

import abc
import signal
import time
from typing import TYPE_CHECKING, ClassVar

import psutil

from launch import ports, process
from launch.errors import StartFailed

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

POLL_SECONDS = 0.02
_TAKEN = "address already in use"


class Service(abc.ABC):
    """A server of this machine whose data, log and credentials live in `folder`.

    `port` 0 takes a free one. Start it from the main thread: it stops when that thread ends.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]] = (
        (signal.SIGTERM, 2.0),
        (signal.SIGKILL, 0.5),
    )

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / f"{self.program}.log"
        self.port = port
        self._any_port = port == 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it accepts connections."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Do what `start` does without waiting; stops what a killed launcher left behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stop()
        self.stop_orphan()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self.prepare()
        self.port = self.port or ports.free_port()
        self._process = self.spawn()

    def wait(self, seconds: float = 60.0) -> None:
        """Return when the server accepts connections; raise StartFailed when it will not."""
        try:
            self._wait(seconds)
        except StartFailed:
            self.stop()
            # The port was free when it was chosen, and somebody else was quicker.
            if not (self._any_port and _TAKEN in self.log.read_text(errors="replace").lower()):
                raise
            self.port = ports.free_port()
            self._process = self.spawn()
            self._wait(seconds)

    def stop(self) -> None:
        """Stop the server that `start` started, letting it finish what is committed."""
        if self._process is not None:
            if self._process.poll() is None:
                process.stop([psutil.Process(self._process.pid)], self.stop_signals)
            self._process.wait()
            self._process = None

    def stop_orphan(self) -> bool:
        """Stop what a killed launcher left on this folder; True when there was something."""
        left = self.left_running()
        process.stop(process.roots(left), self.stop_signals)
        process.stop(left, ((signal.SIGKILL, 1.0),) if _any_alive(left) else ())
        return bool(left)

    def left_running(self) -> list[psutil.Process]:
        """Return the processes of this service that run on this folder."""
        return process.left_running(self.program, self.folder)

    @property
    def pid(self) -> int | None:
        """The pid of the server started here; None when it is stopped or was adopted."""
        return self._process.pid if self._process else None

    @property
    def ended(self) -> bool:
        """True when the server was started here and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make the folder ready: data, credentials, configuration."""

    @abc.abstractmethod
    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process on `self.port`."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Say whether the server accepts connections."""

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.ended:
                words = process.last_words(self.log)
                raise StartFailed(f"{self.name} ended while starting: {words}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready in {seconds:.0f} s; see {self.log}")
            time.sleep(POLL_SECONDS)


def _any_alive(processes: list[psutil.Process]) -> bool:
    return bool(psutil.wait_procs(processes, timeout=5.0)[1])
