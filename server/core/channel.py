"""A channel to servicers in the same process, with the surface of `grpc.aio.Channel`.

Stubs cannot tell it from a channel over the network: messages cross as bytes, each call is served
in a fresh context, and deadlines, cancellation, metadata and errors behave as on the wire. It has
no credentials, no compression and no failures of a network; arguments about them are ignored.
"""

import asyncio
import re
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Self, TypeVar

import grpc

from server.core.client_call import (
    Deserialise,
    Serialise,
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
)
from server.core.exchange import Exchange, Status, StatusCode, Wire
from server.core.rpc import Registry

MAX_METADATA = 8 * 1024
MAX_STOP = 5.0  # seconds that cut-off handlers have to clean up

Requests = AsyncIterable[Any] | Iterable[Any] | None
OneRequestCall = TypeVar("OneRequestCall", UnaryUnaryCall, UnaryStreamCall)
ManyRequestsCall = TypeVar("ManyRequestsCall", StreamUnaryCall, StreamStreamCall)

_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


class InProcessChannel(grpc.aio.Channel):
    """Calls the handlers of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[asyncio.Task[None], Exchange] = {}
        self._closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        return self._one_request(UnaryUnaryCall, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        return self._one_request(UnaryStreamCall, method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        return self._many_requests(
            StreamUnaryCall, method, request_serializer, response_deserializer
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        return self._many_requests(
            StreamStreamCall, method, request_serializer, response_deserializer
        )

    async def close(self, grace: float | None = None) -> None:
        """Take no more calls; wait `grace` seconds for those that run, then cancel them."""
        self._closed = True
        if self._open and grace:
            await asyncio.wait(self._open, timeout=grace)
        for exchange in list(self._open.values()):
            exchange.cancelled_by_client |= exchange.stop(
                Status(StatusCode.CANCELLED, "Channel is closed.")
            )
        if self._open:
            await asyncio.wait(self._open, timeout=MAX_STOP)

    def get_state(self, *_: Any, **__: Any) -> grpc.ChannelConnectivity:
        states = grpc.ChannelConnectivity
        return states.SHUTDOWN if self._closed else states.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait for ever while the channel is open: only closing it changes its state."""
        if self.get_state() is last_observed_state:
            await asyncio.get_running_loop().create_future()

    async def channel_ready(self) -> None:
        """Answer at once: there is nothing to connect to."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _one_request(
        self,
        kind: type[OneRequestCall],
        method: str,
        serialise: Serialise | None,
        deserialise: Deserialise | None,
    ) -> Callable[..., OneRequestCall]:
        codec = (serialise or bytes, deserialise or bytes)
        serve = _behaviour(self._registry.find(method))

        def call(
            request: Any, *, timeout: float | None = None, metadata: Any = None, **_: Any
        ) -> OneRequestCall:
            raw = codec[0](request)
            exchange = self._exchange(metadata, timeout)
            exchange.requests.close()
            if exchange.accepts(raw):
                self._serve(exchange, serve(raw, exchange))
            return kind(exchange, *codec)

        return call

    def _many_requests(
        self,
        kind: type[ManyRequestsCall],
        method: str,
        serialise: Serialise | None,
        deserialise: Deserialise | None,
    ) -> Callable[..., ManyRequestsCall]:
        codec = (serialise or bytes, deserialise or bytes)
        serve = _behaviour(self._registry.find(method))

        def call(
            request_iterator: Requests = None,
            timeout: float | None = None,
            metadata: Any = None,
            **_: Any,
        ) -> ManyRequestsCall:
            exchange = self._exchange(metadata, timeout)
            self._serve(exchange, serve(None, exchange))
            made = kind(exchange, *codec)
            if request_iterator is not None:
                made.send(request_iterator)
            return made

        return call

    def _exchange(self, metadata: Any, timeout: float | None) -> Exchange:
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        wire = _wire(metadata) if metadata else ()
        exchange = Exchange(wire, timeout)
        if wire and sum(len(key) + len(value) + 32 for key, value in wire) > MAX_METADATA:
            exchange.end(
                Status(StatusCode.RESOURCE_EXHAUSTED, "received metadata size exceeds limit")
            )
        return exchange

    def _serve(self, exchange: Exchange, serving: Any) -> None:
        if exchange.status is not None:
            serving.close()
            return
        task = exchange.start(serving)
        self._open[task] = exchange
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        del self._open[task]


def _behaviour(handler: Any) -> Callable[[bytes | None, Exchange], Any]:
    serve: Callable[[bytes | None, Exchange], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return serve


def _wire(metadata: Iterable[tuple[str, str | bytes]]) -> Wire:
    return tuple(_checked(key, value) for key, value in metadata)


def _checked(key: str, value: str | bytes) -> tuple[str, str | bytes]:
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise TypeError("binary metadata is bytes")
    elif isinstance(value, bytes):
        value = value.decode("ascii")
    if not _KEY.fullmatch(key) or (isinstance(value, str) and not _VALUE.fullmatch(value)):
        raise grpc.aio.InternalError("the metadata is not valid")
    return key, value
