"""`carelane audit verify`: whether the audit is what was sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from launch.errors import Refusal
from server import work
from server.audit.chain import PLATFORM
from server.audit.heads import Signer, read_all
from server.audit.verify import Copy, Fault, Report, verify
from server.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Outside:
    """What was copied outside: the heads, and the copies that are not what was signed."""

    places: int
    copies: list[Copy]
    unsigned: list[str]


def copied(settings: Settings) -> Outside:
    """Read the copies of every place that the settings name."""
    places, signer = work.audit_places(settings), Signer(settings.keys_of_audit)
    outside = Outside(len(places), [], [])
    for place in places:
        try:
            copies, unsigned = read_all(place, signer)
        except OSError as failure:
            raise Refusal(f"The copies outside cannot be read: {failure}.") from None
        outside.copies.extend(copies)
        outside.unsigned.extend(unsigned)
    return outside


async def walk(settings: Settings, outside: Outside, *, only: UUID | None = None) -> Report:
    """Walk the chains as the role of background work, which reads the audit and changes nothing."""
    try:
        async with work.opened(settings) as database:
            return await verify(database, outside.copies, only=only)
    except Unavailable:
        raise Refusal(
            "The database of WORKER_DATABASE_URL does not answer: see `carelane check`."
        ) from None


def sentences(report: Report, outside: Outside) -> Iterator[str]:
    """Say what was found, the faults first."""
    for fault in report.faults:
        yield f"[red]✗[/red] {_words(fault)}"
    for name in outside.unsigned:
        yield f"[red]✗[/red] Copy {name} is not what was signed, or AUDIT_KEYS lacks its key."
    if is_whole(report, outside):
        yield f"[green]OK[/green] {report.rows:,} rows in {report.chains:,} chains are as sealed."
    if outside.places:
        yield f"{len(outside.copies):,} heads outside were compared."
    else:
        yield "No heads outside to compare with: set AUDIT_FOLDER or S3_BUCKET."
    if report.unsealed_since:
        since = _instant(report.unsealed_since)
        yield f"{report.unsealed:,} rows are not sealed yet, the first of {since}."


def is_whole(report: Report, outside: Outside) -> bool:
    """Tell whether nothing was found."""
    return not report.faults and not outside.unsigned


def _words(fault: Fault) -> str:
    chain = "The platform" if fault.chain_id == PLATFORM else f"Clinic {fault.chain_id}"
    said = f"{chain}: row {fault.number} {fault.what}"
    if fault.row is None:
        return f"{said}."
    row = fault.row
    return f"{said} {row['audit_id']}, {row['action']} at {_instant(row['create_time'])}."


def _instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
