"""The web application: the route table, health, metrics and documentation behind the edge."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from time import time

import grpc
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from bff import docs, health, inbox, log, oauth
from bff.cookies import Cookies
from bff.edge import Edge
from bff.gateway import Gateway
from bff.limits import BodyLimit
from bff.metrics import RequestMetrics
from bff.problem import NO_PATH, Problem
from bff.routes import ROUTES
from bff.sessions import Sessions
from bff.settings import Settings
from bff.visit import visit_of


def create_app(
    channel: grpc.aio.Channel,
    settings: Settings,
    *,
    logger: log.Logger | None = None,
    metrics: CollectorRegistry | None = None,
    clock: Callable[[], float] = time,
) -> FastAPI:
    """Build the application over a channel, be it gRPC or in this process; it does not close it.

    `metrics` is the registry that /metrics shows; with none given the application has its own.
    `clock` tells the time that cookies are judged by, in seconds since 1970.
    """
    logger = logger or log.logger(settings.log_level)
    metrics = metrics or CollectorRegistry()
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.router.routes += health.routes(channel, metrics, settings.monitors)
    app.router.routes += oauth.routes(channel, settings.call_timeout, clock)
    if settings.docs:
        app.router.routes += docs.routes(ROUTES)
    if settings.mail_folder:
        app.router.routes += inbox.routes(Path(settings.mail_folder), settings.monitors)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_middleware(
        Gateway, routes=ROUTES, channel=channel, timeout=settings.call_timeout, log=logger
    )
    app.add_middleware(
        Sessions,
        routes=ROUTES,
        channel=channel,
        cookies=Cookies(settings.keys_of_cookies, insecure=settings.insecure_cookies),
        origins=settings.cors_origins,
        https=settings.in_production,
        clock=clock,
    )
    _wrap(app, settings, logger, RequestMetrics(metrics))
    return app


def _wrap(app: FastAPI, settings: Settings, logger: log.Logger, metrics: RequestMetrics) -> None:
    """Add the middleware around the gateway, the innermost first."""
    app.add_middleware(BodyLimit, largest=settings.body_limit)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("authorization", "content-type", "x-csrf-token", "x-request-id", "traceparent")
        ],
        allow_credentials=True,
        expose_headers=["x-request-id", "retry-after"],
    )
    app.add_middleware(
        Edge,
        proxies=settings.proxies,
        log=logger,
        metrics=metrics,
        secure=settings.in_production,
    )


async def _refuse(request: Request, error: Exception) -> Response:
    """Turn what the router refuses into a problem."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    reasons = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    reason = reasons.get(status, "MALFORMED" if status < 500 else "INTERNAL")
    headers = error.headers if isinstance(error, HTTPException) else None
    detail = NO_PATH if status == HTTPStatus.NOT_FOUND else f"{HTTPStatus(status).phrase}."
    problem = Problem(status, reason, detail, headers=headers)
    return problem.response(visit_of(request.scope).request_id)
