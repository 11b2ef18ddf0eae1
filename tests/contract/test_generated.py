"""The committed code is that of proto/, and replacing it loses nothing that people wrote."""

import shutil
from pathlib import Path

from tools import generate

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_code_is_that_of_the_contract(tmp_path: Path) -> None:
    generate.write(tmp_path)
    fresh, committed = tmp_path / generate.PYTHON, ROOT / generate.PYTHON
    assert generate.generated(fresh) == generate.generated(committed)
    differing = [
        path
        for path in generate.generated(fresh)
        if (fresh / path).read_bytes() != (committed / path).read_bytes()
    ]
    assert differing == []


def test_code_whose_proto_is_gone_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "python"
    stale = put(target, "carelane/gone/v1/gone_pb2.py", "old")
    put(target, "carelane/gone/v1/__pycache__/gone_pb2.pyc", "old")
    fresh = tmp_path / "fresh"
    put(fresh, "carelane/here/v1/here_pb2.py", "new")
    assert generate.replace(fresh, target) == 2
    assert not stale.parent.parent.exists()
    assert (target / "carelane/here/v1/here_pb2.py").read_text() == "new"


def test_what_people_wrote_beside_it_stays(tmp_path: Path) -> None:
    target = tmp_path / "python"
    written = put(target, "carelane/sync/client.py", "by hand")
    shutil.copytree(target, tmp_path / "fresh")
    assert generate.replace(tmp_path / "fresh", target) == 0
    assert written.read_text() == "by hand"


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    same = put(tmp_path / "python", "carelane/a/v1/a_pb2.py", "same")
    put(tmp_path / "fresh", "carelane/a/v1/a_pb2.py", "same")
    before = same.stat().st_mtime_ns
    assert generate.replace(tmp_path / "fresh", tmp_path / "python") == 0
    assert same.stat().st_mtime_ns == before


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path
