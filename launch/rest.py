"""The BFF as a running HTTP server inside a loop that somebody else owns."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from bff.serve import config
from launch import ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

BACKLOG = 1024


@asynccontextmanager
async def listening(app: FastAPI, address: str, *, grace: float) -> AsyncIterator[None]:
    """Serve an application on an address while the block runs; PortTaken when somebody else does.

    At the end requests have `grace` seconds to finish, or none when the waiting is cancelled.
    """
    server = _Uvicorn(config(app, grace=grace))
    serving = asyncio.create_task(server.serve([_listen(address)]))
    try:
        yield
    finally:
        server.should_exit = True
        try:
            await asyncio.shield(serving)
        finally:
            server.force_exit = True
            await serving


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own view of signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    ports.refuse_taken(host, int(port), purpose="REST", setting="HTTP_ADDRESS")
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, int(port)))
    listening.listen(BACKLOG)
    return listening
