"""AuthService behind the guard, called through its stub, and people to call it."""

import secrets
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from carelane.auth.v1 import auth_service_pb2 as pb
from carelane.auth.v1 import auth_service_pb2_grpc, session_pb2, user_pb2
from carelane.factor.v1 import factor_service_pb2 as factor_pb
from carelane.factor.v1 import factor_service_pb2_grpc
from server.auth.attempts import Attempts
from server.auth.authenticator import Authenticator
from server.auth.keyed import KeyedHash
from server.auth.limits import Limits
from server.auth.passwords import Passwords
from server.auth.secrets import Secrets
from server.auth.servicer import AuthServicer
from server.auth.tokens import SigningKey, Tokens
from server.core import log, rpc
from server.core.channel import InProcessChannel
from server.core.db import Database
from server.core.metrics import CallMetrics
from server.core.paging import Pager
from server.factor.passkeys import RelyingParty
from server.factor.sealing import Sealing
from server.factor.service import Factors
from server.factor.servicer import FactorServicer

Connection: TypeAlias = Any  # asyncpg.Connection, which is generic for its stubs only
PASSWORD = "correct horse battery"
PARTY = RelyingParty("carelane.example", ("https://carelane.example",))


@dataclass
class Person:
    """Somebody who signed in."""

    email: str
    session: session_pb2.Session
    user: user_pb2.User

    @property
    def token(self) -> str:
        return self.session.access_token


class Auth:
    """The service: `await auth.Login(email=…)`, as `token` or from `address` where it matters.

    FactorService beside it is called in the same way; with `second_factor`, administrators and
    owners of clinics need one.
    """

    def __init__(self, db: Database, passwords: Passwords, *, second_factor: bool = False) -> None:
        self.db = db
        self._second_factor = second_factor
        self.tokens = Tokens(
            [SigningKey("k1", Ed25519PrivateKey.generate())],
            issuer="https://carelane.example",
            audience="carelane",
            clock=db.clock,
        )
        self.keyed = KeyedHash([secrets.token_bytes(32)])
        self.authenticator = Authenticator(db, self.tokens, second_factor=second_factor)
        self.factor_keys = [secrets.token_bytes(32)]
        self._logger = log.logger("ERROR")
        self._passwords = passwords
        self._attempts = Attempts(Limits(db.clock, self._logger))
        self.channel = self._serve()

    def _serve(self) -> InProcessChannel:
        registry = rpc.Registry(
            self.authenticator, logger=self._logger, metrics=CallMetrics(CollectorRegistry())
        )
        pager = Pager(b"a secret for the pages of tests")
        held = Secrets(self.tokens, self.keyed, self._passwords, self._attempts, pager)
        factors = Factors(Sealing(self.factor_keys), PARTY)
        servicer = AuthServicer(self.db, self.authenticator, held, factors)
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(servicer, registry)
        other = FactorServicer(
            self.db, self.authenticator, held, factors, required=self._second_factor
        )
        factor_service_pb2_grpc.add_FactorServiceServicer_to_server(other, registry)
        channel = InProcessChannel(registry)
        self._stubs = (
            (pb, auth_service_pb2_grpc.AuthServiceStub(channel)),
            (factor_pb, factor_service_pb2_grpc.FactorServiceStub(channel)),
        )
        return channel

    async def ask(self, name: str, metadata: list[tuple[str, str]], **fields: Any) -> Any:
        """Call an RPC of AuthService with exactly this metadata."""
        call = getattr(self._stubs[0][1], name)
        return await call(getattr(pb, f"{name}Request")(**fields), metadata=metadata)

    def rotate_refresh_key(self) -> None:
        """Start the service anew with one more key for refresh tokens."""
        self.keyed = KeyedHash([secrets.token_bytes(32), *self.keyed._keys])
        self.channel = self._serve()

    def __getattr__(self, name: str) -> Any:
        for messages, stub in self._stubs:
            if hasattr(stub, name):
                request_type, call = getattr(messages, f"{name}Request"), getattr(stub, name)
                break
        else:
            raise AttributeError(name)

        async def ask(
            token: str = "", address: str = "203.0.113.1", agent: str = "", **fields: Any
        ) -> Any:
            metadata = [("x-forwarded-for", address), ("x-user-agent", agent)]
            if token:
                metadata.append(("authorization", f"Bearer {token}"))
            return await call(request_type(**fields), metadata=metadata)

        return ask

    async def register(self, email: str = "", **fields: Any) -> str:
        """Register somebody new and answer the address."""
        email = email or f"{uuid4().hex}@mail.example"
        usual = {"password": PASSWORD, "full_name": "Asha Rao", "role": user_pb2.ROLE_PATIENT}
        await self.Register(email=email, **(usual | fields))
        return email

    async def login(self, email: str, password: str = PASSWORD, **where: str) -> Person:
        answer = await self.Login(email=email, password=password, **where)
        return Person(email, answer.session, answer.user)

    async def person(self, **fields: Any) -> Person:
        """Register somebody new and sign in."""
        return await self.login(await self.register(**fields))
