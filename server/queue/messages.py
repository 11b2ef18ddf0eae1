"""Write queues as messages."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from carelane.queue.v1 import queue_pb2 as pb
from carelane.queue.v1 import queue_service_pb2 as service_pb
from server.core import wire
from server.queue.day import Entry, Queue
from server.queue.waits import Wait
from server.queue.watching import Step, View

_STATES = wire.EnumNames(pb.QueueState)


def from_queue(queue: Queue, now: datetime, waits: Iterable[Wait | None]) -> pb.Queue:
    """Write a whole queue with its expected waits."""
    return pb.Queue(
        practice_id=str(queue.practice.practice_id),
        local_date=wire.from_date(queue.local_date),
        time_zone=queue.practice.zone.key,
        late_minutes=_late_minutes(queue),
        no_show_grace_minutes=queue.grace_minutes,
        as_of_time=wire.from_time(now),
        entries=map(from_entry, queue.entries, waits),
    )


def from_step(step: Step) -> service_pb.WatchQueueResponse:
    """Write what a watcher is shown: the whole queue at first and on a new day, else changes."""
    before, after = step
    if before is None or before.queue.local_date != after.queue.local_date:
        whole = from_queue(after.queue, after.now, after.waits)
        return service_pb.WatchQueueResponse(queue=whole)
    shown, shows = _entries(before), _entries(after)
    change = pb.QueueChange(
        late_minutes=_late_minutes(after.queue),
        no_show_grace_minutes=after.queue.grace_minutes,
        as_of_time=wire.from_time(after.now),
        entries=(entry for key, entry in shows.items() if shown.get(key) != entry),
        removed_appointment_ids=(key for key in shown if key not in shows),
    )
    return service_pb.WatchQueueResponse(change=change)


def _entries(view: View) -> dict[str, pb.QueueEntry]:
    entries = map(from_entry, view.queue.entries, view.waits)
    return {entry.appointment_id: entry for entry in entries}


def _late_minutes(queue: Queue) -> int:
    return queue.late.minutes if queue.late else 0


def from_entry(entry: Entry, wait: Wait | None = None) -> pb.QueueEntry:
    """Write the place of one patient."""
    return pb.QueueEntry(
        appointment_id=str(entry.appointment_id),
        state=_STATES.number(entry.state),
        token=entry.token,
        patient_id=str(entry.patient_id),
        patient_name=entry.patient_name,
        visit_type_name=entry.visit_type_name,
        start_time=wire.from_time(entry.start_time),
        check_in_time=_time(entry.check_in_time),
        consultation_start_time=_time(entry.consultation_start_time),
        consultation_end_time=_time(entry.consultation_end_time),
        expected_wait=wait and pb.ExpectedWait(p50_minutes=wait.p50, p90_minutes=wait.p90),
    )


def from_place(
    queue: Queue, place: int, now: datetime, waits: Sequence[Wait | None]
) -> pb.QueuePlace:
    """Write where the visit at a place of the queue stands, and nothing of the others."""
    entry = from_entry(queue.entries[place], waits[place])
    return pb.QueuePlace(
        appointment_id=entry.appointment_id,
        state=entry.state,
        token=entry.token,
        ahead_count=queue.ahead(place),
        expected_wait=entry.expected_wait if entry.HasField("expected_wait") else None,
        late_minutes=_late_minutes(queue),
        as_of_time=wire.from_time(now),
    )


def _time(instant: datetime | None) -> Timestamp | None:
    return wire.from_time(instant) if instant else None
