"""The contract as buf reads it, and a copy of it to break."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]
BUF = ROOT / ".venv/bin/buf"
RELEASED = ROOT / "proto/released.binpb"


@dataclass(frozen=True, slots=True)
class Contract:
    """A folder with buf.yaml, proto/ and the third-party files."""

    folder: Path

    def buf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [BUF, *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one place of `old` in proto/carelane/<name>."""
        path = self.folder / "proto/carelane" / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{name} has {text.count(old)} places of {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def files(self) -> list[FileDescriptorProto]:
        """Read our files, comments included."""
        target = self.folder / "read.binpb"
        built = self.buf("build", "--path", "proto/carelane", "-o", str(target))
        assert built.returncode == 0, built.stdout + built.stderr
        every = FileDescriptorSet.FromString(target.read_bytes()).file
        return [file for file in every if file.package.startswith("carelane.")]


@pytest.fixture(scope="session")
def third_party() -> Path:
    folder = ROOT / ".cache/proto"
    assert (folder / ".ready").exists(), "run `make proto-cache` first, as `make test` does"
    return folder


@pytest.fixture
def contract(tmp_path: Path, third_party: Path) -> Contract:
    """A copy of the contract that a test may spoil."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    (tmp_path / ".cache").mkdir()
    shutil.copytree(third_party, tmp_path / ".cache/proto")
    return Contract(tmp_path)


@pytest.fixture
def breaking(contract: Contract) -> Callable[[], str]:
    """Compare the copy with the last release: what buf says, empty when nothing broke."""

    def compare() -> str:
        answer = contract.buf("breaking", "proto", "--exclude-imports", "--against", str(RELEASED))
        assert answer.returncode in {0, 100}, answer.stderr
        return answer.stdout

    return compare
