"""`carelane up` as a person runs it: start, stop in every way, start again after every death."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launch.seed.people import DEMO_PASSWORD
from tests.running import CARELANE, READY, Up, left, up

if TYPE_CHECKING:
    from collections.abc import Iterator


# They hand on one folder, so one process runs them.
pytestmark = pytest.mark.xdist_group("up")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that tests hand on, since the first start takes the longest."""
    return tmp_path_factory.mktemp("home") / "data"


def signs_in(running: Up) -> bool:
    """Say whether the demo patient gets in, which takes everything from REST to the data."""
    person = {"email": "patient@demo.carelane.example", "password": DEMO_PASSWORD}
    return running.post("/api/auth/login", person).status_code == 200


def starved(pid: int) -> float:
    """Return the seconds that others kept a process from running, which say nothing about it."""
    schedule = Path(f"/proc/{pid}/schedstat")
    return int(schedule.read_text().split()[1]) / 1e9 if schedule.exists() else 0.0


def test_a_kill_during_the_first_start_does_no_harm(folder: Path) -> None:
    with up(folder) as killed:
        while not list(folder.glob("postgres/data.new.*")):
            assert killed.process.poll() is None, killed.said
        killed.process.kill()
        killed.process.wait()
        with up(folder) as first:
            first.until(READY)
            assert signs_in(first)
            assert first.stop(signal.SIGTERM) == 0
            assert left(folder) == []


def test_the_second_start_is_quick_says_where_and_as_whom_and_tells_another_one(
    folder: Path,
) -> None:
    if not (folder / "environment").exists():  # this test alone
        with up(folder) as earlier:
            earlier.until(READY)
            assert earlier.stop() == 0
    began = time.monotonic()
    with up(folder) as second:
        second.until(READY)
        assert time.monotonic() - began - starved(second.process.pid) <= 5
        for name in ("patient", "doctor", "clinic", "admin"):
            assert f"{name}@demo.carelane.example" in second.said
        assert "EMBEDDED_SERVICES='true'" in (folder / "environment").read_text()
        answers = [pasted(command) for command in suggested(second)]
        assert answers
        assert all(json.loads(answer)["doctors"] for answer in answers)
        [command] = [line for line in second.said.splitlines() if "pending=" in line]
        assert "accessToken" in typed(command)
        with up_beside(folder) as another:
            assert another.process.wait(20) == 1
            assert f"already running on {folder} (pid {second.process.pid})" in another.said
            assert f"REST at http://127.0.0.1:{second.rest}" in another.said
            assert "Traceback" not in another.said
        assert signs_in(second)
        second.process.send_signal(signal.SIGINT)
        assert second.stop(signal.SIGINT) == 0, "a person insists"
        assert left(folder) == []


def suggested(running: Up) -> list[str]:
    """Return the commands of the welcome that this machine has the programs for."""
    lines = [line.strip().removeprefix("or ") for line in running.said.splitlines()]
    programs = (".venv/bin/buf ", "curl ", "grpcurl ")
    return [
        line for line in lines if line.startswith(programs) and _is_here(line.partition(" ")[0])
    ]


def _is_here(program: str) -> bool:
    return shutil.which(program) is not None or (ROOT / program).exists()


def pasted(command: str) -> str:
    """Run a command as a shell would in the project's folder, and return what it says."""
    done = subprocess.run(
        shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def typed(command: str) -> str:
    """Run a line in a shell in the project's folder, and return what it says."""
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@contextmanager
def up_beside(folder: Path) -> Iterator[Up]:
    """Run a second one, which is to end by itself and to touch nothing of the first."""
    running = Up(folder)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_after_a_kill_the_next_start_recovers_and_leaves_nothing(folder: Path) -> None:
    with up(folder) as killed:
        killed.until(READY)
        orphans = {found["pid"] for found in left(folder)}
        killed.process.kill()
        killed.process.wait()
        with up(folder) as next_one:
            next_one.until(READY)
            assert signs_in(next_one)
            assert not {found["pid"] for found in left(folder)} & orphans
            postmaster = int((folder / "postgres/data/postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
            next_one.until("PostgreSQL ended by itself and was started again")
            assert signs_in(next_one)
            assert next_one.stop(signal.SIGHUP) == 0, "the terminal closes"
        assert left(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_end_while_starting_leaves_nothing(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "data"
    with up(folder) as running:
        running.until("PostgreSQL starts")
        assert running.stop(number) in {0, 130}
        assert "Traceback" not in running.said
    assert left(folder) == []


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with up(folder, "--rest-port", str(port)) as refused:
            assert refused.process.wait(20) == 1
            assert f"Port {port}, which REST needs, is taken by" in refused.said
            assert f"(pid {os.getpid()})" in refused.said
            assert "Traceback" not in refused.said
    assert not (folder / "postgres").exists()


def test_a_file_of_settings_names_the_folder_and_the_ports(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        address = f"HTTP_ADDRESS=127.0.0.1:{port}\nGRPC_ADDRESS=127.0.0.1:{port - 1}\n"
        (tmp_path / ".env").write_text(f"CARELANE_FOLDER=elsewhere\n{address}")
        named = {"CARELANE_FOLDER", "HTTP_ADDRESS", "GRPC_ADDRESS"}
        run = subprocess.run(
            [CARELANE, "up"],
            check=False,
            cwd=tmp_path,
            env={name: os.environ[name] for name in os.environ.keys() - named},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert run.returncode == 1
    assert f"Port {port}, which REST needs, is taken by" in " ".join(
        (run.stdout + run.stderr).split()
    )
    assert (tmp_path / "elsewhere").is_dir()


def test_an_older_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "format.json").write_text('{"format": 0}')
    with up(folder) as refused:
        assert refused.process.wait(20) == 1
        assert "was written by an older Carelane" in refused.said
        assert len(refused.said.strip().splitlines()) == 1


@pytest.mark.deep
@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.8, 2.6, 3.5])
def test_a_kill_at_any_moment_of_the_start_does_no_harm(tmp_path: Path, seconds: float) -> None:
    folder = tmp_path / "data"
    with up(folder) as killed:
        time.sleep(seconds)  # wherever it is by then
        killed.process.kill()
        killed.process.wait()
        with up(folder) as next_one:
            next_one.until(READY)
            assert signs_in(next_one)
            assert next_one.stop() == 0
    assert left(folder) == []
