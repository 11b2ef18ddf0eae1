"""Random credentials, made once and kept in a file that only its owner can read."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from launch.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def credentials(
    path: Path, names: Iterable[str], *, needed_by: Path | None = None
) -> dict[str, str]:
    """Return a secret for each name, the same at every call.

    `needed_by` is data that only these secrets open: when it is there and they are not, new ones
    would not help, so this refuses.
    """
    if path.exists():
        return _read(path)
    if needed_by is not None and needed_by.exists():
        raise Refusal(
            f"{path} is missing, and without it nobody can log in to {needed_by}: "
            "restore that file, or move the whole data folder away and start anew."
        )
    made = {name: secrets.token_hex(24) for name in names}
    write(path, json.dumps(made, indent=2))
    return made


def write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def _read(path: Path) -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(path.read_text())
    except ValueError as failure:
        raise Refusal(f"{path} is damaged: restore it, or move the data folder away.") from failure
    return kept
