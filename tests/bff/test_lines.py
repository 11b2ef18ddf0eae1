"""Lines of JSON: a stream of lists as one long list."""

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest

from carelane.audit.v1 import audit_pb2, audit_service_pb2_grpc
from carelane.audit.v1 import audit_service_pb2 as pb
from server.core import rpc
from server.core.errors import NotFound, Unavailable

PATH = "/api/admin/audit/export"


class Audit(audit_service_pb2_grpc.AuditServiceServicer):
    """Streams what a test puts in."""

    def __init__(self) -> None:
        self.parts: list[pb.ExportAuditResponse | Exception] = []
        self.asked: list[pb.ExportAuditRequest] = []

    async def ExportAudit(
        self, request: pb.ExportAuditRequest, context: object
    ) -> AsyncIterator[pb.ExportAuditResponse]:
        self.asked.append(request)
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


@pytest.fixture
def audit(registry: rpc.Registry) -> Audit:
    made = Audit()
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(made, registry)
    return made


@pytest.fixture
async def admin(audit: Audit, address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real connection, signed in."""
    host, port = address
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}", headers={"Authorization": "Bearer admin"}
    ) as client:
        yield client


def part(*acts: str) -> pb.ExportAuditResponse:
    return pb.ExportAuditResponse(entries=[audit_pb2.AuditEntry(act=act) for act in acts])


async def test_each_element_is_a_line(admin: httpx.AsyncClient, audit: Audit) -> None:
    audit.parts = [part("a.b", "a.c"), part("a.d")]
    answer = await admin.get(PATH, params={"filter.objectKind": "a"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    assert [orjson.loads(line)["act"] for line in answer.text.splitlines()] == ["a.b", "a.c", "a.d"]
    assert audit.asked[0].filter.object_kind == "a"


async def test_an_empty_list_has_no_line(admin: httpx.AsyncClient, audit: Audit) -> None:
    answer = await admin.get(PATH)
    assert (answer.status_code, answer.text) == (200, "")


async def test_what_fails_later_is_the_last_line(admin: httpx.AsyncClient, audit: Audit) -> None:
    audit.parts = [part("a.b"), Unavailable()]
    first, last = (await admin.get(PATH)).text.splitlines()
    assert orjson.loads(first)["act"] == "a.b"
    assert orjson.loads(last)["problem"]["reason"] == "UNAVAILABLE"


async def test_what_fails_before_the_first_line_is_a_problem(
    admin: httpx.AsyncClient, audit: Audit
) -> None:
    audit.parts = [NotFound()]
    answer = await admin.get(PATH)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NOT_FOUND")


async def test_the_document_says_that_lines_come(admin: httpx.AsyncClient) -> None:
    described = (await admin.get("/openapi.json")).json()
    success = described["paths"][PATH]["get"]["responses"]["200"]
    assert [*success["content"]] == ["application/x-ndjson"]
