"""The page on which who develops reads the mails of the platform."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from bff.app import create_app
from bff.settings import Settings


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    for name, subject in (("20260703T1-a", "First <b>"), ("20260703T2-b", "Second")):
        mail = EmailMessage()
        mail["To"], mail["From"], mail["Date"] = "asha@mail.example", "x@y.example", "now"
        mail["Subject"] = subject
        mail.set_content("See <script> http://localhost:3000/verify#token=abc\n")
        (tmp_path / f"{name}.eml").write_bytes(bytes(mail))
    (tmp_path / "secret.json").write_text("{}")
    return tmp_path


async def opened(address: str = "127.0.0.1", **values: Any) -> AsyncIterator[httpx.AsyncClient]:
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    app = create_app(channel, Settings(_env_file=None, **values))
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://carelane") as client:
        yield client
    await channel.close()


async def test_mails_are_listed_the_newest_first(folder: Path) -> None:
    async for web in opened(mail_folder=str(folder)):
        page = (await web.get("/inbox")).text
        assert page.index("Second") < page.index("First &lt;b&gt;")
        assert "secret" not in page


async def test_a_mail_is_shown_as_text_with_its_links(folder: Path) -> None:
    async for web in opened(mail_folder=str(folder)):
        answer = await web.get("/inbox/20260703T2-b.eml")
        link = "http://localhost:3000/verify#token=abc"
        assert f'<a href="{link}">{link}</a>' in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/inbox/secret.json", "/inbox/..%2Fsecret.json", "/inbox/x.eml", "/inbox/%00.eml"]
)
async def test_other_files_are_not_shown(folder: Path, path: str) -> None:
    async for web in opened(mail_folder=str(folder)):
        assert (await web.get(path)).status_code == 404


async def test_it_exists_for_this_machine_alone_and_only_with_a_folder(folder: Path) -> None:
    async for web in opened("203.0.113.1", mail_folder=str(folder)):
        assert (await web.get("/inbox")).status_code == 404
    async for web in opened():
        assert (await web.get("/inbox")).status_code == 404


def test_production_refuses_it() -> None:
    with pytest.raises(ValueError, match="MAIL_FOLDER"):
        Settings(
            _env_file=None,  # type: ignore[call-arg]
            environment="production",
            mail_folder="mail",
            cors_origins=("https://app.example",),
        )
