"""Keys of a clinic and of the platform, and programs that call with them."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.world import Person, PracticeOf, World

SCHEDULE = ("schedule.read",)
ADMIN = Person(uuid4(), "admin")


@dataclass(frozen=True)
class Program(Person):
    """What calls with an access token that it was given for a key."""

    access_token: str = ""

    @property
    def token(self) -> str:
        return self.access_token


@dataclass
class Keys:
    """The world with a practice, whose owner makes keys."""

    world: World
    at: PracticeOf
    made: dict[str, str] = field(default_factory=dict)

    async def make(self, *scopes: str, by: Person | None = None) -> Any:
        """Make a key of the practice's clinic, or by an administrator one of the platform."""
        return await self.world.call(
            "CreateKey",
            by or self.at.owner,
            request_id=uuid4(),
            clinic_id=None if by else self.at.clinic_id,
            name="Front desk software",
            scopes=list(scopes or SCHEDULE),
        )

    async def exchange(self, made: Any, *scopes: str) -> Program:
        """Exchange a key with the secret that it was made or rotated with."""
        answer = await self.world.call(
            "ExchangeKey", key_id=made.key.key_id, secret=made.secret, scopes=list(scopes)
        )
        return Program(UUID(made.key.key_id), "", answer.access_token)

    async def program(self, *scopes: str, by: Person | None = None) -> Program:
        """Make a key and exchange it."""
        return await self.exchange(await self.make(*scopes, by=by))

    async def rotate(self, made: Any, overlap_minutes: int = 0, **fields: Any) -> Any:
        return await self.world.call(
            "RotateKey",
            self.at.owner,
            **({"request_id": uuid4()} | fields),
            key_id=made.key.key_id,
            overlap_minutes=overlap_minutes,
        )

    async def revoke(self, made: Any, by: Person | None = None) -> Any:
        fields = {"request_id": uuid4(), "key_id": made.key.key_id}
        return await self.world.call("RevokeKey", by or self.at.owner, **fields)

    async def schedule(self, program: Person) -> list[Any]:
        """Read today and tomorrow as the program."""
        answer = await self.world.call("ListDoctorAppointments", program, days=3)
        return list(answer.appointments)


@pytest.fixture
async def keys(world: World) -> Keys:
    """A practice with an owner, on the database that is rolled back."""
    return Keys(world, await world.practice())
