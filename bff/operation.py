"""One line of the route table at work: HTTP request → RPC → HTTP response."""

import asyncio
import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

import grpc
import orjson
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.types import Receive, Scope, Send

from bff import text_fields
from bff.body import decoded, received
from bff.from_json import assigner, object_filler
from bff.names import camel, snake
from bff.problem import Invalid, Problem, invalid, of_rpc
from bff.route import Route
from bff.to_json import converter
from bff.visit import Visit, visit_of

PATIENCE: Final = 0.1  # seconds a call may take before we look whether its client is still there

Call = Callable[..., Any]
Stubs = Callable[[str], Any]  # (full name of a service)


def rpc_of(route: Route) -> MethodDescriptor:
    """Answer the descriptor of the RPC that a route makes; a wrong name is an error at start."""
    service, _, method = route.rpc.rpartition(".")
    file = _service_module(service, "pb2").DESCRIPTOR
    found = file.services_by_name[service.rpartition(".")[2]]
    return cast(MethodDescriptor, found.methods_by_name[method])


def _service_module(service: str, kind: str) -> Any:
    """Import the generated code of a service: AuthService is in auth_service_pb2."""
    package, _, name = service.rpartition(".")
    return importlib.import_module(f"{package}.{snake(name[0].lower() + name[1:])}_{kind}")


def stubs(channel: grpc.aio.Channel) -> Stubs:
    """Answer a function that answers the stub of a service by its full name, one for each."""

    @cache
    def stub(service: str) -> Any:
        module = _service_module(service, "pb2_grpc")
        return getattr(module, f"{service.rpartition('.')[2]}Stub")(channel)

    return stub


class Operation:
    """Answers the requests of one route."""

    def __init__(self, route: Route, stub: Stubs, timeout: float) -> None:
        rpc = rpc_of(route)
        self.route = route
        self._timeout = timeout
        self._call: Call = getattr(stub(rpc.containing_service.full_name), rpc.name)
        self._new: Callable[[], Message] = GetMessageClass(rpc.input_type)
        self._type = f"{route.text}; charset=utf-8" if route.text else "application/json"
        self._write = _text_writer(rpc) if route.text else _json_writer(rpc)
        takes = dict(text_fields.takers(rpc.input_type))
        in_path = path_fields(route)
        self._path = {name: takes[name] for name in in_path}
        takes = {name: take for name, take in takes.items() if name not in in_path}
        self._query = {} if route.takes_body else takes
        fields = [field for field in rpc.input_type.fields if field.json_name not in in_path]
        self._fill = object_filler({field.json_name: assigner(field) for field in fields})
        self._cache = f"public, max-age={route.cache}" if route.cache else "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; failures leave as Problem."""
        raw = await received(receive) if self.route.takes_body else b""
        message = self._request(scope, raw)
        answer = await self._answer(message, visit_of(scope), receive)
        body = self._body(answer, visit_of(scope))
        headers = [
            (b"content-type", self._type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", self._cache.encode()),
        ]
        await send({"type": "http.response.start", "status": self.route.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _body(self, answer: Message, visit: Visit) -> bytes:  # noqa: ARG002 - for other kinds
        return self._write(answer)

    def _request(self, scope: Scope, raw: bytes) -> Message:
        """Fill the request from path, query and body."""
        message = self._new()
        try:
            if self._path:
                given = {name: [text] for name, text in scope["path_params"].items()}
                text_fields.take_all(message, self._path, given)
            if scope["query_string"]:
                texts = text_fields.texts_of_query(scope["query_string"])
                text_fields.take_all(message, self._query, texts)
            if raw:
                require_json(scope)
                self._fill(message, decoded(raw))
        except Invalid as wrong:
            raise invalid(wrong.faults) from None
        return message

    async def _answer(self, message: Message, visit: Visit, receive: Receive) -> Message:
        call = self._call(message, timeout=self._timeout, metadata=visit.metadata())
        watch = Watch(call, receive)
        try:
            return cast(Message, await call)
        except grpc.aio.AioRpcError as error:
            raise of_rpc(error) from None
        except asyncio.CancelledError:
            if not watch.client_left:
                raise
            raise Problem(499, "CANCELLED", "The client went away.") from None
        finally:
            watch.end()


def _json_writer(rpc: MethodDescriptor) -> Callable[[Message], bytes]:
    to_json = converter(rpc.output_type)
    return lambda answer: orjson.dumps(to_json(answer))


def _text_writer(rpc: MethodDescriptor) -> Callable[[Message], bytes]:
    """Write the text of an answer's only field; ValueError for an answer with others."""
    (field,) = rpc.output_type.fields
    name = field.name
    return lambda answer: cast(str, getattr(answer, name)).encode()


def path_fields(route: Route) -> list[str]:
    """Answer the JSON names of the fields in a route's path."""
    return [
        camel(part[1:].partition("}")[0]) for part in route.path.split("/") if part.startswith("{")
    ]


def require_json(scope: Scope) -> None:
    """Refuse a body of another type: a form, for one, any site could make a browser send."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value.split(b";", 1)[0].strip().lower() == b"application/json":
                return
            break
    raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json.")


class Watch:
    """Cancels a call when its client goes away; looks only once the call has taken a while."""

    __slots__ = ("_call", "_receive", "_task", "_timer", "client_left")

    def __init__(self, call: Any, receive: Receive) -> None:
        self.client_left = False
        self._call = call
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        self._call.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._task:
            self._task.cancel()
