"""The data folder of `carelane up`: one user at a time, a known format, room to write."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from launch import secret_file
from launch.errors import AlreadyRunning, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Raise it when a release cannot use the folder of the one before, and say in docs/runbook.md how
# to carry the data over.
FORMAT = 1
MEGABYTE = 1024 * 1024
ROOM_FOR_NEW = 600 * MEGABYTE
ROOM_FOR_MORE = 150 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Occupant:
    """Who runs on a folder, for the sentence that a second one gets."""

    pid: int
    rest: str
    grpc: str


@contextmanager
def occupied(folder: Path, *, rest: str, grpc: str) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of it however the process ends."""
    _create(folder)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_running(folder) from None
        _refuse_unusable(folder)
        occupant = Occupant(os.getpid(), rest, grpc)
        secret_file.write(folder / "running.json", json.dumps(asdict(occupant)))
        try:
            yield
        finally:
            (folder / "running.json").unlink(missing_ok=True)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as failure:
        raise Refusal(f"Cannot write to the data folder {folder}: {failure.strerror}.") from failure


def _already_running(folder: Path) -> Refusal:
    try:
        occupant = Occupant(**json.loads((folder / "running.json").read_text()))
    except (OSError, ValueError, TypeError):
        return AlreadyRunning(f"Carelane is already starting on {folder}.")
    return AlreadyRunning(
        f"Carelane is already running on {folder} (pid {occupant.pid}): "
        f"REST at {occupant.rest}, gRPC at {occupant.grpc}."
    )


def _refuse_unusable(folder: Path) -> None:
    written = folder / "format.json"
    if written.exists():
        _refuse_other_format(folder, _format(written))
        _refuse_full_disk(folder, ROOM_FOR_MORE)
        return
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
    if strangers:
        raise Refusal(
            f"{folder} holds {strangers[0]} but no format.json, so it is not a data folder of "
            "Carelane: take another folder with --folder, or move this one away."
        )
    _refuse_full_disk(folder, ROOM_FOR_NEW)
    secret_file.write(written, json.dumps({"format": FORMAT}))


# `lock` comes before the format, and a kill may leave the others.
_OURS = frozenset({"lock", "running.json", "format.json.new", "running.json.new"})


def _format(written: Path) -> int:
    try:
        return int(json.loads(written.read_text())["format"])
    except (ValueError, KeyError, TypeError) as failure:
        raise Refusal(f"{written} is damaged: restore it, or move the folder away.") from failure


def _refuse_other_format(folder: Path, found: int) -> None:
    if found < FORMAT:
        raise Refusal(
            f"{folder} was written by an older Carelane (format {found}, this one uses {FORMAT}): "
            "see 'Upgrades' in docs/runbook.md, or take another folder with --folder."
        )
    if found > FORMAT:
        raise Refusal(
            f"{folder} was written by a newer Carelane (format {found}, this one uses {FORMAT}): "
            "start that one, or take another folder with --folder."
        )


def _refuse_full_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Refusal(
            f"The disk of {folder} has {free // MEGABYTE} MB left and Carelane needs "
            f"{needed // MEGABYTE} MB to start: make room, or take another folder with --folder."
        )
