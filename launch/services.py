"""The three embedded services of one data folder, started and stopped together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from launch import ports
from launch.objects import EmbeddedObjects
from launch.postgres import EmbeddedPostgres
from launch.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launch.service import Service


class Services:
    """PostgreSQL, Valkey and the object store below `folder`; port 0 takes a free one."""

    def __init__(
        self, folder: Path, *, postgres_port: int = 0, valkey_port: int = 0, objects_port: int = 0
    ) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres", port=postgres_port)
        self.valkey = EmbeddedValkey(folder / "valkey", port=valkey_port)
        self.objects = EmbeddedObjects(folder / "objects", port=objects_port)

    def __iter__(self) -> Iterator[Service]:
        yield from (self.postgres, self.valkey, self.objects)

    def stop_orphans(self) -> bool:
        """Stop what a killed launcher left on this folder; True when there was something."""
        return sum(service.stop_orphan() for service in self) > 0

    def refuse_taken_ports(self) -> None:
        """Refuse before anything has started when a port that was asked for is taken."""
        for service in self:
            setting = f"--{service.folder.name}-port"
            ports.refuse_taken("127.0.0.1", service.port, purpose=service.name, setting=setting)

    def stop(self) -> None:
        """Stop all three at once, also one whose start was cut off before it was noted."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(_stop, self))

    def ended(self) -> list[Service]:
        """Return those that have ended by themselves."""
        return [service for service in self if service.ended]


def _stop(service: Service) -> None:
    service.stop()
    service.stop_orphan()
