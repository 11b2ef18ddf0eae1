"""/inbox: the mails and text messages that a platform in development has written to a folder."""

import asyncio
import base64
import email
import hashlib
import html
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from bff.problem import NO_PATH, Problem
from bff.visit import Networks, is_in, visit_of

MOST: Final = 200
_NAME: Final = re.compile(r"[0-9A-Za-z.-]+\.eml")
_LINK: Final = re.compile(r"https?://[^\s<>\"']+")
_STYLE: Final = """
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }
td, th { text-align: left; padding: 0.2rem 1.5rem 0.2rem 0; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Carelane inbox</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<h1><a href="/inbox">Inbox</a></h1>
{body}
</body>
</html>
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes(folder: Path, developers: Networks) -> list[Route]:
    """Answer the list of mails, and each mail; they exist for `developers` alone."""

    async def listed(request: Request) -> HTMLResponse:
        _admit(request, developers)
        return _shown(await asyncio.to_thread(_list, folder))

    async def read(request: Request) -> HTMLResponse:
        _admit(request, developers)
        name = request.path_params["name"]
        path = folder / name
        if not _NAME.fullmatch(name) or not path.is_file():
            raise Problem(404, "NOT_FOUND", NO_PATH)
        return _shown(await asyncio.to_thread(_read, path))

    return [Route("/inbox", listed), Route("/inbox/{name}", read)]


def _admit(request: Request, developers: Networks) -> None:
    if not is_in(visit_of(request.scope).address, developers):
        raise Problem(404, "NOT_FOUND", NO_PATH)


def _shown(body: str) -> HTMLResponse:
    page = _PAGE.format(style=_STYLE, body=body)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


def _list(folder: Path) -> str:
    """Write the newest mails as a table, the newest first."""
    paths = sorted(folder.glob("*.eml"), reverse=True)[:MOST]
    if not paths:
        return "<p>Nothing has been sent yet.</p>"
    head = "<tr><th>Sent</th><th>To</th><th>Subject</th></tr>"
    return f"<table>{head}{''.join(_rows(paths))}</table>"


def _rows(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        mail = _parsed(path)
        sent, to, subject = (html.escape(str(mail[name])) for name in ("Date", "To", "Subject"))
        link = f'<a href="/inbox/{path.name}">{subject}</a>'
        yield f"<tr><td>{sent}</td><td>{to}</td><td>{link}</td></tr>"


def _read(path: Path) -> str:
    mail = _parsed(path)
    head = "".join(
        f"<tr><th>{name}</th><td>{html.escape(str(mail[name]))}</td></tr>"
        for name in ("From", "To", "Date", "Subject")
    )
    text = _LINK.sub(r'<a href="\g<0>">\g<0></a>', html.escape(str(mail.get_content())))
    return f"<table>{head}</table><pre>{text}</pre>"


def _parsed(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=default)
