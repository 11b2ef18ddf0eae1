"""The OpenAPI 3.1 document of a route table."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from bff import text_fields
from bff.events import DESCRIPTION as EVENTS
from bff.events import MEDIA_TYPE
from bff.names import camel
from bff.openapi import browser
from bff.openapi.comments import comment
from bff.openapi.problems import PROBLEMS, statuses
from bff.openapi.rules import required
from bff.openapi.schemas import Schemas
from bff.operation import path_fields, rpc_of
from bff.route import Route
from carelane.common.v1 import access_pb2

_ABOUT: Final = """\
The REST interface of Carelane. Every operation makes one RPC of the platform's gRPC contract, and
this document is derived from that contract.

- Programs sign in with `POST /api/auth/login`; they send the access token as
  `Authorization: Bearer …`.
- Browsers sign in with `POST /api/session`; a cookie then holds the tokens. What changes something
  carries the session's `csrfToken` as `X-CSRF-Token`, and comes from an origin that is known.
- Names are lowerCamelCase, enums are full names, 64-bit integers are strings, times are RFC 3339
  in UTC. Lists, numbers, texts and booleans are always there, also when empty or zero.
- Lists are paged: pass `nextPageToken` back as `pageToken` until it is empty.
- What creates or changes takes a `requestId`, a UUID of yours. When an answer is lost, repeat the
  same request: it has no second effect and gets the same answer.
- Every failure is a problem document (`application/problem+json`) with a `reason` to branch on.
"""
_AUDIENCES: Final = {
    access_pb2.AUDIENCE_ANYONE: "anyone",
    access_pb2.AUDIENCE_SIGNED_IN: "anyone who is signed in",
    access_pb2.AUDIENCE_PATIENT: "patients",
    access_pb2.AUDIENCE_DOCTOR: "doctors",
    access_pb2.AUDIENCE_STAFF: "clinic staff",
    access_pb2.AUDIENCE_ADMIN: "administrators",
}
_SENTENCE: Final = re.compile(r"(.+?[.])(?:\s|$)", re.DOTALL)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Answer the document; a route that names no RPC, or a field that is none, raises."""
    table = [(route, rpc_of(route)) for route in routes]
    schemas = Schemas(
        requests=[rpc.input_type for _, rpc in table],
        answers=[rpc.output_type for route, rpc in table if not route.text],
    )
    paths: dict[str, dict[str, Any]] = {}
    for route, rpc in table:
        path = re.sub(r"\{(\w+)\}", lambda found: f"{{{camel(found[1])}}}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, rpc, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Carelane", "version": version("carelane"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [*_tags(rpc for _, rpc in table)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted((schemas.components | PROBLEMS).items())),
            "securitySchemes": browser.SCHEMES,
        },
    }


def _tags(rpcs: Iterable[MethodDescriptor]) -> Iterator[dict[str, str]]:
    seen: set[str] = set()
    for rpc in rpcs:
        service = rpc.containing_service
        if service.name not in seen:
            seen.add(service.name)
            yield {"name": _tag(rpc), "description": comment(service.full_name)}


def _tag(rpc: MethodDescriptor) -> str:
    return rpc.containing_service.name.removesuffix("Service")


def _operation(route: Route, rpc: MethodDescriptor, schemas: Schemas) -> dict[str, Any]:
    summary, description = _words(rpc)
    description = browser.WORDS.get(route.cookie, "") + description
    audiences = [*rpc.GetOptions().Extensions[access_pb2.access].audiences]
    may = ", ".join(_AUDIENCES[audience] for audience in audiences) + _programs(rpc)
    operation: dict[str, Any] = {
        "operationId": rpc.name[0].lower() + rpc.name[1:] + ("WithCookie" if route.cookie else ""),
        "tags": [_tag(rpc)],
        "summary": summary,
        "description": f"{description}\n\nFor {may}. RPC `{rpc.full_name}`.".strip(),
        "security": browser.security(route, anyone=access_pb2.AUDIENCE_ANYONE in audiences),
        "responses": {
            str(route.status): _success(route, rpc, schemas),
            **statuses(route, comment(rpc.full_name), audiences),
        },
    }
    parameters = [*_parameters(route, rpc, schemas)]
    if parameters:
        operation["parameters"] = parameters
    if route.takes_body:
        operation["requestBody"] = _body(route, rpc, schemas)
    return operation


def _programs(rpc: MethodDescriptor) -> str:
    """Say which scopes open an RPC to programs."""
    scopes = rpc.GetOptions().Extensions[access_pb2.access].scopes
    names = " or ".join(f"`{scope}`" for scope in scopes)
    return f", and programs with the scope {names}" if names else ""


def _words(rpc: MethodDescriptor) -> tuple[str, str]:
    """Split an RPC's comment into its first sentence, without the RPC's name, and the rest."""
    text = comment(rpc.full_name).removeprefix(rpc.name).strip()
    found = _SENTENCE.match(text)
    first = found[1] if found else text
    summary = " ".join(first.split()).rstrip(".")
    return summary[:1].upper() + summary[1:], text[len(first) :].strip()


def _success(route: Route, rpc: MethodDescriptor, schemas: Schemas) -> dict[str, Any]:
    schema = {"type": "string"} if route.text else schemas.of_answer(rpc.output_type)
    if route.cookie in {"open", "show"}:
        schema = browser.answer(schemas.components[schema["$ref"].rsplit("/", 1)[-1]])
    description = comment(rpc.output_type.full_name) or "Done."
    if rpc.server_streaming:
        description = f"{description}\n\n{EVENTS}"
    return {
        "description": description,
        "content": {_media_type(route, rpc): {"schema": schema}},
    }


def _media_type(route: Route, rpc: MethodDescriptor) -> str:
    return route.text or (MEDIA_TYPE if rpc.server_streaming else "application/json")


def _parameters(route: Route, rpc: MethodDescriptor, schemas: Schemas) -> Iterator[dict[str, Any]]:
    in_path = path_fields(route)
    needed = required(rpc.input_type)
    for fields in text_fields.leaves(rpc.input_type):
        name = text_fields.name_of(fields)
        if name not in in_path and route.takes_body:
            continue
        parameter: dict[str, Any] = {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or fields[0].name in needed,
            "schema": schemas.of_parameter(fields[-1]),
        }
        text = comment(fields[-1].full_name)
        yield parameter | ({"description": text} if text else {})


def _body(route: Route, rpc: MethodDescriptor, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.body(rpc.input_type, path_fields(route))
    body = schemas.components[schema["$ref"].rsplit("/", 1)[-1]]
    return {
        "required": bool(body.get("required")),
        "content": {"application/json": {"schema": schema}},
    }
