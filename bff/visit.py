"""What the edge knows of a request before it is read: its id, and where it comes from."""

import ipaddress
import re
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from starlette.types import Scope

from bff.problem import Problem

if TYPE_CHECKING:
    from bff.sessions import BrowserSession

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
Metadata = tuple[tuple[str, str], ...]

LONGEST_CREDENTIAL: Final = 4096  # gRPC refuses metadata of 8 KiB and more at random
LONGEST_USER_AGENT: Final = 256
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_KEY: Final = "carelane.visit"


class Visit:
    """One HTTP request: `request_id` is the client's own when it is well formed.

    `session` is that of the browser, `refused_with` the reason of a failure.
    """

    __slots__ = (
        *("_authorization", "_trace", "_user_agent"),
        *("address", "refused_with", "request_id", "session"),
    )

    def __init__(self, scope: Scope, proxies: Networks) -> None:
        self.request_id = self.refused_with = ""
        self.session: BrowserSession | None = None
        self._trace = self._user_agent = ""
        self._authorization: list[bytes] = []
        forwarded: list[str] = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                self._authorization.append(value)
            elif name == b"x-request-id":
                self.request_id = _matching(_REQUEST_ID, value)
            elif name == b"traceparent":
                self._trace = _matching(_TRACE_PARENT, value)
            elif name == b"user-agent":
                self._user_agent = _matching(_VISIBLE, value[:LONGEST_USER_AGENT])
            elif name == b"x-forwarded-for":
                forwarded += value.decode("latin-1").split(",")
        if not self.request_id:
            self.request_id = secrets.token_hex(16)
        self.address = client_address(_peer(scope), forwarded, proxies)

    @property
    def has_credential(self) -> bool:
        """Tell whether the request has an Authorization header."""
        return bool(self._authorization)

    def authorize(self, token: str) -> None:
        """Let the calls of this request carry an access token."""
        self._authorization = [f"Bearer {token}".encode()]

    def metadata(self) -> Metadata:
        """Answer what travels with the RPC; credentials that cannot, are refused with 401."""
        pairs = [("x-request-id", self.request_id)]
        if self.address:
            pairs.append(("x-forwarded-for", self.address))
        if self._trace:
            pairs.append(("traceparent", self._trace))
        if self._user_agent:
            pairs.append(("x-user-agent", self._user_agent))
        if self._authorization:
            pairs.append(("authorization", self._credential()))
        return tuple(pairs)

    def _credential(self) -> str:
        text = self._authorization[0].decode("latin-1")
        usable = len(text) <= LONGEST_CREDENTIAL and _VISIBLE.fullmatch(text)
        if len(self._authorization) > 1 or not usable:
            raise Problem(401, "UNAUTHENTICATED", "The Authorization header cannot be read.")
        return text


def _matching(pattern: re.Pattern[str], value: bytes) -> str:
    text = value.decode("latin-1")
    return text if pattern.fullmatch(text) else ""


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def client_address(peer: str, forwarded: Iterable[str], proxies: Networks) -> str:
    """Answer who asks: the last address of the chain that is not one of our own proxies.

    What stands left of it in X-Forwarded-For was written by the client and proves nothing.
    """
    address = peer
    for claimed in reversed([*forwarded]):
        if not is_in(address, proxies):
            break
        try:
            address = str(ipaddress.ip_address(claimed.strip()))
        except ValueError:
            break
    return address


def is_in(address: str, networks: Networks) -> bool:
    """Answer whether an address is in one of the networks; what is no address is in none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def enter(scope: Scope, visit: Visit) -> None:
    """Put the visit where every handler of this request finds it."""
    scope[_KEY] = visit


def visit_of(scope: Scope) -> Visit:
    """Answer the visit that the edge put into the scope."""
    visit: Visit = scope[_KEY]
    return visit
