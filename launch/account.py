"""The operating-system account that PostgreSQL runs under, since it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launch.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = "pgserver"
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
_SETPCAP = 8
# Else access(2), which initdb looks for its siblings with, forgets the right of an ordinary user.
_HOLD_ON = "--securebits=+no_setuid_fixup"


@dataclass(frozen=True, slots=True)
class Account:
    """Who a server runs as: its owner of files, and the setpriv options that make it so."""

    uid: int
    gid: int
    options: tuple[str, ...] = ()

    def own(self, folder: Path) -> None:
        """Create the folder, closed to others, and hand it to this account."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if self.options:
            os.chown(folder, self.uid, self.gid)

    def write_secret(self, path: Path, text: str) -> None:
        """Write a file that this account alone can read."""
        path.touch(mode=0o600)
        path.write_text(text)
        if self.options:
            os.chown(path, self.uid, self.gid)


def for_database(reached: Sequence[Path]) -> Account:
    """Return the account for PostgreSQL: the caller's own, or a separate one when that is root.

    `reached` are the paths it has to get at. Where a folder above them is closed, the server keeps
    root's right to pass through folders; where the machine has none to give, this refuses.
    """
    if os.geteuid() != 0:
        return Account(os.getuid(), os.getgid())
    if shutil.which("setpriv") is None:
        raise Refusal(
            "PostgreSQL does not run as root, and `setpriv` is missing: install util-linux."
        )
    entry = _entry()
    options = ("--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups")
    closed = _closed_folders(reached, entry)
    return Account(entry.pw_uid, entry.pw_gid, options + (_passage(closed) if closed else ()))


def _entry() -> pwd.struct_passwd:
    for name in (ACCOUNT, "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            if name == ACCOUNT and _created():
                return pwd.getpwnam(ACCOUNT)
    raise Refusal(f"PostgreSQL does not run as root: create an account, `useradd -r {ACCOUNT}`.")


def _created() -> bool:
    useradd = shutil.which("useradd")
    if useradd is None:
        return False
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed words
    return done.returncode == 0


def _closed_folders(reached: Sequence[Path], entry: pwd.struct_passwd) -> list[Path]:
    folders = {folder for path in reached for folder in path.resolve().parents}
    return sorted(folder for folder in folders if folder.exists() and not _passes(folder, entry))


def _passes(folder: Path, entry: pwd.struct_passwd) -> bool:
    status = folder.stat()
    if status.st_uid == entry.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == entry.pw_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _passage(closed: Sequence[Path]) -> tuple[str, ...]:
    held = _effective_capabilities()
    for name, bit in _CAPABILITIES.items():
        if held >> bit & 1 and held >> _SETPCAP & 1:
            return (_HOLD_ON, f"--inh-caps=+{name}", f"--ambient-caps=+{name}")
    raise Refusal(
        f"PostgreSQL runs as `{_entry().pw_name}`, which may not enter {closed[0]}: "
        f"open it with `chmod o+x {closed[0]}`, or move the project to an open folder."
    )


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
