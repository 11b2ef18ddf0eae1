"""Whatever is sent, the answer is a problem with a 4xx status that repeats none of it."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from bff.protocol import BoundedHttp

ID = "0196f5c8-aaaa-7000-8000-000000000001"
BOOKING: dict[str, Any] = {
    "requestId": ID,
    "practiceId": "0196f5c8-bbbb-7000-8000-000000000002",
    "startTime": "2030-01-31T09:00:00Z",
}
PROFILE: dict[str, Any] = {
    "requestId": ID,
    "fullName": "Dr Asha Rao",
    "specialties": ["cardiology"],
    "qualifications": "MBBS",
    "practisingSince": 2001,
    "languages": ["en"],
    "licenceNumber": "KMC 12345",
    "licenceCouncil": "Karnataka Medical Council",
    "licenceYear": 2001,
}
ASKED = b"GET /healthz HTTP/1.1\r\nHost: bff\r\nConnection: close\r\n\r\n"
POSTED = b"POST /api/appointments HTTP/1.1\r\nHost: bff\r\nConnection: close\r\n"
MARK = "zzmarkzz"  # stands for what a client sent; it never comes back

RAW_BODIES = [
    b"{",
    b"nonsense zzmarkzz",
    b'{"requestId": "zzmarkzz"',
    b"{'requestId': 1}",
    b'{"a": 1,}',
    b'{"reason": NaN}',
    b'{"reason": Infinity}',
    b'{"reason": -Infinity}',
    b'{"reason": "a", "reason": "zzmarkzz"}',
    b'{"requestId": "\xff\xfe"}',
    b'{"reason": "\x00"}',
    b'{"reason": "line\nbreak"}',
    b"\xef\xbb\xbf{}",
    '{"reason": "a"}'.encode("utf-16"),
    b"[" * 100_000,
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 50_000,
    b'{"a":' * 50 + b"1" + b"}" * 50,
    b"1" * 5000,
    b"{}{}",
    b"   ",
    b"{} zzmarkzz",
    b"0x10",
    b"01",
    b'"\\x41"',
    b'{"reason": "\\ud800',
]
BODIES: list[Any] = [
    None,
    True,
    7,
    "zzmarkzz",
    [],
    [BOOKING],
    {},
    {**BOOKING, "zzmarkzz": 1},
    {**BOOKING, "practice_id": ID},
    {**BOOKING, "": 1},
    {**BOOKING, "__proto__": {}},
    {**BOOKING, "requestId": 1},
    {**BOOKING, "requestId": "zzmarkzz"},
    {**BOOKING, "requestId": None},
    {**BOOKING, "requestId": [ID]},
    {**BOOKING, "requestId": {"$ne": ""}},
    {**BOOKING, "practiceId": ""},
    {**BOOKING, "practiceId": "' OR 1=1 --"},
    {**BOOKING, "reason": "a\0b"},
    {**BOOKING, "reason": "x" * 501},
    {**BOOKING, "reason": 2**63},
    {**BOOKING, "reason": 1.5},
    {**BOOKING, "reason": False},
    {**BOOKING, "startTime": 1893488400},
    {**BOOKING, "startTime": ""},
    {**BOOKING, "startTime": "zzmarkzz"},
    {**BOOKING, "startTime": "2030-01-31"},
    {**BOOKING, "startTime": "2030-01-31T09:00:00"},
    {**BOOKING, "startTime": "2030-02-30T09:00:00Z"},
    {**BOOKING, "startTime": "2030-01-31T25:00:00Z"},
    {**BOOKING, "startTime": "0000-01-01T00:00:00Z"},
    {**BOOKING, "startTime": "10000-01-01T00:00:00Z"},
    {**BOOKING, "startTime": "-2030-01-31T09:00:00Z"},
    {**BOOKING, "startTime": "9999-12-31T23:59:59-14:00"},
    {**BOOKING, "startTime": "0001-01-01T00:00:00+14:00"},
    {**BOOKING, "startTime": "2030-01-31T09:00:00.1234567891Z"},
    {**BOOKING, "startTime": {"seconds": 1}},
]
PROFILES: list[Any] = [
    {**PROFILE, "specialties": "cardiology"},
    {**PROFILE, "specialties": [1]},
    {**PROFILE, "specialties": [None]},
    {**PROFILE, "specialties": [["cardiology"]]},
    {**PROFILE, "specialties": []},
    {**PROFILE, "specialties": ["a"] * 6},
    {**PROFILE, "specialties": {"0": "cardiology"}},
    {**PROFILE, "practisingSince": "2001"},
    {**PROFILE, "practisingSince": 2001.5},
    {**PROFILE, "practisingSince": 2**31},
    {**PROFILE, "practisingSince": 2**63},
    {**PROFILE, "practisingSince": -(2**31) - 1},
    {**PROFILE, "practisingSince": 1e308},
    {**PROFILE, "practisingSince": True},
    {**PROFILE, "practisingSince": 1900},
    {**PROFILE, "fee": 500},
    {**PROFILE, "fee": {"units": "500.5"}},
    {**PROFILE, "fee": {"units": "9223372036854775808"}},
    {**PROFILE, "fee": {"units": 2**63}},
    {**PROFILE, "fee": {"units": 1.5}},
    {**PROFILE, "fee": {"nanos": "1"}},
    {**PROFILE, "fee": {"currencyCode": 356}},
    {**PROFILE, "fee": {"currencyCode": "INR", "zzmarkzz": 1}},
    {**PROFILE, "newClinic": []},
    {**PROFILE, "newClinic": {"location": {"latitude": "12"}}},
    {**PROFILE, "newClinic": {"location": {"latitude": {}}}},
]
QUERIES = [
    "zzmarkzz=1",
    "page_size=1",
    "pageSize=",
    "pageSize=zzmarkzz",
    "pageSize=-1",
    "pageSize=1.5",
    "pageSize=2147483648",
    "pageSize=9223372036854775808",
    "pageSize=" + "9" * 6000,
    "pageSize=%D9%A3",
    "pageSize=1&pageSize=2",
    "pageSize=NaN",
    "minRating=NaN",
    "minRating=Infinity",
    "minRating=1e999",
    "minRating=0x1p3",
    "minRating=9",
    "order=RATING",
    "order=1",
    "order=DOCTOR_ORDER_FEE&order=DOCTOR_ORDER_FEE",
    "city=%00",
    "city=%ff",
    "city=%ed%a0%80",
    "city=" + "x" * 81,
    "languages=english",
    "languages=en&languages=EN",
    "minFee=2&maxFee=1",
    "&".join(f"specialties=s{number}" for number in range(21)),
    "&".join(["specialties=s"] * 300),
    "pageToken=" + "x" * 1025,
    "city[]=pune",
    "city.x=pune",
]
DOCTOR_QUERIES = [
    "fromDate=zzmarkzz",
    "fromDate=2030-02-30",
    "fromDate=2030-1-1",
    "fromDate=20300131",
    "fromDate=0000-01-01",
    "fromDate=",
    "fromDate.year=2030",
    "statuses=BOOKED",
    "statuses=APPOINTMENT_STATUS_BOOKED,APPOINTMENT_STATUS_CANCELLED",
    "doctorId=zzmarkzz",
    "days=63",
]
PATHS = [
    f"/api/appointments/{ID}%00/cancel",
    "/api/appointments/%ff/cancel",
    "/api/appointments/zzmarkzz/cancel",
    "/api/appointments/../cancel",
    "/api/appointments//cancel",
    "/api/appointments/%20/cancel",
]


def check(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["reason"]
    assert MARK not in answer.text


def sent_as_json(body: bytes) -> dict[str, Any]:
    return {"content": body, "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize("body", RAW_BODIES, ids=repr)
async def test_a_body_that_is_not_json_is_400(
    web: httpx.AsyncClient, clinic: Any, body: bytes
) -> None:
    answer = await web.post("/api/appointments", **sent_as_json(body))
    check(answer)
    assert answer.status_code == 400
    assert clinic.asked == []


@pytest.mark.parametrize("body", BODIES, ids=str)
async def test_a_body_that_does_not_fit_is_422(
    web: httpx.AsyncClient, clinic: Any, body: Any
) -> None:
    answer = await web.post("/api/appointments", **sent_as_json(json.dumps(body).encode()))
    check(answer)
    assert answer.status_code == 422
    assert answer.json()["fields"]
    assert clinic.asked == []


async def test_half_of_a_surrogate_pair_is_422(web: httpx.AsyncClient) -> None:
    body = json.dumps(BOOKING).encode()[:-1] + b', "reason": "\\ud800"}'
    check(await web.post("/api/appointments", **sent_as_json(body)))


@pytest.mark.parametrize("body", PROFILES, ids=str)
async def test_a_nested_field_that_does_not_fit_is_422(
    web: httpx.AsyncClient, clinic: Any, body: Any
) -> None:
    content = sent_as_json(json.dumps(body).encode())
    content["headers"]["Authorization"] = "Bearer doctor"
    answer = await web.post("/api/doctor/profile", **content)
    check(answer)
    assert answer.status_code == 422
    assert clinic.asked == []


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
async def test_a_query_that_does_not_fit_is_422(
    web: httpx.AsyncClient, clinic: Any, query: str
) -> None:
    answer = await web.get(f"/api/doctors?{query}")
    check(answer)
    assert answer.status_code == 422
    assert clinic.asked == []


@pytest.mark.parametrize("query", DOCTOR_QUERIES)
async def test_days_states_and_ids_in_a_query_are_checked(
    web: httpx.AsyncClient, clinic: Any, query: str
) -> None:
    doctor = {"Authorization": "Bearer doctor"}
    answer = await web.get(f"/api/doctor/appointments?{query}", headers=doctor)
    check(answer)
    assert clinic.asked == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_names_nothing_is_refused(
    web: httpx.AsyncClient, clinic: Any, path: str
) -> None:
    check(await web.post(path, json={"requestId": ID}))
    assert clinic.asked == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
async def test_a_body_of_another_type_is_415(
    web: httpx.AsyncClient, clinic: Any, kind: str
) -> None:
    body = json.dumps(BOOKING).encode()
    answer = await web.post("/api/appointments", content=body, headers={"Content-Type": kind})
    check(answer)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "credential",
    [b"Bearer \xff\xfe", b"Bearer " + b"x" * 5000, b"Basic YTpi", b"", b"Bearer", b"Bearer \x01"],
)
async def test_credentials_that_cannot_be_read_are_401(
    web: httpx.AsyncClient, clinic: Any, credential: bytes
) -> None:
    answer = await web.get("/api/appointments", headers={"Authorization": credential})
    check(answer)
    assert answer.status_code == 401
    assert clinic.asked == []


async def test_two_credentials_are_401(web: httpx.AsyncClient) -> None:
    headers = [("Authorization", "Bearer patient"), ("Authorization", "Bearer doctor")]
    request = httpx.Request("GET", "http://bff/api/appointments", headers=headers)
    check(await web.send(request))


async def test_headers_beyond_measure_are_431(web: httpx.AsyncClient) -> None:
    for headers in ({"X-Long": "x" * 17_000}, {f"X-{number}": "a" for number in range(101)}):
        answer = await web.get("/api/doctors", headers=headers)
        check(answer)
        assert answer.status_code == 431


async def test_a_body_above_the_limit_is_413_when_announced(web: httpx.AsyncClient) -> None:
    body = b'{"reason": "' + b"x" * 1024 * 1024 + b'"}'
    answer = await web.post("/api/appointments", **sent_as_json(body))
    check(answer)
    assert answer.status_code == 413


async def test_a_body_above_the_limit_is_413_when_sent_in_chunks(
    address: tuple[str, int], clinic: Any
) -> None:
    head = (
        b"POST /api/appointments HTTP/1.1\r\nHost: bff\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await exchanged(address, head + chunks * 16 + b"1\r\nx\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"TOO_LARGE"' in answer


async def exchanged(address: tuple[str, int], sent: bytes) -> bytes:
    """Send bytes as they are, and answer all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"zzmarkzz\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: bff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: bff\r\nContent-Length: zzmarkzz\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: bff\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: bff\r\nbad header\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400(address: tuple[str, int], sent: bytes) -> None:
    answer = await exchanged(address, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"zzmarkzz" not in answer


async def test_endless_headers_are_431(address: tuple[str, int]) -> None:
    answer = await exchanged(address, b"GET / HTTP/1.1\r\nX: " + b"x" * 65_540)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: b"])
async def test_headers_that_do_not_come_to_an_end_are_408(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(BoundedHttp, "head_seconds", 0.1)
    assert (await exchanged(address, sent)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_does_not_come_is_408(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bff.body.SLOWEST", 0.1)
    answer = await exchanged(address, POSTED + b"Content-Length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_silent_connections_keep_nobody_out(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttp, "most_connections", 3)
    silent = [await asyncio.open_connection(*address) for _ in range(8)]
    answer = await exchanged(address, ASKED)
    closed = [reader for reader, _ in silent if await ended(reader)]
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(closed) >= 8 - 3
    for _, writer in silent:
        writer.close()


async def test_more_requests_at_once_than_can_be_served_are_503(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttp, "most_connections", 3)
    under_way = [await asyncio.open_connection(*address) for _ in range(3)]
    for _, writer in under_way:
        writer.write(POSTED + b"Content-Length: 10\r\n\r\n{")
    await asyncio.sleep(0.1)
    answer = await exchanged(address, ASKED)
    for _, writer in under_way:
        writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"reason":"UNAVAILABLE"' in answer


async def ended(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server has closed a connection without a word."""
    try:
        return await asyncio.wait_for(reader.read(), 0.1) == b""
    except TimeoutError:
        return False


async def test_a_body_at_the_limit_is_read(web: httpx.AsyncClient) -> None:
    start = b'{"reason": "'
    body = start + b"x" * (1024 * 1024 - len(start) - 2) + b'"}'
    answer = await web.post("/api/appointments", **sent_as_json(body))
    assert answer.status_code == 422


async def test_unknown_fields_are_named_once_whatever_their_number(web: httpx.AsyncClient) -> None:
    body = {**BOOKING, **{f"zzmarkzz{number}": 1 for number in range(500)}}
    answer = await web.post("/api/appointments", json=body)
    check(answer)
    [fault] = answer.json()["fields"]
    assert fault["rule"].endswith(
        "allowed are: followsAppointmentId, holdId, patientId, practiceId, reason, requestId,"
        " startTime, visitTypeId"
    )
