"""The route table as an ASGI application: finds the operation of a path and a method."""

from collections.abc import Iterable, Mapping

import grpc
from starlette.responses import Response
from starlette.routing import Route as PathRoute
from starlette.types import Receive, Scope, Send

from bff.body import ClientGone
from bff.log import Logger, failure
from bff.operation import Operation
from bff.problem import Problem, defect
from bff.route import Route
from bff.visit import visit_of


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


def resources(
    routes: Iterable[Route], channel: grpc.aio.Channel, timeout: float, log: Logger
) -> list[PathRoute]:
    """Answer one route for each path of the table; those without parameters come first."""
    by_path: dict[str, dict[str, Operation]] = {}
    for route in routes:
        methods = by_path.setdefault(route.path, {})
        if route.method in methods:
            raise ValueError(f"{route.method} {route.path} stands twice in the route table")
        methods[route.method] = Operation(route, channel, timeout)
    paths = sorted(by_path, key=lambda path: "{" in path)
    return [PathRoute(path, Resource(path, by_path[path], log)) for path in paths]
