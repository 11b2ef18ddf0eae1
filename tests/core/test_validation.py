"""A broken rule is told in words, never in regexes, numbers or what was sent."""

from typing import Any

import pytest

from buf.validate import validate_pb2
from carelane.appointment.v1 import appointment_service_pb2 as appointment
from carelane.auth.v1 import auth_service_pb2 as auth
from carelane.availability.v1 import availability_service_pb2 as availability
from carelane.calendar.v1 import calendar_service_pb2 as calendar
from carelane.common.v1 import rule_text_pb2
from carelane.directory.v1 import directory_service_pb2 as directory
from carelane.waitlist.v1 import waitlist_service_pb2 as waitlist
from server.core.errors import InvalidFields
from server.core.validation import request_reader

ID = "0196f5c8-aaaa-7000-8000-000000000001"


def rules(message: Any) -> dict[str, str]:
    with pytest.raises(InvalidFields) as refused:
        request_reader(type(message))(message.SerializeToString())
    return dict(refused.value.fields)


def test_a_pattern_is_told_as_the_contract_words_it() -> None:
    person = auth.RegisterRequest(
        email="a@b.example", password="long enough", full_name="\n", phone="12", role=1
    )
    assert rules(person) == {
        "full_name": "must be a name: some letters, all in one line",
        "phone": "must be a phone number in international form, such as +91 80 4710 1000",
    }


def test_a_pattern_of_a_list_names_the_item() -> None:
    search = directory.SearchDoctorsRequest(languages=["en", "English"])
    assert rules(search) == {"languages[1]": "must be a language code of two letters, such as en"}


def test_a_value_of_an_enum_is_told_by_the_names_it_may_have() -> None:
    person = auth.RegisterRequest(
        email="a@b.example", password="long enough", full_name="Asha Rao", role=4
    )
    assert rules(person) == {"role": "must be one of ROLE_PATIENT, ROLE_DOCTOR"}


def test_a_list_of_enum_values_leaves_out_what_may_not_be_in_it() -> None:
    listed = appointment.ListAppointmentsRequest(statuses=[0])
    rule = rules(listed)["statuses[0]"]
    assert rule.startswith("must be one of APPOINTMENT_STATUS_PENDING_PAYMENT, ")
    assert "UNSPECIFIED" not in rule
    assert rule.endswith("APPOINTMENT_STATUS_COMPLETED, …")


def test_what_is_empty_is_told_like_what_is_wrong() -> None:
    assert rules(auth.LoginRequest()) == {
        "email": "must be a valid email address",
        "password": "must not be empty",
    }
    booking = appointment.BookAppointmentRequest(request_id="x")
    booking.start_time.GetCurrentTime()
    assert rules(booking) == {
        "request_id": "must be a valid UUID",
        "practice_id": "must be a valid UUID",
    }


def test_what_the_validator_says_is_told_as_one_would_say_it() -> None:
    series = appointment.BookSeriesRequest(
        request_id=ID, practice_id=ID, every_weeks=14, visit_count=1
    )
    assert rules(series) == {
        "start_time": "is required",
        "every_weeks": "must be from 1 to 13",
        "visit_count": "must be from 2 to 12",
    }
    assert rules(directory.ListCitiesRequest(page_size=-1)) == {"page_size": "must be at least 0"}
    waiting = waitlist.JoinWaitlistRequest(request_id=ID, practice_id=ID, days_of_week=[1, 1])
    waiting.until_date.year = 2030
    assert rules(waiting) == {"days_of_week": "must not repeat an item"}


def test_every_pattern_of_the_contract_has_its_words() -> None:
    for module in (auth, directory, appointment, availability, calendar, waitlist):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            for field in message.fields:
                rule = field.GetOptions().Extensions[validate_pb2.field]
                pattern = rule.string.pattern or rule.repeated.items.string.pattern
                words = field.GetOptions().Extensions[rule_text_pb2.rule_text]
                assert bool(pattern) == bool(words), f"{message.full_name}.{field.name}"
