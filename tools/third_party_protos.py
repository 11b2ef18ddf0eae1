"""Gather the third-party .proto files that ours import, from pinned packages.

google/* lies in the googleapis-common-protos wheel of the environment; buf/validate/validate.proto
only in protovalidate's source archive, which pip fetches and checks against its locked hash.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import files
from pathlib import Path
from typing import IO, cast

ROOT = Path(__file__).resolve().parent.parent
VALIDATE = "buf/validate/validate.proto"
FETCH = [".uv/bin/pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
FROM_LOCKED_SOURCE = ["--no-binary=:all:", "--no-build-isolation", "--require-hashes"]
LOCK = ["-r", "requirements-proto.lock"]
GOOGLE = ("google/api/", "google/rpc/", "google/type/")


def main(cache: Path) -> None:
    """Fill `cache` anew; its `.ready` file is written last."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as fresh:
        gather(Path(fresh))
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(fresh, cache)
    (cache / ".ready").touch()


def gather(target: Path) -> None:
    for name, content in (google_protos() | validate_proto()).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def google_protos() -> dict[str, bytes]:
    listed = files("googleapis-common-protos") or []
    return {
        str(file): Path(file.locate()).read_bytes()
        for file in listed
        if file.suffix == ".proto" and str(file).startswith(GOOGLE)
    }


def validate_proto() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*FETCH, *FROM_LOCKED_SOURCE, *LOCK, "-d", folder], check=True, cwd=ROOT)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as source:
            (name,) = (n for n in source.getnames() if n.endswith(f"/upstream/proto/{VALIDATE}"))
            return {VALIDATE: cast("IO[bytes]", source.extractfile(name)).read()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
