"""What a handler is given as its `context`."""

from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message

from server.core import errors
from server.core.call import EOF, Metadata, Transport
from server.core.errors import Error
from server.core.stream import Requests

_BY_CODE: dict[grpc.StatusCode, type[Error]] = {
    error.code: error
    for error in (
        errors.InvalidFields,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.NotFound,
        errors.AlreadyExists,
        errors.FailedPrecondition,
        errors.Conflict,
        errors.OutOfRange,
        errors.ResourceExhausted,
        errors.Unavailable,
        errors.Unimplemented,
    )
}


class HandlerContext:
    """The part of `grpc.aio.ServicerContext` that handlers use; messages in place of bytes.

    Handlers raise errors of the tree. `abort` is for servicers that come from libraries.
    """

    __slots__ = ("_requests", "_transport", "_write")

    def __init__(self, transport: Transport, write: Any, requests: Requests | None = None) -> None:
        self._transport = transport
        self._write = write
        self._requests = requests

    async def read(self) -> Message | object:
        """Answer the next request, `grpc.aio.EOF` after the last one."""
        if self._requests is None:
            return EOF
        return await anext(self._requests, EOF)

    async def write(self, message: Message) -> None:
        """Send one answer of a stream."""
        await self._transport.write(self._write(message))

    async def abort(self, code: grpc.StatusCode, details: str = "", *_: Any) -> NoReturn:
        """Raise the error of the tree that has `code`."""
        error = _BY_CODE.get(code)
        if error is None:
            raise RuntimeError(f"a handler aborted with {code.name}")
        raise error(details)

    def invocation_metadata(self) -> Metadata:
        return self._transport.invocation_metadata() or ()

    def peer(self) -> str:
        return self._transport.peer()

    def time_remaining(self) -> float | None:
        """Answer the seconds until the caller's deadline; None without one."""
        return self._transport.time_remaining()
