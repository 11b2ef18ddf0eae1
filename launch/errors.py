"""What the launcher tells a person when it cannot go on."""

from __future__ import annotations


class Refusal(Exception):
    """Carry one clear sentence for the person at the terminal; the command then exits with 1."""


class UnknownSchema(Refusal):
    """The database is at a revision of another release, newer than this one."""


class StartFailed(Refusal):
    """A service did not come up; the sentence ends with the last words of its log."""


class PortTaken(Refusal):
    """Another process listens on an address that this one needs."""


class AlreadyRunning(Refusal):
    """Another launcher has this data folder."""
