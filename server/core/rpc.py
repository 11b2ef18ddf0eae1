"""The guard around every RPC, and what a handler may ask about the call that it serves."""

from contextvars import ContextVar

from server.core.access import ANONYMOUS, Caller

_caller: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_client_address: ContextVar[str] = ContextVar("client_address", default="")


def caller() -> Caller:
    """Answer who makes the current call; ANONYMOUS outside one."""
    return _caller.get()


def request_id() -> str:
    """Answer the id of the current call as it stands in logs and metadata; empty outside one."""
    return _request_id.get()


def client_address() -> str:
    """Answer the address that the current call comes from; empty when it is not known."""
    return _client_address.get()
