"""Which page made a request: browsers say so in headers that no page can forge."""

from collections.abc import Collection
from typing import Final

from starlette.types import Scope

from bff.problem import Problem

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(scope: Scope, origins: Collection[str], *, https: bool) -> None:
    """Refuse what no page of `origins`, or of this very host, has sent.

    A request without any of these headers comes from a program, which has no use for cookies.
    """
    origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
    if origin:
        known = origin in origins
        own = site != "cross-site" and _is_host(origin, header(scope, b"host"), https=https)
        if known or own:
            return
    elif site == "same-origin":
        return
    raise Problem(
        403, "ORIGIN_REFUSED", "Pages of this origin may not use the session; see CORS_ORIGINS."
    )


def header(scope: Scope, name: bytes) -> str:
    """Answer a header of the request; one that is given twice counts as unknown."""
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        return "null"
    return values[0].decode("latin-1") if values else ""


def _is_host(origin: str, host: str, *, https: bool) -> bool:
    scheme, separator, netloc = origin.partition("://")
    schemes = {"https"} if https else {"http", "https"}
    return bool(separator) and scheme in schemes and netloc.lower() == host.lower() != ""
