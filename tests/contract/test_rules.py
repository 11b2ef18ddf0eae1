"""Every RPC and message keeps the rules of the house, and the rules can be broken."""

import pytest

from tools import contract_rules

BOOK = "appointment/v1/appointment_service.proto"
REQUEST_ID = "  // UUID of this request.\n  string request_id = 1"
ACCESS = """    option idempotency_level = NO_SIDE_EFFECTS;
    option (carelane.common.v1.access) = {
      audiences: [AUDIENCE_PATIENT]
    };
"""


def test_lint_is_clean(contract) -> None:
    answer = contract.buf("lint")
    assert (answer.returncode, answer.stdout) == (0, "")


def test_a_field_without_comment_is_refused(contract) -> None:
    contract.edit(BOOK, "  // Start of a slot.\n", "")
    assert 'Field "start_time" should have a non-empty comment' in contract.buf("lint").stdout


def test_the_contract_keeps_the_rules(contract) -> None:
    assert contract_rules.problems(contract.files()) == []


def test_every_service_is_looked_at(contract) -> None:
    names = {rpc.name for rpc in contract_rules.rpcs(contract.files())}
    assert {
        "AuthService.Login",
        "DirectoryService.SearchDoctors",
        "AvailabilityService.SetAvailability",
        "AppointmentService.BookAppointment",
        "AdminService.VerifyDoctor",
    } <= names


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (ACCESS, "", "ListAppointments: does not say who may call it (option access)"),
        ("(SLOT_TAKEN, PATIENT_BUSY)", "(SLOT_GONE)", "SLOT_GONE is not in ErrorReason"),
        ("ALREADY_EXISTS (SLOT", "TAKEN_ALREADY (SLOT", "TAKEN_ALREADY is no status code"),
        (
            "lists the calling patient's own appointments. Reads only.\n  //\n  // Errors:",
            "lists the calling patient's own appointments. Reads only.\n  //\n  // Refuses:",
            "ListAppointments: its comment has no 'Errors:'",
        ),
        (
            "GetAppointment shows one appointment. Reads only.",
            "GetAppointment shows one appointment.",
            "GetAppointment: its comment and its idempotency_level differ",
        ),
        (
            f"message MarkNoShowRequest {{\n{REQUEST_ID}",
            f"message MarkNoShowRequest {{\n{REQUEST_ID.replace('request_id', 'call_id')}",
            "MarkNoShow: its comment names a request_id that it does not have",
        ),
        (
            "string page_token = 6 [(buf.validate.field).string.max_len = 1024];",
            "string cursor = 6 [(buf.validate.field).string.max_len = 1024];",
            "ListAppointments: a list without string page_token",
        ),
        (
            "string page_token = 6 [(buf.validate.field).string.max_len = 1024];",
            "string page_token = 6;",
            "ListAppointments: page_token is a string without a rule",
        ),
        (
            "google.protobuf.Timestamp start_time = 4",
            "google.protobuf.Timestamp start = 4",
            "BookAppointmentRequest.start: instants are Timestamps named *_time",
        ),
        (
            "message GetAppointmentResponse {\n",
            "message GetAppointmentResponse {\n  string patient_phone = 9;\n",
            "GetAppointmentResponse.patient_phone: personal data and secrets carry debug_redact",
        ),
        (
            "returns (GetAppointmentResponse)",
            "returns (BookAppointmentResponse)",
            "GetAppointment: its response is not GetAppointmentResponse",
        ),
    ],
)
def test_a_broken_rule_is_named(contract, old: str, new: str, problem: str) -> None:
    contract.edit(BOOK, old, new)
    assert problem in "\n".join(contract_rules.problems(contract.files()))


def test_enums_begin_unspecified(contract) -> None:
    zeros = {
        value.name
        for file in contract.files()
        for enum in [*file.enum_type, *(e for m in file.message_type for e in m.enum_type)]
        for value in enum.value
        if value.number == 0
    }
    assert zeros
    assert {name for name in zeros if not name.endswith("_UNSPECIFIED")} == set()
