"""Where servicers are registered, and what a handler may ask about the call that it serves."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from server.core.access import ANYONE, Rule, rule_of
from server.core.call import (
    Networks,
    bearer_token,
    caller,
    client_address,
    request_id,
    user_agent,
)
from server.core.errors import TooLarge, Unimplemented
from server.core.guard import Authenticate, Guard, Limits, Method
from server.core.log import Logger
from server.core.metrics import CallMetrics
from server.core.validation import request_reader

__all__ = [
    "Limits",
    "Registry",
    "bearer_token",
    "caller",
    "client_address",
    "request_id",
    "user_agent",
]

# Generic in the published stubs alone.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Open to anyone although their own contracts cannot say so.
OPEN_SERVICES = frozenset({"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"})


class Registry:
    """The table of guarded RPCs, read alike by gRPC servers and the in-process channel.

    It is given to `add_…Servicer_to_server` in the server's place, and refuses with LookupError an
    RPC that does not say who may call it.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        *,
        logger: Logger,
        metrics: CallMetrics,
        limits: Limits | None = None,
        trusted: Networks = (),
    ) -> None:
        self._limits = limits or Limits()
        self._guard = Guard(authenticate, logger, self._limits, trusted)
        self._metrics = metrics
        self._handlers: dict[str, Handler] = {}
        self._missing = self._guarded(_missing(metrics))
        self.services: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[object]) -> None:
        """Leave it: generated code gives the same handlers to the method below, with names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Guard every RPC of a service; called by generated code."""
        self.services.append(service)
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._handlers[path] = self._guarded(self._method(path, service, name, handler))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        return self.find(handler_call_details.method)

    def find(self, path: str) -> Handler:
        """Answer the guarded handler at `path`; one that refuses when there is none."""
        return self._handlers.get(path, self._missing)

    def attach(self, server: grpc.aio.Server) -> None:
        """Serve the table from a gRPC server."""
        server.add_generic_rpc_handlers((cast("grpc.GenericRpcHandler[Any, Any]", self),))

    def drain(self) -> None:
        """End all open streams with UNAVAILABLE and accept no new ones."""
        self._guard.streams.drain()

    def _method(self, path: str, service: str, name: str, handler: Handler) -> Method:
        pool = descriptor_pool.Default()
        descriptor = pool.FindMethodByName(f"{service}.{name}")
        return Method(
            path=path,
            rule=ANYONE if service in OPEN_SERVICES else rule_of(descriptor),
            read=request_reader(message_factory.GetMessageClass(descriptor.input_type)),
            write=_answer_writer(descriptor, self._limits.answer_bytes),
            handler=_behaviour(path, handler),
            meter=self._metrics.meter(path),
            streams_requests=bool(handler.request_streaming),
            streams_answers=bool(handler.response_streaming),
            quiet=service in OPEN_SERVICES,
        )

    def _guarded(self, method: Method) -> Handler:
        """Wrap a method for transports that carry bytes: no codec is given, the guard has them."""
        kind = (method.streams_requests, method.streams_answers)
        serve = self._guard.stream if any(kind) else self._guard.unary
        return _KINDS[kind](partial(serve, method))


_KINDS: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _answer_writer(descriptor: MethodDescriptor, limit: int) -> Callable[[Any], bytes]:
    expected = message_factory.GetMessageClass(descriptor.output_type)

    def write(answer: Message) -> bytes:
        if type(answer) is not expected:
            raise TypeError(f"{descriptor.full_name} answered {type(answer).__name__}")
        raw = answer.SerializeToString()
        if len(raw) > limit:
            raise TooLarge
        return raw

    return write


def _behaviour(path: str, handler: Handler) -> Callable[..., Any]:
    behaviour = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    if inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour):
        return behaviour
    if getattr(behaviour, "__module__", "").endswith("_pb2_grpc"):
        return _unimplemented
    raise TypeError(f"the handler of {path} is not asynchronous")


async def _unimplemented(_request: Any, _context: Any) -> Any:
    raise Unimplemented


def _missing(metrics: CallMetrics) -> Method:
    """Make the method that answers for paths that do not exist; it reads no request."""
    return Method(
        path="unknown",
        rule=Rule(anyone=True),
        read=Empty.FromString,
        write=Message.SerializeToString,
        handler=_unimplemented,
        meter=metrics.meter("unknown"),
        streams_requests=True,
        streams_answers=True,
    )
