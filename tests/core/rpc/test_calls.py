"""The same behaviour over gRPC and over the in-process channel."""

import asyncio
import gc
from typing import Any

import grpc
import pytest

from server.core.channel import InProcessChannel

StatusCode = grpc.StatusCode


async def _several(pb: Any, count: int, **fields: Any) -> Any:
    for number in range(count):
        yield pb.Probe(text=str(number), **fields)


async def test_one_request_gets_one_answer(stub: Any, pb: Any) -> None:
    assert await stub.Echo(pb.Probe(text="क्या")) == pb.Probe(text="क्या")


async def test_answers_of_a_stream_come_in_order(stub: Any, pb: Any) -> None:
    answers = [answer.number async for answer in stub.Count(pb.Probe(number=200))]
    assert answers == list(range(200))


async def test_a_stream_is_read_one_by_one(stub: Any, pb: Any) -> None:
    call = stub.Count(pb.Probe(number=1))
    assert (await call.read()).number == 0
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is StatusCode.OK


async def test_requests_from_an_iterator_are_collected(stub: Any, pb: Any) -> None:
    answer = await stub.Collect(_several(pb, 100))
    assert answer.number == 100


async def test_requests_from_a_plain_iterator_are_collected(stub: Any, pb: Any) -> None:
    answer = await stub.Collect(iter([pb.Probe(text="a"), pb.Probe(text="b")]))
    assert answer.text == "a,b"


async def test_written_requests_are_collected(stub: Any, pb: Any) -> None:
    call = stub.Collect()
    await call.write(pb.Probe(text="a"))
    await call.write(pb.Probe(text="b"))
    await call.done_writing()
    assert (await call).text == "a,b"


async def test_a_conversation_goes_back_and_forth(stub: Any, pb: Any) -> None:
    call = stub.Converse()
    for text in ("a", "b", "c"):
        await call.write(pb.Probe(text=text))
        assert (await call.read()).text == text
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_all_requests_may_be_written_before_an_answer_is_read(stub: Any, pb: Any) -> None:
    call = stub.Converse()
    for number in range(300):
        await call.write(pb.Probe(number=number))
    await call.done_writing()
    assert [answer.number async for answer in call] == list(range(300))


async def test_a_slow_reader_holds_the_writer_back(stub: Any, pb: Any, servicer: Any) -> None:
    call = stub.Count(pb.Probe(number=1_000_000, text="x" * 1000))
    await call.read()
    await asyncio.sleep(0.05)
    assert not servicer.closed.is_set()
    call.cancel()


async def test_a_deadline_ends_the_call_and_the_handler(stub: Any, pb: Any, servicer: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(pb.Probe(act="hang"), timeout=0.1)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(servicer.closed.wait(), 1)
    assert servicer.ended == ["cancelled"]


async def test_a_deadline_ends_a_stream(stub: Any, pb: Any, servicer: Any) -> None:
    call = stub.Count(pb.Probe(number=2, act="hang"), timeout=0.2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [answer async for answer in call]
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(servicer.closed.wait(), 1)


async def test_no_deadline_is_longer_than_the_cap(stub: Any, pb: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(pb.Probe(act="hang"), timeout=60)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_cancels_its_handler(stub: Any, pb: Any, servicer: Any) -> None:
    call = stub.Echo(pb.Probe(act="hang"))
    await asyncio.wait_for(servicer.begun.wait(), 1)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert await call.code() is StatusCode.CANCELLED
    await asyncio.wait_for(servicer.closed.wait(), 1)


async def test_cancelling_who_awaits_cancels_the_handler(stub: Any, pb: Any, servicer: Any) -> None:
    waiting = asyncio.ensure_future(_answer(stub.Echo(pb.Probe(act="hang"))))
    await asyncio.wait_for(servicer.begun.wait(), 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(servicer.closed.wait(), 1)


async def _answer(call: Any) -> Any:
    return await call


async def test_a_cancelled_stream_cancels_its_handler(stub: Any, pb: Any, servicer: Any) -> None:
    call = stub.Count(pb.Probe(number=1, act="hang"))
    await call.read()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    await asyncio.wait_for(servicer.closed.wait(), 1)


async def test_a_forgotten_call_is_cancelled(
    registry: Any, servicer: Any, pb: Any, probe_grpc: Any
) -> None:
    async with InProcessChannel(registry) as channel:
        stub = probe_grpc.ProbeServiceStub(channel)
        await stub.Count(pb.Probe(number=1, act="hang")).read()
        gc.collect()
        await asyncio.wait_for(servicer.closed.wait(), 1)


async def test_closing_the_channel_lets_calls_finish_within_the_grace(
    registry: Any, servicer: Any, pb: Any, probe_grpc: Any
) -> None:
    channel = InProcessChannel(registry)
    stub = probe_grpc.ProbeServiceStub(channel)
    quick = asyncio.ensure_future(_answer(stub.Echo(pb.Probe(text="a", act="pause"))))
    slow = stub.Watch(pb.Probe(), metadata=(("authorization", "Bearer patient"),))
    await slow.read()
    await channel.close(0.2)
    assert (await quick).text == "paused"
    assert await slow.code() is StatusCode.CANCELLED
    assert servicer.ended == ["cancelled"]
    with pytest.raises(grpc.aio.UsageError):
        stub.Echo(pb.Probe())


async def test_a_failing_iterator_of_requests_cancels_the_call(stub: Any, pb: Any) -> None:
    def broken() -> Any:
        yield pb.Probe(text="a")
        raise ValueError

    with pytest.raises(asyncio.CancelledError):
        await stub.Collect(broken())


async def test_a_call_that_is_done_says_so(stub: Any, pb: Any) -> None:
    told: list[Any] = []
    call = stub.Echo(pb.Probe())
    call.add_done_callback(told.append)
    await call
    assert call.done()
    assert not call.cancelled()
    assert not call.cancel()
    assert told == [call]
    assert (await call.code(), await call.details()) == (StatusCode.OK, "")


async def test_the_request_id_comes_back(stub: Any, pb: Any) -> None:
    call = stub.Echo(pb.Probe(), metadata=(("x-request-id", "tap-1"),))
    await call
    assert (await call.trailing_metadata())["x-request-id"] == "tap-1"


async def test_a_stream_tells_its_request_id_at_once(stub: Any, pb: Any) -> None:
    call = stub.Count(pb.Probe(act="hang"), metadata=(("x-request-id", "tap-2"),))
    assert (await call.initial_metadata())["x-request-id"] == "tap-2"
    call.cancel()


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "{evil}"])
async def test_an_unfit_request_id_is_replaced(stub: Any, pb: Any, sent: str) -> None:
    call = stub.Echo(pb.Probe(), metadata=(("x-request-id", sent),))
    await call
    assert len((await call.trailing_metadata())["x-request-id"]) == 32


@pytest.mark.parametrize("key", ["Upper", "with space"])
async def test_metadata_that_cannot_travel_is_refused(stub: Any, pb: Any, key: str) -> None:
    with pytest.raises(grpc.aio.InternalError):
        await stub.Echo(pb.Probe(), metadata=((key, "x"),))


async def test_metadata_beyond_all_measure_is_refused(stub: Any, pb: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(pb.Probe(), metadata=(("k", "x" * 20_000),))
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_a_request_that_is_too_large_is_refused(stub: Any, pb: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(pb.Probe(text="x" * (4 * 1024 * 1024 + 1)))
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_an_answer_is_no_alias_of_the_servers_message(stub: Any, pb: Any) -> None:
    request = pb.Probe(text="a")
    answer = await stub.Echo(request)
    answer.text = "b"
    assert request.text == "a"


async def test_a_handler_does_not_see_the_clients_context(stub: Any, pb: Any, mood: Any) -> None:
    mood.set("secret")
    assert (await stub.Echo(pb.Probe(act="tell_mood"))).text == "none"


@pytest.mark.parametrize("count", [1, 3, 200])
async def test_an_early_end_reaches_a_client_that_still_writes(
    stub: Any, pb: Any, count: int
) -> None:
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Collect(_several(pb, count, act="taken"))
        assert caught.value.code() is StatusCode.ALREADY_EXISTS


async def test_an_early_end_of_a_conversation_reaches_its_client(stub: Any, pb: Any) -> None:
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [answer async for answer in stub.Converse(_several(pb, 200, act="taken"))]
        assert caught.value.code() is StatusCode.ALREADY_EXISTS


async def test_an_early_end_does_not_wait_for_a_silent_client(stub: Any, pb: Any) -> None:
    call = stub.Collect()
    await call.write(pb.Probe(act="taken"))
    async with asyncio.timeout(1):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    assert caught.value.code() is StatusCode.ALREADY_EXISTS


async def test_writing_after_the_end_fails(stub: Any, pb: Any) -> None:
    call = stub.Collect()
    await call.write(pb.Probe(act="taken"))
    await call.code()
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(pb.Probe())
