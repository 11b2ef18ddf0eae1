"""Settings as environment variables: the process's own, a `.env` file, a running `carelane up`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from launch import secret_file
from launch.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(".carelane")
FILE = "environment"
LAST_PORT = 65_535


def load(folder: Path | None = None) -> str:
    """Complete this process's environment and say where from.

    A variable that is set wins over `.env`. Where neither names a database, the one of the data
    folder is taken, so that `carelane seed` works beside `carelane up` without a word.
    """
    load_file()
    folder = folder or Path(os.environ.get("CARELANE_FOLDER") or FOLDER)
    if os.environ.get("DATABASE_URL"):
        return ".env and the environment" if Path(".env").exists() else "the environment"
    _complete(dotenv_values(folder / FILE))
    return str(folder / FILE) if os.environ.get("DATABASE_URL") else "nowhere"


def load_file() -> None:
    """Complete this process's environment from `.env`."""
    _complete(dotenv_values(".env"))


def port_of(name: str, usual: int) -> int:
    """Answer the port of an address that is set, such as HTTP_ADDRESS; Refusal when it has none."""
    address = os.environ.get(name)
    if not address:
        return usual
    port = address.rpartition(":")[2]
    if not (port.isdecimal() and 0 < int(port) <= LAST_PORT):
        raise Refusal(f"{name}={address} has no port: write it as 127.0.0.1:{usual}.")
    return int(port)


def save(folder: Path, values: Mapping[str, str]) -> None:
    """Write what other commands need to join a running platform; secrets, so only for its owner."""
    secret_file.write(folder / FILE, "".join(f"{name}='{values[name]}'\n" for name in values))


def forget(folder: Path) -> None:
    """Remove what `save` wrote, since the addresses are gone."""
    (folder / FILE).unlink(missing_ok=True)


def _complete(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value and not os.environ.get(name):
            os.environ[name] = value
