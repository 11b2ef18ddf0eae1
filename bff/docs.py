"""/openapi.json, and /docs: Swagger UI from a package, so that it works without the internet."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route as PathRoute

from bff.openapi.document import document
from bff.problem import NO_PATH, Problem
from bff.route import Route

# The project's own page and script keep `unsafe-inline` out of the policy for scripts.
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Carelane REST</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_FOR_A_DAY: Final = {"Cache-Control": "public, max-age=86400"}


def routes(table: Iterable[Route]) -> list[PathRoute]:
    """Answer the routes of the documentation of a route table."""
    table = tuple(table)

    @cache
    def text() -> bytes:
        return orjson.dumps(document(table))

    async def openapi(_: Request) -> Response:
        return Response(text(), media_type="application/json")

    return [
        PathRoute("/openapi.json", openapi),
        PathRoute("/docs", page),
        PathRoute("/docs/start.js", start),
        PathRoute("/docs/{name}", asset),
    ]


async def page(_: Request) -> Response:
    """Answer the page of Swagger UI."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


async def start(_: Request) -> Response:
    """Answer the script that opens Swagger UI on our document."""
    return Response(_START, media_type="text/javascript")


async def asset(request: Request) -> Response:
    """Answer a file of Swagger UI."""
    name = request.path_params["name"]
    if name not in _TYPES:
        raise Problem(404, "NOT_FOUND", NO_PATH)
    return Response(_file(name), media_type=_TYPES[name], headers=_FOR_A_DAY)


@cache
def _file(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()
