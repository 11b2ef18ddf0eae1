"""The data folder: one launcher at a time, and one clear sentence for each that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from launch import folder, secret_file
from launch.errors import AlreadyRunning, Refusal

if TYPE_CHECKING:
    from pathlib import Path


def occupy(path: Path) -> None:
    with folder.occupied(path, rest="http://127.0.0.1:8000", grpc="127.0.0.1:50051"):
        pass


def test_a_second_launcher_is_told_who_runs_where(tmp_path: Path) -> None:
    with (
        folder.occupied(tmp_path, rest="http://127.0.0.1:8000", grpc="127.0.0.1:50051"),
        pytest.raises(AlreadyRunning) as told,
    ):
        occupy(tmp_path)
    assert f"(pid {os.getpid()}): REST at http://127.0.0.1:8000" in str(told.value)
    occupy(tmp_path)


def test_a_killed_launcher_does_not_keep_the_folder(tmp_path: Path) -> None:
    holder = (
        "import os, pathlib, signal\nfrom launch.folder import occupied\n"
        f"with occupied(pathlib.Path({str(tmp_path)!r}), rest='r', grpc='g'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", holder], check=False)
    assert killed.returncode == -9
    assert (tmp_path / "running.json").exists()
    occupy(tmp_path)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"format": folder.FORMAT - 1}, "written by an older Carelane"),
        ({"format": folder.FORMAT + 1}, "written by a newer Carelane"),
        ({}, r"format\.json is damaged"),
    ],
)
def test_data_of_another_release_is_refused(
    tmp_path: Path, written: dict[str, int], sentence: str
) -> None:
    (tmp_path / "format.json").write_text(json.dumps(written))
    with pytest.raises(Refusal, match=sentence):
        occupy(tmp_path)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(Refusal, match=r"holds thesis\.odt but no format\.json"):
        occupy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "thesis.odt"]


def test_a_full_disk_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "ROOM_FOR_NEW", 2**60)
    with pytest.raises(Refusal, match=r"The disk of .* has \d+ MB left and Carelane needs"):
        occupy(tmp_path)
    assert not (tmp_path / "format.json").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(Refusal, match="Cannot write to the data folder"):
        occupy(tmp_path / "data")


def test_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = secret_file.credentials(path, ["one", "two"])
    assert made["one"] != made["two"]
    assert secret_file.credentials(path, ["one", "two"]) == made
    assert path.stat().st_mode & 0o077 == 0


def test_damaged_secrets_are_said(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"one": ')
    with pytest.raises(Refusal, match=r"keys\.json is damaged"):
        secret_file.credentials(tmp_path / "keys.json", ["one"])
