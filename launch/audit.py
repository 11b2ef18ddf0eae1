"""`carelane audit verify`: whether the audit is what was sealed."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from launch.errors import Refusal
from server.audit.chain import PLATFORM
from server.audit.verify import Fault, Report, verify
from server.core.clock import SystemClock
from server.core.db import Database
from server.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID


async def walk(worker_dsn: str, *, only: UUID | None = None) -> Report:
    """Walk the chains as the role of background work, which reads the audit and changes nothing."""
    try:
        database = await Database.connect(worker_dsn, SystemClock(), size=1)
    except Unavailable:
        raise Refusal(
            "The database of WORKER_DATABASE_URL does not answer: see `carelane check`."
        ) from None
    try:
        return await verify(database, only=only)
    finally:
        await database.close()


def sentences(report: Report) -> Iterator[str]:
    """Say what was found, the faults first."""
    for fault in report.faults:
        yield f"[red]✗[/red] {_words(fault)}"
    if not report.faults:
        yield f"[green]OK[/green] {report.rows:,} rows in {report.chains:,} chains are as sealed."
    if report.unsealed_since:
        since = _instant(report.unsealed_since)
        yield f"{report.unsealed:,} rows are not sealed yet, the first of {since}."


def _words(fault: Fault) -> str:
    chain = "The platform" if fault.chain_id == PLATFORM else f"Clinic {fault.chain_id}"
    said = f"{chain}: row {fault.number} {fault.what}"
    if fault.row is None:
        return f"{said}."
    row = fault.row
    return f"{said} {row['audit_id']}, {row['action']} at {_instant(row['create_time'])}."


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
