"""In development letters are written to a folder."""

import asyncio
import stat
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from pydantic import SecretStr

from server import work
from server.mail.transport import Folder, Outgoing, Smtp
from server.settings import Settings

LETTER = Outgoing(
    "0190b2c4", "asha@mail.example", "Söme news", "Hello,\n", datetime(2026, 7, 3, tzinfo=UTC)
)


def test_a_letter_is_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "mail", "Carelane <no-reply@carelane.test>")
    for _ in range(2):
        asyncio.run(folder.send(LETTER))
    (path,) = (tmp_path / "mail").iterdir()
    assert path.name == "20260703T000000.000000Z-0190b2c4.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert (message["To"], message["Subject"]) == ("asha@mail.example", "Söme news")


def test_a_text_message_goes_there_too(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "Carelane <no-reply@carelane.test>")
    asyncio.run(folder.send(LETTER._replace(to="+919820012345")))
    (path,) = tmp_path.iterdir()
    assert b"To: +919820012345" in path.read_bytes()


def ways(**settings: str) -> dict[str, type]:
    made = Settings(_env_file=None, **settings)  # type: ignore[arg-type,call-arg]
    return {channel: type(way) for channel, way in work.transports(made).items()}


def test_a_mail_server_comes_before_the_folder() -> None:
    url = SecretStr("smtp://127.0.0.1:25")
    assert ways(smtp_url="", mail_folder="") == {}
    assert ways(smtp_url="", mail_folder="mail") == {"email": Folder, "sms": Folder}
    assert ways(smtp_url=url.get_secret_value(), mail_folder="mail") == {
        "email": Smtp,
        "sms": Folder,
    }


def test_another_machine_is_never_spoken_to_in_clear() -> None:
    for url, start_tls in (("smtp://127.0.0.1:25", False), ("smtp://mail.example:587", True)):
        settings = Settings(_env_file=None, smtp_url=url)  # type: ignore[call-arg]
        way = work.transports(settings)["email"]
        assert isinstance(way, Smtp)
        assert way._server["start_tls"] is start_tls
