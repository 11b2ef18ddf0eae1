"""Requests become RPCs, answers and failures become HTTP."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from bff.app import create_app
from server.core import errors

# The BFF cannot tell a server in its own process from one beyond the network.
pytestmark = pytest.mark.parametrize("channel", ["in-process", "grpc"], indirect=True)

BOOKING = {
    "requestId": "0196f5c8-aaaa-7000-8000-000000000001",
    "practiceId": "0196f5c8-bbbb-7000-8000-000000000002",
    "startTime": "2030-01-31T09:00:00+05:30",
    "reason": "Fièvre",
}


class SlotTaken(errors.AlreadyExists):
    reason = "SLOT_TAKEN"
    text = "The time is taken."


async def test_a_body_becomes_the_request_and_the_answer_becomes_json(
    web: httpx.AsyncClient, clinic: Any
) -> None:
    answer = await web.post("/api/appointments", json=BOOKING)
    assert answer.status_code == 201
    booked = answer.json()["appointment"]
    assert booked["startTime"] == "2030-01-31T03:30:00Z"
    assert booked["status"] == "APPOINTMENT_STATUS_BOOKED"
    assert booked["cancelReason"] == ""
    assert "confirmTime" not in booked
    [request] = clinic.asked
    assert request.reason == "Fièvre"
    assert request.practice_id == BOOKING["practiceId"]


async def test_path_and_body_fill_one_request(web: httpx.AsyncClient, clinic: Any) -> None:
    appointment = "0196f5c8-cccc-7000-8000-000000000003"
    body = {"requestId": BOOKING["requestId"], "reason": "Feeling better"}
    answer = await web.post(f"/api/appointments/{appointment}/cancel", json=body)
    assert answer.status_code == 200
    assert clinic.asked[0].appointment_id == appointment
    assert clinic.asked[0].reason == "Feeling better"


async def test_a_field_of_the_path_is_not_taken_from_the_body(web: httpx.AsyncClient) -> None:
    url = "/api/appointments/0196f5c8-cccc-7000-8000-000000000003/cancel"
    answer = await web.post(url, json={"appointmentId": "0196f5c8-dddd-7000-8000-000000000004"})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["rule"].startswith("has an unknown field")


async def test_a_query_fills_the_request(web: httpx.AsyncClient, clinic: Any) -> None:
    query = (
        "specialties=cardiology&specialties=ent&city=pune&text=Dr%20%C3%89ric"
        "&minFee=0&minRating=4.5&order=DOCTOR_ORDER_FEE&pageSize=7"
    )
    answer = await web.get(f"/api/doctors?{query}")
    assert answer.json() == {"doctors": [], "nextPageToken": ""}
    [request] = clinic.asked
    assert list(request.specialties) == ["cardiology", "ent"]
    assert (request.city, request.text, request.page_size) == ("pune", "Dr Éric", 7)
    assert (request.min_rating, request.order) == (4.5, 2)
    assert request.HasField("min_fee")
    assert not request.HasField("max_fee")


async def test_unknown_parameters_are_told_once(web: httpx.AsyncClient) -> None:
    answer = await web.get("/api/notifications?page=1&size=2&pageSize=x")
    assert [fault["field"] for fault in answer.json()["fields"]] == ["", "pageSize"]
    assert answer.json()["detail"].startswith("the request has an unknown parameter; allowed are: ")


async def test_an_enum_offers_what_the_contract_allows_there(web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/auth/register", json={"role": "patient"})
    told = {fault["field"]: fault["rule"] for fault in answer.json()["fields"]}
    assert told["role"] == "must be one of ROLE_PATIENT, ROLE_DOCTOR"
    answer = await web.get("/api/appointments?statuses=BOOKED")
    assert "UNSPECIFIED" not in answer.json()["fields"][0]["rule"]


async def test_times_days_and_enums_stand_in_a_query(web: httpx.AsyncClient, clinic: Any) -> None:
    url = "/api/appointments?fromTime=2030-01-31T09:00:00Z&statuses=APPOINTMENT_STATUS_BOOKED"
    assert (await web.get(url)).status_code == 200
    assert clinic.asked[0].from_time.seconds == 1896080400
    doctor = {"Authorization": "Bearer doctor"}
    url = "/api/doctor/appointments?fromDate=2030-01-31&days=3"
    assert (await web.get(url, headers=doctor)).status_code == 200
    assert clinic.asked[1].from_date.day == 31


async def test_token_request_id_and_address_travel_with_the_call(
    web: httpx.AsyncClient, clinic: Any
) -> None:
    answer = await web.get("/api/appointments", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert clinic.calls[0] == {
        "user": UUID(int=1),
        "request_id": "abc-1",
        "address": "203.0.113.9",
    }


async def test_an_odd_request_id_is_replaced(web: httpx.AsyncClient, clinic: Any) -> None:
    answer = await web.get("/api/appointments", headers={"X-Request-Id": b"a b\xe9"})
    assert len(answer.headers["x-request-id"]) == 32
    assert clinic.calls[0]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.2.0.1", "198.51.100.7"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
async def test_only_our_proxies_say_for_whom_they_speak(
    app: Any, clinic: Any, peer: str, forwarded: str, expected: str
) -> None:
    transport = httpx.ASGITransport(app, client=(peer, 40000))
    headers = {"Authorization": "Bearer patient", "X-Forwarded-For": forwarded}
    async with httpx.AsyncClient(transport=transport, base_url="http://bff") as client:
        await client.get("/api/appointments", headers=headers)
    assert clinic.calls[0]["address"] == expected


async def test_a_refusal_becomes_a_problem(web: httpx.AsyncClient, clinic: Any) -> None:
    clinic.failure = SlotTaken(metadata={"rule": "overlap", "notice_minutes": "30"})
    answer = await web.post("/api/appointments", json=BOOKING, headers={"X-Request-Id": "r1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.status_code, answer.json()) == (
        409,
        {
            "type": "urn:carelane:problem:SLOT_TAKEN",
            "title": "Slot taken",
            "status": 409,
            "detail": "The time is taken.",
            "reason": "SLOT_TAKEN",
            "requestId": "r1",
            "metadata": {"rule": "overlap", "noticeMinutes": "30"},
        },
    )


async def test_fields_of_a_refusal_have_their_json_names(
    web: httpx.AsyncClient, clinic: Any
) -> None:
    clinic.failure = errors.InvalidFields(
        fields=[
            ("start_time", "must be later"),
            ("rules[3].valid_until", "must be after valid_from"),
        ]
    )
    answer = await web.post("/api/appointments", json=BOOKING)
    assert answer.status_code == 422
    assert [field["field"] for field in answer.json()["fields"]] == [
        "startTime",
        "rules[3].validUntil",
    ]
    assert answer.json()["detail"] == (
        "startTime must be later; rules[3].validUntil must be after validFrom."
    )


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (errors.InvalidField("page_size", "must be less"), 422),
        (errors.OutOfRange(), 422),
        (errors.Unauthenticated(), 401),
        (errors.PermissionDenied(), 403),
        (errors.NotFound(), 404),
        (errors.AlreadyExists(), 409),
        (errors.FailedPrecondition(), 409),
        (errors.Conflict(), 409),
        (errors.ResourceExhausted(retry_after=2.2), 429),
        (errors.Unavailable(), 503),
        (RuntimeError("the database's password"), 500),
    ],
)
async def test_each_code_has_its_status(
    web: httpx.AsyncClient, clinic: Any, failure: Exception, status: int
) -> None:
    clinic.failure = failure
    answer = await web.get("/api/appointments")
    assert answer.status_code == answer.json()["status"] == status
    assert "password" not in answer.text
    assert answer.headers.get("retry-after") == {429: "3", 503: "1"}.get(status)
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_without_a_token_it_is_401_and_with_another_role_403(app: Any, clinic: Any) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bff") as client:
        assert (await client.get("/api/appointments")).status_code == 401
        as_doctor = {"Authorization": "Bearer doctor"}
        assert (await client.get("/api/appointments", headers=as_doctor)).status_code == 403
    assert clinic.asked == []


async def test_what_is_public_may_be_kept_and_nothing_else(web: httpx.AsyncClient) -> None:
    public = await web.get("/api/specialties")
    assert public.headers["cache-control"] == "public, max-age=60"
    personal = await web.get("/api/appointments")
    assert personal.headers["cache-control"] == "no-store"


async def test_a_call_that_takes_too_long_is_504(
    web: httpx.AsyncClient, clinic: Any, app: Any, channel: Any, settings: Any
) -> None:
    clinic.hang = True
    hasty = create_app(channel, settings.model_copy(update={"call_timeout": 0.05}))
    transport = httpx.ASGITransport(hasty)
    async with httpx.AsyncClient(transport=transport, base_url="http://bff") as client:
        answer = await client.get("/api/appointments", headers={"Authorization": "Bearer patient"})
    assert answer.status_code == 504
    assert answer.json()["reason"] == "DEADLINE_EXCEEDED"
    await asyncio.wait_for(clinic.cancelled.wait(), 2)


async def test_a_client_that_leaves_cancels_its_call(
    clinic: Any, address: tuple[str, int], logged: Any
) -> None:
    clinic.hang = True
    _, writer = await asyncio.open_connection(*address)
    writer.write(
        b"GET /api/appointments HTTP/1.1\r\nHost: bff\r\nAuthorization: Bearer patient\r\n\r\n"
    )
    await asyncio.wait_for(clinic.begun.wait(), 2)
    writer.close()
    await asyncio.wait_for(clinic.cancelled.wait(), 2)


async def test_head_has_the_headers_of_get_and_no_body(address: tuple[str, int]) -> None:
    host, port = address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        got = await client.get("/api/specialties")
        head = await client.head("/api/specialties")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_options_names_the_methods(web: httpx.AsyncClient) -> None:
    answer = await web.options("/api/appointments")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_other_methods_are_405_with_those_that_are(web: httpx.AsyncClient) -> None:
    answer = await web.delete("/api/appointments")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.json()["reason"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/", "/api", "/api/appointments/", "/api/nothing", "/docs/x.js"])
async def test_other_paths_are_404_problems(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)
    assert answer.status_code == 404
    assert answer.json()["reason"] == "NOT_FOUND"


async def test_a_request_is_logged_with_ids_and_no_contents(
    web: httpx.AsyncClient, logged: Any
) -> None:
    url = "/api/appointments/0196f5c8-cccc-7000-8000-000000000003/cancel?secret=1"
    await web.post(url, json={"reason": "chest pain"}, headers={"X-Request-Id": "r2"})
    text = logged.buffer.getvalue().decode()
    line = json.loads(text.splitlines()[-1])
    assert line["event"] == "request"
    assert line["route"] == "/api/appointments/{appointment_id}/cancel"
    assert (line["status"], line["request_id"]) == (422, "r2")
    assert "chest" not in text
    assert "secret" not in text


async def test_a_defect_is_hidden_and_logged_without_its_text(
    web: httpx.AsyncClient, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("chest pain")

    monkeypatch.setattr("bff.operation.text_fields.texts_of_query", broken)
    answer = await web.get("/api/appointments?pageSize=1")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "INTERNAL"
    text = logged.buffer.getvalue().decode()
    assert "RuntimeError" in text
    assert "chest pain" not in text + answer.text
