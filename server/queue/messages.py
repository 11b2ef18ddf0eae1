"""Write queues as messages."""

from collections.abc import Iterable
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from carelane.queue.v1 import queue_pb2 as pb
from server.core import wire
from server.queue.day import Entry, Queue
from server.queue.waits import Wait

_STATES = wire.EnumNames(pb.QueueState)


def from_queue(queue: Queue, now: datetime, waits: Iterable[Wait | None]) -> pb.Queue:
    """Write a whole queue with its expected waits."""
    return pb.Queue(
        practice_id=str(queue.practice.practice_id),
        local_date=wire.from_date(queue.local_date),
        time_zone=queue.practice.zone.key,
        late_minutes=queue.late.minutes if queue.late else 0,
        no_show_grace_minutes=queue.grace_minutes,
        as_of_time=wire.from_time(now),
        entries=map(from_entry, queue.entries, waits),
    )


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


def _time(instant: datetime | None) -> Timestamp | None:
    return wire.from_time(instant) if instant else None
