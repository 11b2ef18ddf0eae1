"""What the guard lets in and what it lets out, over both channels."""

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

StatusCode = grpc.StatusCode
RAW = {"request_serializer": None, "response_deserializer": None}


def signed(token: str) -> dict[str, Any]:
    return {"metadata": (("authorization", f"Bearer {token}"),)}


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def details(error: grpc.aio.AioRpcError, kind: type) -> list[Any]:
    """The details of one kind; holds that there is exactly one ErrorInfo, of our domain."""
    status = rpc_status.from_call(error)
    assert status is not None
    found: dict[str, list[Any]] = {}
    for packed in status.details:
        found.setdefault(packed.TypeName(), []).append(packed)
    assert len(found["google.rpc.ErrorInfo"]) == 1
    unpacked = []
    for packed in found.get(kind.DESCRIPTOR.full_name, []):
        unpacked.append(kind())
        packed.Unpack(unpacked[-1])
    return unpacked


def info(error: grpc.aio.AioRpcError) -> Any:
    found = details(error, error_details_pb2.ErrorInfo)[0]
    assert found.domain == "carelane"
    return found


def fields(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    violations = details(error, error_details_pb2.BadRequest)[0].field_violations
    return [(violation.field, violation.description) for violation in violations]


async def test_a_domain_error_leaves_whole(stub: Any, pb: Any) -> None:
    error = await refused(stub.Echo(pb.Probe(act="taken")))
    assert error.code() is StatusCode.ALREADY_EXISTS
    assert error.details() == "It exists already."
    assert info(error).reason == "SLOT_TAKEN"
    assert dict(info(error).metadata) == {"rule": "overlap"}
    delay = details(error, error_details_pb2.RetryInfo)[0].retry_delay
    assert delay.ToMilliseconds() == 1500
    assert len(error.trailing_metadata()["x-request-id"]) == 32


async def test_an_invalid_field_is_named(stub: Any, pb: Any) -> None:
    error = await refused(stub.Echo(pb.Probe(act="field")))
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert fields(error) == [("rules[3].end", "must be after start")]


@pytest.mark.parametrize("act", ["crash", "nothing", "wrong", "give_up"])
async def test_a_defect_leaves_bare_with_a_reference_to_its_only_log_line(
    stub: Any, pb: Any, logged: Any, act: str
) -> None:
    error = await refused(stub.Echo(pb.Probe(act=act, text="diagnosis")))
    assert error.code() is StatusCode.INTERNAL
    reference = info(error).metadata["reference"]
    assert error.details() == f"Something went wrong on our side; the reference is {reference}."
    [line] = logged()
    assert (line["reference"], line["level"]) == (reference, "error")
    assert "stack" in line
    assert not {"password", "diagnosis"} & set(str(line).replace("'", " ").split())


async def test_a_defect_in_a_stream_leaves_bare(stub: Any, pb: Any, logged: Any) -> None:
    call = stub.Count(pb.Probe(number=2, act="crash"))
    assert [(await call.read()).number for _ in range(2)] == [0, 1]
    error = await refused(call.read())
    assert error.code() is StatusCode.INTERNAL
    assert len(logged()) == 1


async def test_an_answer_that_is_too_large_is_refused(stub: Any, pb: Any) -> None:
    error = await refused(stub.Echo(pb.Probe(act="huge")))
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert info(error).reason == "TOO_LARGE"


async def test_a_transaction_cut_off_is_run_again(stub: Any, pb: Any, servicer: Any) -> None:
    assert (await stub.Echo(pb.Probe(act="serialise_twice"))).text == "third time"
    assert servicer.attempts == 3


async def test_a_transaction_cut_off_three_times_is_aborted(
    stub: Any, pb: Any, servicer: Any
) -> None:
    error = await refused(stub.Echo(pb.Probe(act="serialise")))
    assert error.code() is StatusCode.ABORTED
    assert info(error).reason == "CONFLICT"
    assert servicer.attempts == 3


async def test_a_repeated_request_gets_the_stored_answer(stub: Any, pb: Any) -> None:
    assert (await stub.Echo(pb.Probe(act="replayed"))).text == "stored"


async def test_an_rpc_that_does_not_exist_is_refused_like_any_other(
    channel: Any, stub: Any, pb: Any
) -> None:
    for call in (stub.Absent(pb.Probe()), channel.unary_unary("/probe.v1.Nothing/Here")(b"x")):
        error = await refused(call)
        assert error.code() is StatusCode.UNIMPLEMENTED
        assert info(error).reason == "UNIMPLEMENTED"


async def test_no_token_is_refused(stub: Any, pb: Any) -> None:
    error = await refused(stub.Private(pb.Probe()))
    assert error.code() is StatusCode.UNAUTHENTICATED
    assert info(error).reason == "UNAUTHENTICATED"


async def test_an_expired_token_is_refused_by_its_reason(stub: Any, pb: Any) -> None:
    error = await refused(stub.Private(pb.Probe(), **signed("old")))
    assert error.code() is StatusCode.UNAUTHENTICATED
    assert info(error).reason == "TOKEN_EXPIRED"


async def test_an_expired_token_keeps_nobody_from_what_is_open_to_anyone(
    stub: Any, pb: Any
) -> None:
    assert (await stub.Echo(pb.Probe(text="a"), **signed("old"))).text == "a"


async def test_a_role_that_is_not_admitted_is_refused_before_the_request_is_read(
    stub: Any, pb: Any
) -> None:
    error = await refused(stub.ForDoctors(pb.Probe(text="a\0b"), **signed("patient")))
    assert error.code() is StatusCode.PERMISSION_DENIED
    assert info(error).reason == "PERMISSION_DENIED"
    assert await stub.ForDoctors(pb.Probe(), **signed("doctor")) == pb.Probe()


async def test_an_authority_that_is_down_is_a_defect(stub: Any, pb: Any) -> None:
    error = await refused(stub.Private(pb.Probe(), **signed("broken")))
    assert error.code() is StatusCode.INTERNAL
    assert "secret" not in str(error)


async def test_a_handler_knows_the_caller_the_request_and_the_address(
    channel: Any, stub: Any, pb: Any
) -> None:
    metadata = (
        ("authorization", "bearer patient"),
        ("x-request-id", "tap-1"),
        ("x-forwarded-for", "203.0.113.9"),
    )
    answer = await stub.Private(pb.Probe(), metadata=metadata)
    user, role, request_id, address = answer.text.split(" ")
    assert (user, role) == ("00000000-0000-0000-0000-000000000001", "patient")
    assert request_id == "tap-1"
    # Whoever comes over the network untrusted cannot choose an address.
    network = type(channel).__module__.startswith("grpc")
    assert address == ("127.0.0.1" if network else "203.0.113.9")


@pytest.mark.parametrize(
    "raw",
    [b"\xff", b"\x0a\x05ab", b"\x0a\x03\xed\xa0\x80", b"\x0a\x02\xc3\x28", b"\x0b" * 500],
    ids=["no message", "cut off", "lone surrogate", "bad UTF-8", "deep nesting"],
)
async def test_bytes_that_are_no_message_are_refused(
    channel: Any, servicer: Any, raw: bytes
) -> None:
    error = await refused(channel.unary_unary("/probe.v1.ProbeService/Echo", **RAW)(raw))
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert fields(error) == [("", "must be a message of the contract")]


async def test_an_unknown_field_is_refused(channel: Any, servicer: Any, pb: Any) -> None:
    raw = pb.NewerProbe(text="a", unheard_of="b").SerializeToString()
    error = await refused(channel.unary_unary("/probe.v1.ProbeService/Echo", **RAW)(raw))
    assert fields(error) == [("", "must have only fields that the contract knows")]


async def test_an_unknown_field_of_a_part_is_refused(channel: Any, servicer: Any, pb: Any) -> None:
    unknown = pb.NewerProbe(unheard_of="b").SerializeToString()
    raw = pb.Probe(parts=[pb.Part.FromString(unknown)]).SerializeToString()
    error = await refused(channel.unary_unary("/probe.v1.ProbeService/Echo", **RAW)(raw))
    assert error.code() is StatusCode.INVALID_ARGUMENT


async def test_broken_rules_are_named_by_path_without_what_was_sent(stub: Any, pb: Any) -> None:
    inner = pb.Part(inner=pb.Part(name="evil-name"))
    request = pb.Probe(parts=[pb.Part(name="ok"), inner], labels={"evil-key": "evil-value"})
    error = await refused(stub.Echo(request))
    assert fields(error) == [
        ("parts[1].inner.name", "must be at most 5 characters"),
        ("labels[]", "must be at most 5 characters"),
    ]
    assert "evil" not in str(error)


async def test_the_list_of_broken_rules_is_bounded(stub: Any, pb: Any) -> None:
    error = await refused(stub.Echo(pb.Probe(parts=[pb.Part(name="too long")] * 1000)))
    assert len(fields(error)) == 16


@pytest.mark.parametrize(
    ("request_fields", "path"),
    [
        ({"text": "a\0"}, "text"),
        ({"parts": [{}, {"inner": {"name": "\0"}}]}, "parts[1].inner.name"),
        ({"labels": {"\0": "a"}}, "labels"),
        ({"labels": {"a": "\0"}}, "labels"),
    ],
)
async def test_a_nul_character_is_refused_anywhere(
    stub: Any, pb: Any, request_fields: dict[str, Any], path: str
) -> None:
    error = await refused(stub.Echo(pb.Probe(**request_fields)))
    assert fields(error) == [(path, "must not contain a NUL character")]


async def test_zero_bytes_are_welcome_in_bytes(stub: Any, pb: Any) -> None:
    assert (await stub.Echo(pb.Probe(data=b"\0"))).data == b"\0"


async def test_a_broken_rule_in_the_midst_of_a_stream_ends_it(stub: Any, pb: Any) -> None:
    call = stub.Converse()
    await call.write(pb.Probe(text="a"))
    await call.read()
    await call.write(pb.Probe(parts=[pb.Part(name="too long")]))
    error = await refused(call.read())
    assert fields(error)[0][0] == "parts[0].name"


async def test_an_open_stream_ends_when_its_token_does(
    stub: Any, pb: Any, authority: Any, servicer: Any
) -> None:
    call = stub.Watch(pb.Probe(), **signed("patient"))
    await call.read()
    await asyncio.sleep(0.2)
    assert authority.asked > 2
    assert not call.done()
    del authority.callers["patient"]
    async with asyncio.timeout(1):
        error = await refused(call.read())
    assert (error.code(), info(error).reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert servicer.ended == ["cancelled"]


async def test_open_streams_end_when_the_server_drains(
    stub: Any, pb: Any, registry: Any, servicer: Any
) -> None:
    call = stub.Watch(pb.Probe(), **signed("patient"))
    await call.read()
    registry.drain()
    error = await refused(call.read())
    assert (error.code(), info(error).reason) == (StatusCode.UNAVAILABLE, "UNAVAILABLE")
    again = await refused(stub.Watch(pb.Probe(), **signed("patient")).read())
    assert again.code() is StatusCode.UNAVAILABLE
    assert (await stub.Echo(pb.Probe(text="a"))).text == "a"


async def test_a_caller_holds_only_so_many_streams(stub: Any, pb: Any) -> None:
    held = [stub.Watch(pb.Probe(), **signed("patient")) for _ in range(3)]
    for call in held:
        await call.read()
    error = await refused(stub.Watch(pb.Probe(), **signed("patient")).read())
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.Watch(pb.Probe(), **signed("doctor")).read()).text == "open"


async def test_each_call_is_one_log_line_of_ids(stub: Any, pb: Any, logged: Any) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    metadata = (
        ("authorization", "Bearer patient"),
        ("x-request-id", "tap-1"),
        ("traceparent", f"00-{trace}-b7ad6b7169203331-01"),
    )
    await stub.Private(pb.Probe(text="diagnosis"), metadata=metadata)
    await refused(stub.Private(pb.Probe(text="diagnosis")))
    done, denied = logged()
    assert done.pop("ms") >= 0
    assert done.pop("time").endswith("Z")
    assert done == {
        "event": "rpc",
        "level": "info",
        "method": "/probe.v1.ProbeService/Private",
        "code": "OK",
        "request_id": "tap-1",
        "trace_id": trace,
        "user_id": "00000000-0000-0000-0000-000000000001",
    }
    assert (denied["code"], denied["reason"]) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


async def test_calls_are_counted_by_method_and_code(
    stub: Any, pb: Any, servicer: Any, numbers: CollectorRegistry
) -> None:
    await stub.Echo(pb.Probe())
    await refused(stub.Echo(pb.Probe(act="taken")))
    hanging = stub.Echo(pb.Probe(act="hang"))
    method = {"method": "/probe.v1.ProbeService/Echo"}

    def value(name: str, **labels: str) -> float | None:
        return numbers.get_sample_value(name, method | labels)

    await asyncio.wait_for(servicer.begun.wait(), 1)
    assert value("carelane_rpc_in_flight") == 1
    assert value("carelane_rpc_calls_total", code="OK") == 1
    assert value("carelane_rpc_calls_total", code="ALREADY_EXISTS") == 1
    assert value("carelane_rpc_seconds_count") == 2
    hanging.cancel()
    await asyncio.wait_for(servicer.closed.wait(), 1)
    assert value("carelane_rpc_calls_total", code="CANCELLED") == 1
    assert value("carelane_rpc_in_flight") == 0


async def test_an_rpc_that_does_not_say_who_may_call_it_is_not_served(
    probe_grpc: Any, registry: Any
) -> None:
    class Unguarded(probe_grpc.UnguardedServiceServicer):
        async def Open(self, request: Any, context: Any) -> Any:
            return request

    with pytest.raises(LookupError, match=r"probe\.v1\.UnguardedService\.Open"):
        probe_grpc.add_UnguardedServiceServicer_to_server(Unguarded(), registry)


async def test_a_handler_that_is_not_asynchronous_is_not_served(
    probe_grpc: Any, registry: Any
) -> None:
    class Blocking(probe_grpc.ProbeServiceServicer):
        def Echo(self, request: Any, context: Any) -> Any:
            return request

    with pytest.raises(TypeError, match="not asynchronous"):
        probe_grpc.add_ProbeServiceServicer_to_server(Blocking(), registry)
