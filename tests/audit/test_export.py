"""Exporting the audit: whole, in order, for administrators alone, and written down itself."""

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from carelane.audit.v1 import audit_pb2
from carelane.audit.v1 import audit_service_pb2 as pb
from carelane.audit.v1 import audit_service_pb2_grpc as grpc_pb
from server.audit import service
from server.core.access import Caller
from tests.refusal import refused
from tests.world import Person, World

ADMIN = Person(uuid4(), "admin")


async def exported(
    world: World, person: Person | None = ADMIN, **fields: Any
) -> list[audit_pb2.AuditEntry]:
    stub = grpc_pb.AuditServiceStub(world.channel)
    metadata = [("authorization", f"Bearer {person.token}")] if person else []
    call = stub.ExportAudit(pb.ExportAuditRequest(**fields), metadata=metadata)
    return [entry async for part in call for entry in part.entries]


async def act(world: World, count: int = 1) -> UUID:
    """Do something so many times at a new clinic, and answer the clinic's id."""
    clinic_id = uuid4()
    for number in range(count):
        async with world.db.transaction(Caller(uuid4(), "patient")) as tx:
            tx.record(f"thing.done_{number}", uuid4(), clinic_id=clinic_id)
    return clinic_id


async def test_an_export_has_every_entry_once_the_earliest_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PART", 2)
    clinic_id = await act(world, 5)
    entries = await exported(world, clinic_id=str(clinic_id))
    assert [entry.act for entry in entries] == [f"thing.done_{number}" for number in range(5)]
    listed = await world.call("ListAuditEntries", ADMIN, clinic_id=clinic_id)
    assert entries == [*reversed(listed.entries)]


async def test_an_export_narrows_like_a_list(world: World) -> None:
    clinic_id = await act(world, 3)
    fields = {"clinic_id": str(clinic_id), "filter": {"act": "thing.done_1"}}
    assert [entry.act for entry in await exported(world, **fields)] == ["thing.done_1"]


async def test_an_export_is_written_down(world: World) -> None:
    await exported(world, clinic_id=str(uuid4()))
    found = await world.call("ListAuditEntries", ADMIN, filter={"act": "audit.exported"})
    assert str(ADMIN.user_id) in {entry.actor_id for entry in found.entries}


async def test_an_export_is_for_administrators_alone(world: World) -> None:
    refusal = await refused(exported(world, await world.person()))
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED
    assert (await refused(exported(world, None))).code == grpc.StatusCode.UNAUTHENTICATED


async def test_an_invalid_filter_is_named(world: World) -> None:
    refusal = await refused(exported(world, filter={"object_id": "x"}))
    assert (refusal.code, [*refusal.fields]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["filter.object_id"],
    )
