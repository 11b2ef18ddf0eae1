"""What orchestrators and Prometheus ask: alive, ready, numbers."""

from collections.abc import Awaitable, Callable
from typing import Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bff.problem import NO_PATH, Problem
from bff.visit import Networks, is_in, visit_of

PATIENCE: Final = 2.0  # seconds; an orchestrator asks every few

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(
    channel: grpc.aio.Channel, metrics: CollectorRegistry, monitors: Networks
) -> list[Route]:
    """Answer /healthz, /readyz and /metrics; the last exists for `monitors` alone."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", _readyz(channel)),
        Route("/metrics", _metrics(metrics, monitors)),
    ]


async def healthz(_: Request) -> Response:
    """Say that this process answers, whatever stands behind it."""
    return JSONResponse({"status": "ok"})


def _readyz(channel: grpc.aio.Channel) -> Endpoint:
    check = HealthStub(channel).Check

    async def readyz(_: Request) -> Response:
        try:
            answer = await check(HealthCheckRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            return JSONResponse({"status": "unavailable", "code": error.code().name}, 503)
        if answer.status != HealthCheckResponse.SERVING:
            return JSONResponse({"status": "not serving"}, 503)
        return JSONResponse({"status": "ok"})

    return readyz


def _metrics(registry: CollectorRegistry, monitors: Networks) -> Endpoint:
    async def metrics(request: Request) -> Response:
        if not is_in(visit_of(request.scope).address, monitors):
            raise Problem(404, "NOT_FOUND", NO_PATH)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return metrics
