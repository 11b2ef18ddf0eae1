"""The ways by which letters leave: SMTP, or a folder on the machine of who develops."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

SECONDS = 30.0


class Refused(Exception):
    """The other side will never take this letter; to repeat it is of no use."""


class Outgoing(NamedTuple):
    """A letter as it leaves; `name` is the same however often it is sent."""

    name: str
    to: str
    subject: str
    body: str
    time: datetime


class Transport(Protocol):
    """A way by which letters leave."""

    async def send(self, letter: Outgoing) -> None:
        """Hand a letter over; Refused when that can never be, anything else may be repeated."""


Transports = Mapping[str, Transport]


class Smtp:
    """A mail server: `smtps://` speaks TLS from the start, `smtp://` turns to it.

    With `clear` it is spoken to as it is, which only one on this machine should be.
    """

    def __init__(self, url: str, sender: str, *, clear: bool = False) -> None:
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        self._sender = sender
        self._server: dict[str, Any] = {
            "hostname": parts.hostname or "",
            "port": parts.port,
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": tls,
            "start_tls": not tls and not clear,
            "timeout": SECONDS,
        }

    async def greet(self) -> None:
        """Sign in at the server and leave; raises what stands in the way."""
        async with aiosmtplib.SMTP(**self._server):
            pass

    async def send(self, letter: Outgoing) -> None:
        try:
            await aiosmtplib.send(
                written(letter, self._sender),
                sender=parseaddr(self._sender)[1],
                recipients=[letter.to],
                **self._server,
            )
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            if all(_is_final(each.code) for each in refusal.recipients):
                raise Refused from None
            raise
        except aiosmtplib.SMTPDataError as refusal:
            if _is_final(refusal.code):
                raise Refused from None
            raise


class Folder:
    """A folder of .eml files; text messages go there, too."""

    def __init__(self, path: Path, sender: str) -> None:
        self._path = path
        self._sender = sender

    async def send(self, letter: Outgoing) -> None:
        await asyncio.to_thread(self._write, letter)

    def _write(self, letter: Outgoing) -> None:
        """Write it whole or not at all, for its owner alone."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path / f"{letter.time:%Y%m%dT%H%M%S.%fZ}-{letter.name}.eml"
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(written(letter, self._sender).as_bytes())
        draft.replace(path)


def written(letter: Outgoing, sender: str) -> EmailMessage:
    """Write a letter as a message of RFC 5322, the same to the byte each time."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = _addressed(letter.to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.time)
    message["Message-ID"] = f"<{letter.name}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body)
    return message


def _addressed(to: str) -> Address | str:
    """Write an address, quoted where it needs to be (`"a..b"@x.example`); a number is itself."""
    local, at, domain = to.rpartition("@")
    return Address(username=local, domain=domain) if at else to


def _is_final(code: int) -> bool:
    return 500 <= code < 600
