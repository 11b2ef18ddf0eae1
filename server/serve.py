"""Serve an app over gRPC, and end within ten seconds of being asked to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from server import app as apps
from server.app import App
from server.core.log import capture_libraries
from server.probes import Probes
from server.settings import Settings

MIB = 1024 * 1024
MAX_METADATA = 8 * 1024

OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * MIB),
    ("grpc.max_send_message_length", 4 * MIB),
    # Between the two gRPC refuses at random; as one number it is a limit.
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", MAX_METADATA),
    # A BFF brings the calls of all its users over one connection.
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.max_connection_idle_ms", 15 * 60_000),
    ("grpc.max_connection_age_ms", 2 * 60 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


class AddressTaken(Exception):
    """The address cannot be listened on."""


@asynccontextmanager
async def listening(app: App) -> AsyncIterator[int]:
    """Serve `app` on GRPC_ADDRESS while the block runs, and answer the port.

    At the end streams are ended with UNAVAILABLE, other calls have STOP_SECONDS to finish.
    """
    settings = app.parts.settings
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=settings.max_concurrent_calls)
    app.registry.attach(server)
    port = _bind(server, settings)
    await server.start()
    try:
        yield port
    finally:
        await app.drain()
        await server.stop(settings.stop_seconds)


async def serve(
    settings: Settings, *, ready: asyncio.Event | None = None, stop: asyncio.Event
) -> None:
    """Run the server on its own until `stop` is set; set `ready` once it listens."""
    async with apps.opened(settings) as app:
        log = app.parts.logger
        capture_libraries(log)
        async with Probes(app).listening(settings.metrics_address), listening(app) as port:
            log.info("listening", port=port, tls=bool(settings.tls_cert_file))
            if ready is not None:
                ready.set()
            await stop.wait()
            log.info("stopping")
    log.info("stopped")


def _bind(server: grpc.aio.Server, settings: Settings) -> int:
    try:
        if not settings.tls_cert_file:
            return server.add_insecure_port(settings.grpc_address)
        return server.add_secure_port(settings.grpc_address, _credentials(settings))
    except RuntimeError:
        raise AddressTaken(f"cannot listen on GRPC_ADDRESS={settings.grpc_address}") from None


def _credentials(settings: Settings) -> grpc.ServerCredentials:
    pair = (Path(settings.tls_key_file).read_bytes(), Path(settings.tls_cert_file).read_bytes())
    clients = settings.tls_client_ca_file
    return grpc.ssl_server_credentials(
        [pair],
        root_certificates=Path(clients).read_bytes() if clients else None,
        require_client_auth=bool(clients),
    )
