"""The BFF as a running HTTP server inside a loop that somebody else owns."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from launch import ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

KEEP_ALIVE_SECONDS = 20
BACKLOG = 1024
# uvicorn has no limit on the time a client takes for its headers: a proxy in front has to.
MAX_CONNECTIONS = 2000
HEADER_BYTES = 32 * 1024


@asynccontextmanager
async def listening(app: FastAPI, address: str, *, grace: float) -> AsyncIterator[None]:
    """Serve an application on an address while the block runs; PortTaken when somebody else does.

    At the end requests have `grace` seconds to finish, or none when the waiting is cancelled.
    """
    server = _Uvicorn(_config(app, grace))
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


def _config(app: FastAPI, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(grace)),
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    ports.refuse_taken(host, int(port), purpose="REST", setting="HTTP_ADDRESS")
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, int(port)))
    listening.listen(BACKLOG)
    return listening
