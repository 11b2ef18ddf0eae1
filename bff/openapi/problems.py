"""The refusals of an operation: its statuses, and the reasons that its RPC's comment names."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import grpc

from bff.openapi.comments import comment
from bff.problem import STATUS
from bff.route import Route
from carelane.common.v1 import access_pb2

_NAMED: Final = re.compile(r"\b([A-Z_]{5,})\s+\(([A-Z_, ]+)\)")
_REASON: Final = "carelane.common.v1.ErrorReason.ERROR_REASON_"

_ALWAYS: Final = {
    400: ["MALFORMED", "TWO_CREDENTIALS"],
    401: ["UNAUTHENTICATED", "TOKEN_EXPIRED"],
    422: ["INVALID_FIELD"],
    429: ["RATE_LIMITED"],
    431: ["TOO_LARGE"],
    500: ["INTERNAL"],
    503: ["UNAVAILABLE"],
    504: ["DEADLINE_EXCEEDED"],
}
_WITH_BODY: Final = {
    408: ["DEADLINE_EXCEEDED"],
    413: ["TOO_LARGE"],
    415: ["UNSUPPORTED_MEDIA_TYPE"],
}

PROBLEMS: Final[dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "Why a request failed (RFC 9457).",
        "required": ["type", "title", "status", "detail", "reason", "requestId"],
        "properties": {
            "type": {"type": "string", "description": "A URN that ends with the reason."},
            "title": {"type": "string", "description": "The reason in words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "A sentence for developers."},
            "reason": {
                "type": "string",
                "description": "What to branch on: a value of ErrorReason.",
                "examples": ["SLOT_TAKEN"],
            },
            "requestId": {"type": "string", "description": "The reference for support."},
            "fields": {
                "type": "array",
                "description": "The fields that break a rule.",
                "items": {"$ref": "#/components/schemas/FieldProblem"},
            },
            "metadata": {
                "type": "object",
                "description": "More about the reason.",
                "additionalProperties": {"type": "string"},
            },
        },
    },
    "FieldProblem": {
        "type": "object",
        "description": "A field of the request that breaks a rule.",
        "required": ["field", "rule"],
        "properties": {
            "field": {
                "type": "string",
                "description": "Path of the field; empty for the request as a whole.",
                "examples": ["rules[3].window.end"],
            },
            "rule": {"type": "string", "description": "The rule that it breaks."},
        },
    },
}


def statuses(route: Route, said: str, audiences: Iterable[int]) -> dict[str, Any]:
    """Answer the refusals of an operation by status, from the comment on its RPC."""
    reasons: dict[int, list[str]] = {status: [*names] for status, names in _ALWAYS.items()}
    if route.takes_body:
        reasons |= {status: [*names] for status, names in _WITH_BODY.items()}
    if route.method != "GET":
        reasons[409] = ["CONFLICT"]
        reasons[403] = ["ORIGIN_REFUSED", "CSRF_TOKEN_WRONG"]
    if access_pb2.AUDIENCE_ANYONE not in audiences:
        reasons.setdefault(403, []).append("PERMISSION_DENIED")
        reasons[STATUS[grpc.StatusCode.FAILED_PRECONDITION]] = ["SECOND_FACTOR_REQUIRED"]
    if "{" in route.path:
        reasons[404] = ["NOT_FOUND"]
    for code, names in _NAMED.findall(said):
        status = _status(code)
        if status:
            _add(reasons.setdefault(status, []), re.findall(r"[A-Z_]+", names))
    return {str(status): _response(status, reasons[status]) for status in sorted(reasons)}


def _status(code: str) -> int | None:
    known = grpc.StatusCode.__members__.get(code)
    return STATUS.get(known) if known else None


def _add(names: list[str], more: Iterable[str]) -> None:
    names += [name for name in more if name not in names]


def _response(status: int, reasons: Iterable[str]) -> dict[str, Any]:
    lines = [f"- `{reason}`: {comment(_REASON + reason)}" for reason in reasons]
    return {
        "description": "\n".join([HTTPStatus(status).phrase, "", *lines]),
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
