"""FactorService beside AuthService, where administrators and owners need a second factor or not."""

from collections.abc import AsyncIterator

import pytest

from server.auth.passwords import Passwords
from server.core.db import Database
from tests.auth.auth_client import Auth
from tests.auth.conftest import auth, live, owner, passwords, worker

__all__ = ["auth", "live", "owner", "passwords", "strict", "worker"]


@pytest.fixture
async def strict(committed: Database, passwords: Passwords) -> AsyncIterator[Auth]:
    """The services where those who need a second factor must have it, on committing connections."""
    made = Auth(committed, passwords, second_factor=True)
    yield made
    await made.channel.close()
