"""The route table as an ASGI application: finds the operation of a path and a method."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import grpc
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bff.body import ClientGone
from bff.events import EventStream
from bff.lines import LineStream
from bff.log import Logger, failure
from bff.names import camel
from bff.operation import Operation, rpc_of, stubs
from bff.problem import Problem, defect
from bff.route import Route
from bff.session_operation import SessionOperation
from bff.visit import visit_of

# The segments of a path; a parameter stands in braces, and may have an ending: `{token}.ics`.
Pattern = tuple[str, ...]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Resource:
    """All operations of one path, by method; HEAD is GET without its body."""

    def __init__(self, path: str, operations: Mapping[str, Operation], log: Logger) -> None:
        self.path = path
        self._operations = dict(operations)
        self._log = log
        if "GET" in operations:
            self._operations["HEAD"] = operations["GET"]
        self._allow = {"Allow": ", ".join(sorted([*self._operations, "OPTIONS"]))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._serve(scope, receive, send)
        except ClientGone:
            return
        except Problem as problem:
            visit_of(scope).refused_with = problem.reason
            await problem.response(visit_of(scope).request_id)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - a defect: written down, hidden from the client
            request_id = visit_of(scope).request_id
            self._log.error("defect", request_id=request_id, **failure(error))
            await defect(request_id).response(request_id)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["method"])
        if operation is not None:
            await operation(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=self._allow)(scope, receive, send)
        else:
            raise Problem(
                405, "METHOD_NOT_ALLOWED", "The path has other methods.", headers=self._allow
            )


class Gateway:
    """ASGI middleware that serves the paths of the route table and passes on all others.

    It stands in front of the application's own router, which would try its routes one by one: a
    path without parameters is found at once, the others among those of as many segments.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[Route],
        channel: grpc.aio.Channel,
        timeout: float,
        log: Logger,
    ) -> None:
        self._app = app
        self._exact: dict[str, Resource] = {}
        self._patterns: dict[int, list[tuple[Pattern, Resource]]] = {}
        for path, operations in _by_path(routes, channel, timeout).items():
            pattern = tuple(path.split("/"))
            resource = Resource(path, operations, log)
            if "{" in path:
                self._patterns.setdefault(len(pattern), []).append((pattern, resource))
            else:
                self._exact[path] = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        resource = self._find(scope) if scope["type"] == "http" else None
        await (resource or self._app)(scope, receive, send)

    def _find(self, scope: Scope) -> Resource | None:
        """Answer the resource of a path, and leave it and the parameters in the scope."""
        path = scope["path"]
        resource, parameters = self._exact.get(path), _NONE
        if resource is None:
            resource, parameters = self._match(path.split("/"))
        if resource is not None:
            scope["endpoint"] = resource
            scope["path_params"] = parameters
        return resource

    def _match(self, segments: Sequence[str]) -> tuple[Resource | None, Mapping[str, str]]:
        for pattern, resource in self._patterns.get(len(segments), ()):
            parameters = _parameters(pattern, segments)
            if parameters is not None:
                return resource, parameters
        return None, _NONE


def _parameters(pattern: Pattern, segments: Sequence[str]) -> dict[str, str] | None:
    """Answer the parameters by JSON name; None when the segments are of another path."""
    parameters = {}
    for expected, segment in zip(pattern, segments, strict=True):
        name, _, ending = expected.partition("}")
        if name.startswith("{") and segment.endswith(ending) and segment != ending:
            parameters[camel(name[1:])] = segment.removesuffix(ending)
        elif expected != segment:
            return None
    return parameters


def _by_path(
    routes: Iterable[Route], channel: grpc.aio.Channel, timeout: float
) -> dict[str, dict[str, Operation]]:
    found: dict[str, dict[str, Operation]] = {}
    stub = stubs(channel)
    for route in routes:
        methods = found.setdefault(route.path, {})
        if route.method in methods:
            raise ValueError(f"{route.method} {route.path} stands twice in the route table")
        methods[route.method] = _kind(route)(route, stub, timeout)
    return found


def _kind(route: Route) -> type[Operation]:
    if route.cookie:
        return SessionOperation
    if not rpc_of(route).server_streaming:
        return Operation
    return LineStream if route.text else EventStream
