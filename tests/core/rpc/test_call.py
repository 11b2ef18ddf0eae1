"""What the guard reads from a call's metadata."""

from ipaddress import ip_network

import pytest

from server.core.call import IN_PROCESS, Call

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("ipv4:203.0.113.5:4711", "", "203.0.113.5"),
        ("ipv6:%5B2001:db8::1%5D:4711", "", "2001:db8::1"),
        ("unix:", "", ""),
        ("ipv4:203.0.113.5:4711", "198.51.100.7", "203.0.113.5"),
        ("ipv4:10.1.2.3:4711", "198.51.100.7", "198.51.100.7"),
        ("ipv6:[::1]:4711", "2001:db8::2", "2001:db8::2"),
        ("ipv4:10.1.2.3:4711", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("ipv4:10.1.2.3:4711", "somebody", "10.1.2.3"),
        (IN_PROCESS, "198.51.100.7", "198.51.100.7"),
        (IN_PROCESS, "somebody", ""),
        ("unix:", "198.51.100.7", ""),
    ],
)
def test_only_a_trusted_peer_speaks_for_another_address(
    peer: str, forwarded: str, address: str
) -> None:
    metadata = [("x-forwarded-for", forwarded)] if forwarded else []
    assert Call(metadata, peer, TRUSTED).address == address


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc.def", "abc.def"),
        ("bearer  abc", "abc"),
        ("Basic YTpi", ""),
        ("abc", ""),
        ("", ""),
    ],
)
def test_only_a_bearer_token_is_a_token(header: str, token: str) -> None:
    assert Call([("authorization", header)]).token == token


def test_of_two_authorizations_neither_counts() -> None:
    for pair in (["Bearer good", "Bearer bad"], ["Basic x", "Bearer good"], ["Bearer good"] * 2):
        call = Call([("authorization", header) for header in pair])
        assert call.token not in {"", "good", "bad"}


@pytest.mark.parametrize("sent", ["00-xyz-1-01", "", "0af7651916cd43dd8448eb211c80319c"])
def test_what_is_no_trace_is_not_logged(sent: str) -> None:
    assert Call([("traceparent", sent)]).trace_id == ""
