"""Processes that the launcher starts, recognises again after its own death, and stops."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MOST_FILES = 65_536


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


def allow_files() -> None:
    """Let this process open as many files as it may, where a shell's usual 1,024 are too few.

    Every connection is one: with none left, neither a client nor the database is reached.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _privileges(death_signal: signal.Signals, account: Sequence[str]) -> list[str]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return []
    return [setpriv, "--pdeathsig", death_signal.name.removeprefix("SIG"), *account]


def left_running(program: str, folder: Path) -> list[psutil.Process]:
    """Return the processes of a program whose working folder is this one.

    Our services stay in their data folder, which says whose they are better than a noted pid:
    a pid is soon another program's, and the note may be lost with the one who wrote it.
    """
    return [found for found in psutil.process_iter() if runs_in(found, program, folder)]


def runs_in(process: psutil.Process, program: str, folder: Path) -> bool:
    """Say whether a process is this program at work in this folder."""
    try:
        return bool(process.name() == program and process.cwd() == str(folder))
    except psutil.Error:
        return False


def roots(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Return those that none of the others has started, and that still run."""
    pids = {process.pid for process in processes}
    return [process for process in processes if _parent(process) not in {None, *pids}]


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return None


def stop(
    processes: Iterable[psutil.Process], signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """Send each signal in turn to all that still run, giving each its seconds to work."""
    running = list(processes)
    for number, grace in signals:
        for process in running:
            _send(process, number)
        running = psutil.wait_procs(running, timeout=grace)[1] if running else []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def last_words(log: Path) -> str:
    """Return the log's last line that names a failure, else its last line."""
    lines = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
    failures = [line for line in lines if any(word in line for word in _FAILURES)]
    return (failures or lines or ["it said nothing"])[-1].strip()


_FAILURES = ("FATAL", "PANIC", "ERROR", "rror:", "CRITICAL", "Failed")
