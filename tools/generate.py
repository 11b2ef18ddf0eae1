"""Write the generated code of clients/ from proto/, whole or not at all.

buf writes into a folder beside; only when that went well are files replaced, and those whose
.proto is gone removed. What people wrote in the same folders is left alone.
"""

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
PYTHON = Path("clients/python")
IMAGE = Path("carelane/contract.binpb")  # the descriptors with their comments: /openapi.json
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi", IMAGE.name)


def main() -> None:
    CACHE.mkdir(exist_ok=True)
    with (
        (CACHE / "generate.lock").open("w") as lock,
        tempfile.TemporaryDirectory(dir=CACHE) as fresh,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(Path(fresh))
        changed = replace(Path(fresh) / PYTHON, ROOT / PYTHON)
    print(f"{PYTHON}: {changed} files changed." if changed else f"{PYTHON}: up to date.")


def write(folder: Path) -> None:
    """Generate into `folder`, laid out like the repository."""
    buf("generate", "-o", str(folder))
    drop_stubs_without_module(folder / PYTHON)
    image = ["--as-file-descriptor-set", "--exclude-imports", "-o", str(folder / PYTHON / IMAGE)]
    buf("build", "--path", "proto/carelane", "--path", ".cache/proto/google/type", *image)


def buf(*arguments: str) -> None:
    subprocess.run([ROOT / ".venv/bin/buf", *arguments], check=True, cwd=ROOT)


def drop_stubs_without_module(folder: Path) -> None:
    for stub in folder.rglob("*_pb2_grpc.pyi"):
        if not stub.with_suffix(".py").exists():
            stub.unlink()


def generated(folder: Path) -> set[Path]:
    found = {path.relative_to(folder) for pattern in GENERATED for path in folder.rglob(pattern)}
    return {path for path in found if path.parts[0] in {"carelane", "buf"}}


def replace(fresh: Path, target: Path) -> int:
    """Make the generated files of `target` those of `fresh`; count what changed."""
    wanted, present = generated(fresh), generated(target)
    for path in present - wanted:
        remove(target / path)
    written = [path for path in wanted if move(fresh / path, target / path)]
    return len(written) + len(present - wanted)


def remove(path: Path) -> None:
    path.unlink()
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    for folder in path.parents:
        if folder.name == "python" or any(folder.iterdir()):
            return
        folder.rmdir()


def move(source: Path, target: Path) -> bool:
    if target.exists() and target.read_bytes() == source.read_bytes():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    return True


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit("proto/ does not compile; generated code left as it is.") from error
