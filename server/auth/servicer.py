"""AuthService: messages in, messages out."""

from datetime import datetime
from typing import Any
from uuid import UUID

import grpc
from asyncpg import Record

from carelane.auth.v1 import auth_service_pb2 as pb
from carelane.auth.v1 import auth_service_pb2_grpc, session_pb2
from server.auth import messages, own_sessions, passwords, pending, person, service, sessions
from server.auth.attempts import KNOWN_FOR
from server.auth.authenticator import Authenticator
from server.auth.devices import device
from server.auth.keyed import token_hash
from server.auth.limits import network
from server.auth.second_factor import Proof, SecondFactors
from server.auth.secrets import Secrets
from server.core import rpc
from server.core.access import Caller
from server.core.db import Database, Transaction
from server.core.errors import InvalidField, Unauthenticated
from server.core.ids import new_id
from server.core.wire import from_time, to_id

Context = grpc.aio.ServicerContext[Any, Any]


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    """Serves accounts, sign-in, sessions and the caller's own profile."""

    def __init__(
        self,
        db: Database,
        authenticator: Authenticator,
        secrets: Secrets,
        second_factors: SecondFactors,
    ) -> None:
        self._db = db
        self._second_factors = second_factors
        self._authenticator = authenticator
        self._tokens = secrets.tokens
        self._keyed = secrets.keyed
        self._passwords = secrets.passwords
        self._attempts = secrets.attempts
        self._pager = secrets.pager

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.RegisterResponse:
        await self._attempts.registration(network(rpc.client_address()))
        known = (request.email, request.email.partition("@")[0], request.full_name)
        passwords.check(request.password, "password", personal=known)
        registration = service.Registration(
            email=request.email,
            role=messages.ROLES[request.role],
            full_name=person.full_name(request.full_name),
            phone=person.phone(request.phone),
            time_zone=person.time_zone(request.time_zone),
            language=person.language(request.language),
        )
        repeated = to_id(request.request_id, "request_id") if request.request_id else None
        made = await self._passwords.hash(request.password)
        user_id = new_id(self._db.clock.now())
        async with self._db.transaction(Caller(user_id)) as tx:
            await service.register(
                tx, user_id, registration, password_hash=made, registration_id=repeated
            )
        return pb.RegisterResponse()

    async def Login(self, request: pb.LoginRequest, context: Context) -> pb.LoginResponse:
        found, network_hash = await self._find_by_password(request)
        user_id, role, old = found["user_id"], found["role"], found["password_hash"]
        session_id = new_id(self._db.clock.now())
        new = await self._renewed(request.password, old)
        caller, lock = Caller(user_id, role, session_id), service.credential_lock(user_id)
        async with self._db.transaction(caller, lock=lock) as tx:
            await service.set_password(
                tx, user_id, old_hash=old, new_hash=new, action="user.password_rehashed"
            )
            if kinds := await self._second_factors.kinds(tx):
                known = bool(found["known_network"])
                token = await pending.begin(
                    tx, user_id, network_hash=network_hash, known_network=known
                )
                return pb.LoginResponse(second_factor=messages.pending(token, kinds))
            return await self._opened(tx, session_id, network_hash)

    async def _opened(
        self, tx: Transaction, session_id: UUID, network_hash: bytes
    ) -> pb.LoginResponse:
        where = device(rpc.user_agent(), rpc.client_address())
        refresh = await sessions.open_session(
            tx, tx.user_id, session_id, network_hash=network_hash, device=where
        )
        account = await service.account(tx, tx.user_id)
        session = self._session(tx.user_id, account["role"], session_id, refresh)
        return pb.LoginResponse(session=session, user=messages.user(account))

    async def RefreshToken(
        self, request: pb.RefreshTokenRequest, context: Context
    ) -> pb.RefreshTokenResponse:
        token = request.refresh_token
        found = await self._db.one(sessions.FIND_OWNER, token_hash=token_hash(token))
        if found is None:
            raise sessions.SessionEnded
        user_id, role, session_id = found["user_id"], found["role"], found["session_id"]
        caller, lock = Caller(user_id, role, session_id), sessions.family_lock(session_id)
        async with self._db.transaction(caller, lock=lock) as tx:
            refresh = await sessions.exchange(
                tx, user_id, session_id, token=token, keyed=self._keyed
            )
        if refresh is None:
            self._authenticator.forget([session_id])
            raise sessions.SessionEnded
        return pb.RefreshTokenResponse(session=self._session(user_id, role, session_id, refresh))

    async def Logout(self, request: pb.LogoutRequest, context: Context) -> pb.LogoutResponse:
        caller, user_id, session_id = _signed_in()
        async with self._db.transaction(caller) as tx:
            if request.all:
                ended = await sessions.end(tx, user_id, sessions.END_ALL, reason="logout")
            else:
                ended = await sessions.end(
                    tx, user_id, sessions.END_ONE, reason="logout", session=session_id
                )
        self._authenticator.forget([*ended, session_id])
        return pb.LogoutResponse(ended_count=len(ended))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await own_sessions.find(tx, after=page.after, size=page.limit)
        shown, token = page.cut(rows, "create_time", "session_id")
        return pb.ListSessionsResponse(
            sessions=[messages.open_session(row, caller.session_id) for row in shown],
            next_page_token=token,
        )

    async def RevokeSession(
        self, request: pb.RevokeSessionRequest, context: Context
    ) -> pb.RevokeSessionResponse:
        session_id = to_id(request.session_id, "session_id")
        async with self._db.transaction(rpc.caller()) as tx:
            ended = await own_sessions.revoke(tx, session_id)
        self._authenticator.forget(ended)
        return pb.RevokeSessionResponse()

    async def Reauthenticate(
        self, request: pb.ReauthenticateRequest, context: Context
    ) -> pb.ReauthenticateResponse:
        caller, user_id, session_id = _signed_in()
        proof = messages.proof(request)
        if proof is None:
            await self._check_password(caller, user_id, request.password)
            async with self._db.transaction(caller) as tx:
                until = await own_sessions.prove(tx)
        else:
            until = await self._prove_factor(caller, user_id, proof)
            self._authenticator.forget([session_id])
        return pb.ReauthenticateResponse(proof_expire_time=from_time(until))

    async def VerifyToken(
        self, request: pb.VerifyTokenRequest, context: Context
    ) -> pb.VerifyTokenResponse:
        token = request.access_token or rpc.bearer_token()
        if not token:
            raise Unauthenticated
        said = await self._authenticator.verify(token)
        async with self._db.transaction(Caller(said.user_id)) as tx:
            account = await service.account(tx, said.user_id)
        return pb.VerifyTokenResponse(
            user=messages.user(account),
            session_id=str(said.session_id),
            expire_time=from_time(said.expire_time),
        )

    async def GetProfile(
        self, request: pb.GetProfileRequest, context: Context
    ) -> pb.GetProfileResponse:
        caller, user_id, _ = _signed_in()
        async with self._db.transaction(caller) as tx:
            account = await service.account(tx, user_id)
        return pb.GetProfileResponse(user=messages.user(account))

    async def UpdateProfile(
        self, request: pb.UpdateProfileRequest, context: Context
    ) -> pb.UpdateProfileResponse:
        caller, user_id, _ = _signed_in()
        changes = _changes(request)
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            account = await service.edit(tx, user_id, changes=changes, expected=request.etag)
        return pb.UpdateProfileResponse(user=messages.user(account))

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: Context
    ) -> pb.ChangePasswordResponse:
        caller, user_id, session_id = _signed_in()
        passwords.check(request.new_password, "new_password")
        async with self._db.transaction(caller) as tx:
            old = await service.password_hash(tx, user_id)
        new = await self._changed(user_id, old, request)
        async with self._db.transaction(caller, lock=service.credential_lock(user_id)) as tx:
            await service.set_password(
                tx, user_id, old_hash=old, new_hash=new, action="user.password_changed"
            )
            ended = await sessions.end(
                tx, user_id, sessions.END_OTHERS, reason="password_change", session=session_id
            )
        self._authenticator.forget(ended)
        return pb.ChangePasswordResponse(ended_count=len(ended))

    async def GetJwks(self, request: pb.GetJwksRequest, context: Context) -> pb.GetJwksResponse:
        return pb.GetJwksResponse(
            keys=[
                session_pb2.JsonWebKey(
                    kid=key.kid, kty="OKP", crv="Ed25519", x=key.x, alg="EdDSA", use="sig"
                )
                for key in self._tokens.public_keys()
            ]
        )

    async def _find_by_password(self, request: pb.LoginRequest) -> tuple[Record, bytes]:
        """Answer the active account that the password opens, and the hash of the network."""
        source = network(rpc.client_address())
        network_hash = self._keyed.network(source)
        since = self._db.clock.now() - KNOWN_FOR
        found = await self._db.one(
            service.FIND_CREDENTIAL, email=request.email, network=network_hash, since=since
        )
        known = bool(found and found["known_network"])
        attempt = await self._attempts.sign_in(request.email, source, known=known)
        password_hash = found["password_hash"] if found else None
        right = await self._passwords.matches(request.password, password_hash)
        if found is None or not right or found["status"] != "active":
            raise service.WrongCredentials
        await self._attempts.forgive(attempt)
        return found, network_hash

    async def _check_password(self, caller: Caller, user_id: UUID, password: str) -> None:
        async with self._db.transaction(caller) as tx:
            known = await service.password_hash(tx, user_id)
        attempt = await self._attempts.password_check(user_id)
        if not await self._passwords.matches(password, known):
            raise service.WrongPassword
        await self._attempts.forgive(attempt)

    async def _prove_factor(self, caller: Caller, user_id: UUID, proof: Proof) -> datetime:
        attempt = await self._attempts.second_factor(user_id)
        async with self._db.transaction(caller) as tx:
            await self._second_factors.check(tx, proof)
            until = await own_sessions.prove(tx, second_factor=True)
        await self._attempts.forgive(attempt)
        return until

    async def _renewed(self, password: str, password_hash: str) -> str:
        """Hash the password again when the costs have changed since."""
        outdated = self._passwords.is_outdated(password_hash)
        return await self._passwords.hash(password) if outdated else password_hash

    async def _changed(self, user_id: UUID, old: str, request: pb.ChangePasswordRequest) -> str:
        """Answer the hash of the new password: the old hash when a repeat finds it changed."""
        attempt = await self._attempts.password_check(user_id)
        if await self._passwords.matches(request.current_password, old):
            new = await self._passwords.hash(request.new_password)
        elif await self._passwords.matches(request.new_password, old):
            new = old
        else:
            raise service.WrongPassword
        await self._attempts.forgive(attempt)
        return new

    def _session(
        self, user_id: UUID, role: str, session_id: UUID, refresh: sessions.Next
    ) -> session_pb2.Session:
        access = self._tokens.sign(user_id, role, session_id)
        return messages.session(session_id, access, refresh)


def _signed_in() -> tuple[Caller, UUID, UUID]:
    """Answer the caller, their id and the id of their session."""
    caller = rpc.caller()
    if caller.user_id is None or caller.session_id is None:
        raise Unauthenticated
    return caller, caller.user_id, caller.session_id


def _changes(request: pb.UpdateProfileRequest) -> dict[str, str | None]:
    """Answer what to write: the fields of the mask, or without one those that are not empty."""
    forms = {
        "full_name": person.full_name,
        "phone": person.phone,
        "time_zone": person.time_zone,
        "language": person.language,
    }
    paths = list(request.update_mask.paths) or [name for name in forms if getattr(request, name)]
    if not forms.keys() >= set(paths):
        raise InvalidField("update_mask", f"must name only {', '.join(forms)}")
    return {name: forms[name](getattr(request, name)) for name in paths}
