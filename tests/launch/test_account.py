"""The account that PostgreSQL runs under, and the folders that it has to pass through."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launch import account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
ASK = "import sys; from pathlib import Path; from launch.account import for_database as of; "
ASK += "print(of([Path(sys.argv[1]) / 'data']).options)"


def asked(folder: Path, *without: str) -> subprocess.CompletedProcess[str]:
    """Ask for the account in a process that root has taken some rights from."""
    bounds = [f"--bounding-set={','.join(f'-{right}' for right in without)}"] if without else []
    return subprocess.run(
        ["setpriv", *bounds, sys.executable, "-c", ASK, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


@as_root
def test_root_hands_the_server_to_an_account_that_is_not_root(closed: Path) -> None:
    options = asked(closed).stdout
    assert "--reuid" in options
    assert "'--reuid', '0'" not in options


@as_root
@pytest.mark.parametrize(
    ("without", "right"),
    [((), "dac_read_search"), (("dac_read_search",), "dac_override")],
)
def test_a_closed_folder_is_passed_with_the_least_right_there_is(
    closed: Path, without: tuple[str, ...], right: str
) -> None:
    assert f"--ambient-caps=+{right}" in asked(closed, *without).stdout


@as_root
def test_behind_a_closed_folder_the_server_finds_its_programs_and_may_nothing_else(
    closed: Path,
) -> None:
    program = closed / "initdb"
    program.touch(mode=0o755)
    options = ast.literal_eval(asked(closed).stdout)
    look = f"import os; print(os.access({str(program)!r}, os.X_OK), os.getuid() == 0)"
    look += "; print(open('/proc/self/status').read())"
    seen = subprocess.run(
        ["setpriv", *options, sys.executable, "-c", look],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert seen.startswith("True False")
    assert f"CapEff:\t{1 << 2:016x}" in seen


@as_root
def test_a_closed_folder_that_cannot_be_passed_is_named(closed: Path) -> None:
    refused = asked(closed, "dac_read_search", "dac_override").stderr
    first = next(path for path in reversed(closed.parents) if path.stat().st_mode & 0o001 == 0)
    assert f"which may not enter {first}: open it with `chmod o+x {first}`" in refused


@as_root
def test_open_folders_need_no_right_at_all() -> None:
    assert "caps" not in asked(Path("/")).stdout


def test_a_person_runs_it_as_themselves(monkeypatch: pytest.MonkeyPatch, closed: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    mine = account.for_database([closed / "data"])
    assert (mine.uid, mine.options) == (os.getuid(), ())
