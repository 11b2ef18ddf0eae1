"""Serving the application over HTTP, alone or inside another process."""

from pathlib import Path
from typing import Final

import grpc
import uvicorn
from starlette.types import ASGIApp

from bff.app import create_app
from bff.log import logger
from bff.protocol import BoundedHttp
from bff.settings import Settings

# One connection carries all calls of a process; HTTP/2 pings find a server that vanished.
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_retries", 0),
)


def config(app: ASGIApp, *, grace: float) -> uvicorn.Config:
    """Configure the HTTP server; requests that run when it stops have `grace` seconds."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, round(grace)),
        backlog=1024,
    )


async def run(settings: Settings) -> None:
    """Serve REST over a channel to the gRPC server of the settings, until a signal."""
    log = logger(settings.log_level)
    async with connect(settings) as channel:
        app = create_app(channel, settings, logger=log)
        serving = config(app, grace=8)
        host, _, port = settings.http_address.rpartition(":")
        serving.host, serving.port = host.strip("[]"), int(port)
        await uvicorn.Server(serving).serve()


def connect(settings: Settings) -> grpc.aio.Channel:
    """Open a channel to the gRPC server of the settings."""
    if not settings.grpc_ca_file:
        return grpc.aio.insecure_channel(settings.grpc_target, _OPTIONS)
    authority = Path(settings.grpc_ca_file).read_bytes()
    credentials = grpc.ssl_channel_credentials(authority)
    return grpc.aio.secure_channel(settings.grpc_target, credentials, _OPTIONS)
