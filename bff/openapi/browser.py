"""What the document says of browsers: the two ways to sign in, and the answers of /api/session."""

from typing import Any, Final

from bff.cookies import NAME
from bff.openapi.rules import Schema
from bff.origin import SAFE
from bff.route import Route

SCHEMES: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": NAME,
        "description": "Set by `POST /api/session`. Never together with an access token.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The `csrfToken` of /api/session, with every change.",
    },
}
WORDS: Final = {
    "open": "For browsers: the session goes into an HttpOnly cookie, and no token is answered.\n\n",
    "show": "For browsers: answers whose cookie it is, and the CSRF token, after a reload.\n\n",
    "end": "For browsers: the cookie is deleted, too.\n\n",
}
_CSRF_TOKEN: Final[Schema] = {
    "type": "string",
    "description": "What changes carry as `X-CSRF-Token`; empty until the sign-in is complete.",
}


def security(route: Route, *, anyone: bool) -> list[dict[str, list[str]]]:
    """Answer what an operation asks for, as alternatives."""
    cookie: dict[str, list[str]] = {"cookie": []}
    if route.method not in SAFE:
        cookie["csrf"] = []
    if anyone:
        return []
    return [cookie] if route.cookie else [{"bearer": []}, cookie]


def answer(of_contract: Schema) -> Schema:
    """Answer the schema of an answer that has a CSRF token in place of the session."""
    properties = {
        name: schema for name, schema in of_contract["properties"].items() if name != "session"
    }
    return {
        "type": "object",
        "properties": {"csrfToken": _CSRF_TOKEN, **properties},
        "required": ["csrfToken"],
    }
