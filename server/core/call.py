"""The call that is being served: who makes it, under which id, from where."""

import ipaddress
import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from ipaddress import IPv4Network, IPv6Network
from typing import NoReturn, Protocol
from urllib.parse import unquote

import grpc

from server.core.access import ANONYMOUS, Caller

Metadata = Iterable[tuple[str, str | bytes]]
Networks = tuple[IPv4Network | IPv6Network, ...]

IN_PROCESS = "inprocess"
EOF: object = grpc.aio.EOF  # type: ignore[attr-defined] # the published stubs lack it

_USER_AGENT_LENGTH = 256
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACE_ID = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_PEER = re.compile(r"ipv[46]:\[?([^\]]*?)\]?:\d+")


class Transport(Protocol):
    """One call as gRPC or the in-process channel brings it; messages are bytes.

    `read` answers `EOF` once the client has said all.
    """

    def invocation_metadata(self) -> Metadata | None: ...
    def peer(self) -> str: ...
    def time_remaining(self) -> float | None: ...
    def set_trailing_metadata(self, metadata: Metadata, /) -> None: ...
    async def send_initial_metadata(self, metadata: Metadata, /) -> None: ...
    async def read(self) -> bytes | object: ...
    async def write(self, message: bytes, /) -> None: ...
    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata
    ) -> NoReturn: ...


class Call:
    """What is known of a call from its metadata; `caller` once it is admitted."""

    __slots__ = (
        "_forwarded",
        "_peer",
        "_trace",
        "_trusted",
        "caller",
        "request_id",
        "token",
        "user_agent",
    )

    def __init__(self, metadata: Metadata = (), peer: str = "", trusted: Networks = ()) -> None:
        self.caller = ANONYMOUS
        self.token = self.request_id = self._trace = self._forwarded = self.user_agent = ""
        self._peer = peer
        self._trusted = trusted
        authorized = False
        for key, value in metadata:
            if key == "authorization":
                # Two say two things: no one of them is chosen, and what is kept is no token.
                self.token = f"{self.token} {_bearer(value)}" if authorized else _bearer(value)
                authorized = True
            elif key == "x-request-id":
                self.request_id = _sanitised(value)
            elif key == "traceparent":
                self._trace = str(value)
            elif key == "x-forwarded-for":
                self._forwarded = str(value)
            elif key == "x-user-agent" or (key == "user-agent" and not self.user_agent):
                self.user_agent = str(value)[:_USER_AGENT_LENGTH]
        if not self.request_id:
            self.request_id = secrets.token_hex(16)

    @property
    def trace_id(self) -> str:
        """The caller's W3C trace id; empty when there is none."""
        found = _TRACE_ID.fullmatch(self._trace)
        return found[1] if found else ""

    @property
    def address(self) -> str:
        """Where the call comes from: the peer, or whom a trusted peer says that it speaks for."""
        peer = _host(self._peer)
        if not self._forwarded or not self._trusts(peer):
            return peer
        return _host_or(self._forwarded.rsplit(",", 1)[-1].strip(), peer)

    def _trusts(self, peer: str) -> bool:
        if self._peer == IN_PROCESS:
            return True
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


_NOBODY = Call()
_NOBODY.request_id = ""
_current: ContextVar[Call] = ContextVar("call", default=_NOBODY)


def enter(call: Call) -> None:
    """Make `call` the current one; every call is served in a context of its own."""
    _current.set(call)


def caller() -> Caller:
    """Answer who makes the current call; ANONYMOUS outside one."""
    return _current.get().caller


def request_id() -> str:
    """Answer the id of the current call as it stands in logs and metadata; empty outside one."""
    return _current.get().request_id


def client_address() -> str:
    """Answer the IP address that the current call comes from; empty when it is not known."""
    return _current.get().address


def user_agent() -> str:
    """Answer what the client says that it is; nothing depends on its being true."""
    return _current.get().user_agent


def bearer_token() -> str:
    """Answer the token that the current call carries, verified or not; empty without one."""
    return _current.get().token


def _bearer(value: str | bytes) -> str:
    scheme, _, token = str(value).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _sanitised(value: str | bytes) -> str:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""


def _host(peer: str) -> str:
    found = _PEER.fullmatch(unquote(peer))
    return found[1] if found else ""


def _host_or(text: str, otherwise: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return otherwise
