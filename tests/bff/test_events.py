"""Server-sent events: a stream of the contract as a browser reads it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from bff import events
from carelane.queue.v1 import queue_pb2, queue_service_pb2_grpc
from carelane.queue.v1 import queue_service_pb2 as pb
from server.core import rpc
from server.core.errors import NotFound, Unavailable

PATH = f"/api/queues/{uuid4()}/live"


class Queue(queue_service_pb2_grpc.QueueServiceServicer):
    """Streams the messages that a test puts in, and fails with the errors that it puts in."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[pb.WatchQueueResponse | Exception | None] = asyncio.Queue()
        self.asked: list[str] = []
        self.ended = asyncio.Event()

    async def WatchQueue(
        self, request: pb.WatchQueueRequest, context: object
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        self.asked.append(request.practice_id)
        try:
            while (message := await self.messages.get()) is not None:
                if isinstance(message, Exception):
                    raise message
                yield message
        finally:
            self.ended.set()

    def put(self, *messages: pb.WatchQueueResponse | Exception | None) -> None:
        for message in messages:
            self.messages.put_nowait(message)


@pytest.fixture
def queue(registry: rpc.Registry) -> Queue:
    made = Queue()
    queue_service_pb2_grpc.add_QueueServiceServicer_to_server(made, registry)
    return made


@pytest.fixture
async def browser(queue: Queue, address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    """A client over a real connection, signed in."""
    host, port = address
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}", headers={"Authorization": "Bearer doctor"}
    ) as client:
        yield client


def late(minutes: int) -> pb.WatchQueueResponse:
    return pb.WatchQueueResponse(change=queue_pb2.QueueChange(late_minutes=minutes))


def whole(minutes: int) -> pb.WatchQueueResponse:
    return pb.WatchQueueResponse(queue=queue_pb2.Queue(late_minutes=minutes))


async def parts(answer: httpx.Response) -> AsyncIterator[str]:
    """Answer the parts of the stream, without the blank line between them."""
    text = ""
    async for more in answer.aiter_text():
        text += more
        while "\n\n" in text:
            part, _, text = text.partition("\n\n")
            yield part


def data(part: str) -> Any:
    return orjson.loads(part.removeprefix("data: "))


@pytest.mark.parametrize("channel", ["", "grpc"], indirect=True, ids=["in-process", "grpc"])
async def test_each_message_is_an_event_as_soon_as_it_comes(
    browser: httpx.AsyncClient, queue: Queue
) -> None:
    queue.put(late(5))
    async with browser.stream("GET", PATH) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        read = parts(answer)
        assert data(await anext(read))["change"]["lateMinutes"] == 5
        queue.put(late(10), None)
        assert data(await anext(read))["change"]["lateMinutes"] == 10
        assert [part async for part in read] == []
    assert queue.asked == [PATH.split("/")[3]]


async def test_a_browser_that_connects_again_gets_the_whole_state_first(
    browser: httpx.AsyncClient, queue: Queue
) -> None:
    for minutes in (5, 10):
        queue.put(whole(minutes), late(minutes + 1), None)
        async with browser.stream("GET", PATH, headers={"Last-Event-ID": "1"}) as answer:
            state, change = [data(part) async for part in parts(answer)]
        assert state["queue"]["lateMinutes"] == minutes
        assert change["change"]["lateMinutes"] == minutes + 1
    assert len(queue.asked) == 2


async def test_what_fails_before_the_first_message_is_a_problem(
    browser: httpx.AsyncClient, queue: Queue
) -> None:
    queue.put(NotFound())
    answer = await browser.get(PATH)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NOT_FOUND")
    assert answer.headers["content-type"] == "application/problem+json"
    answer = await browser.get(PATH, headers={"Authorization": "Bearer nobody"})
    assert answer.status_code == 401
    answer = await browser.get("/api/queues/7/live")
    assert answer.json()["fields"][0]["field"] == "practiceId"


async def test_what_fails_later_is_the_last_event(browser: httpx.AsyncClient, queue: Queue) -> None:
    queue.put(late(5), Unavailable())
    async with browser.stream("GET", PATH) as answer:
        _, problem = [part async for part in parts(answer)]
    kind, _, text = problem.partition("\n")
    assert kind == "event: problem"
    assert (data(text)["status"], data(text)["reason"]) == (503, "UNAVAILABLE")


async def test_a_browser_that_leaves_ends_the_call(
    browser: httpx.AsyncClient, queue: Queue
) -> None:
    queue.put(late(5))
    async with browser.stream("GET", PATH) as answer:
        await anext(parts(answer))
        assert not queue.ended.is_set()
    async with asyncio.timeout(5):
        await queue.ended.wait()


async def test_a_silent_stream_has_comments(
    browser: httpx.AsyncClient, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with browser.stream("GET", PATH) as answer:
        read = parts(answer)
        assert [await anext(read) for _ in range(3)] == [":", ":", ":"]
        queue.put(late(5), None)
        last = [part async for part in read][-1]
    assert data(last)["change"]["lateMinutes"] == 5


async def test_head_has_the_headers_alone(browser: httpx.AsyncClient, queue: Queue) -> None:
    queue.put(late(5))
    answer = await browser.head(PATH)
    assert answer.headers["content-type"] == "text/event-stream"
    async with asyncio.timeout(5):
        await queue.ended.wait()


async def test_the_document_says_that_events_come(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/openapi.json")).json()
    success = described["paths"]["/api/queues/{practiceId}/live"]["get"]["responses"]["200"]
    assert [*success["content"]] == ["text/event-stream"]
    for promised in ("whole state", "`Last-Event-ID`", "`problem`", "every 15 seconds"):
        assert promised in success["description"]
    assert events.HEARTBEAT == 15
