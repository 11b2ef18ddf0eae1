"""TCP ports on this machine: find a free one, and say who has a taken one."""

from __future__ import annotations

import errno
import socket

import psutil

from launch.errors import PortTaken, Refusal


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuse_taken(host: str, port: int, *, purpose: str, setting: str) -> None:
    """Refuse an address that cannot be listened on, naming who listens there when that is known."""
    if port == 0:
        return
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as failure:
        raise _refusal(failure, host, port, purpose, setting) from failure


def _refusal(failure: OSError, host: str, port: int, purpose: str, setting: str) -> Refusal:
    if failure.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port}, which {purpose} needs, is taken{_by_whom(port)}: "
            f"stop that program, or choose another port with {setting}."
        )
    return Refusal(f"Cannot listen on {host}:{port} for {purpose} ({failure.strerror}).")


def _by_whom(port: int) -> str:
    for found in _listeners():
        if found.laddr and found.laddr[1] == port and found.pid:
            return f" by {psutil.Process(found.pid).name()} (pid {found.pid})"
    return ""


def _listeners() -> list[psutil._ntuples.sconn]:
    try:
        return [found for found in psutil.net_connections("tcp") if found.status == "LISTEN"]
    except psutil.AccessDenied:
        return []
