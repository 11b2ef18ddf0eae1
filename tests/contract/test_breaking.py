"""A change that would break a released client is seen before it is merged."""

from collections.abc import Callable

import pytest

BOOK = "appointment/v1/appointment_service.proto"
REASON = "common/v1/error_reason.proto"


def test_the_contract_does_not_break_the_last_release(breaking: Callable[[], str]) -> None:
    assert breaking() == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        pytest.param(
            BOOK,
            "  // Start of a slot.\n"
            "  google.protobuf.Timestamp start_time = 4 [(buf.validate.field).required = true];\n",
            "",
            '"start_time" on message "BookAppointmentRequest" was deleted',
            id="a removed field",
        ),
        pytest.param(
            BOOK,
            "  int32 days = 4 [",
            "  int64 days = 4 [",
            'changed type from "int32" to "int64"',
            id="a changed type",
        ),
        pytest.param(
            REASON,
            "ERROR_REASON_SLOT_TAKEN = 19;",
            "ERROR_REASON_SLOT_TAKEN = 1900;",
            'enum value "19" on enum "ErrorReason" was deleted',
            id="a renumbered enum value",
        ),
        pytest.param(
            BOOK,
            "returns (GetAppointmentResponse)",
            "returns (stream GetAppointmentResponse)",
            "changed from server unary to server streaming",
            id="an answer that becomes a stream",
        ),
    ],
)
def test_a_break_is_refused(
    contract, breaking: Callable[[], str], name: str, old: str, new: str, said: str
) -> None:
    contract.edit(name, old, new)
    assert said in breaking()


def test_an_added_field_is_no_break(contract, breaking: Callable[[], str]) -> None:
    contract.edit(
        BOOK, "message GetAppointmentRequest {", "message GetAppointmentRequest {\n  bool x = 99;"
    )
    assert breaking() == ""
