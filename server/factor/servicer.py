"""FactorService: messages in, messages out."""

from typing import Any
from uuid import UUID

import grpc
from asyncpg import Record

from carelane.factor.v1 import factor_pb2, factor_service_pb2_grpc
from carelane.factor.v1 import factor_service_pb2 as pb
from server.auth import messages, own_sessions, pending, service, sessions
from server.auth.authenticator import Authenticator
from server.auth.devices import device
from server.auth.keyed import token_hash
from server.auth.limits import network
from server.auth.secrets import Secrets
from server.core import rpc
from server.core.access import Caller
from server.core.db import Database
from server.core.errors import Unauthenticated
from server.core.ids import new_id
from server.core.wire import from_time, to_id
from server.factor import recovery, totp
from server.factor.passkeys import WrongFactor
from server.factor.service import Factors, confirmed, is_needed, remove

Context = grpc.aio.ServicerContext[Any, Any]


class FactorServicer(factor_service_pb2_grpc.FactorServiceServicer):
    """Serves second factors; `required` says whether those who need one must have it."""

    def __init__(
        self,
        db: Database,
        authenticator: Authenticator,
        secrets: Secrets,
        factors: Factors,
        *,
        required: bool = False,
    ) -> None:
        self._db = db
        self._authenticator = authenticator
        self._tokens = secrets.tokens
        self._keyed = secrets.keyed
        self._attempts = secrets.attempts
        self._factors = factors
        self._required = required

    async def ListFactors(
        self, request: pb.ListFactorsRequest, context: Context
    ) -> pb.ListFactorsResponse:
        async with self._db.transaction(rpc.caller()) as tx:
            return pb.ListFactorsResponse(
                factors=map(_from_row, await confirmed(tx)),
                recovery_codes_left=await recovery.left(tx),
                required=self._required and await is_needed(tx),
            )

    async def AddTotp(self, request: pb.AddTotpRequest, context: Context) -> pb.AddTotpResponse:
        caller, user_id, _ = _signed_in()
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            await own_sessions.require_proof(tx)
            made = await self._factors.add_totp(tx, request.name)
            account = await service.account(tx, user_id)
        return pb.AddTotpResponse(
            factor_id=str(made.factor_id),
            secret=made.secret,
            otpauth_uri=totp.uri(made.secret, account["email"]),
        )

    async def ConfirmTotp(
        self, request: pb.ConfirmTotpRequest, context: Context
    ) -> pb.ConfirmTotpResponse:
        caller, user_id, session_id = _signed_in()
        factor_id = to_id(request.factor_id, "factor_id")
        attempt = await self._attempts.second_factor(user_id)
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            await own_sessions.require_proof(tx)
            row, codes = await self._factors.confirm_totp(tx, factor_id, request.code)
            await own_sessions.prove(tx, second_factor=True)
        await self._attempts.forgive(attempt)
        self._authenticator.forget([session_id])
        return pb.ConfirmTotpResponse(factor=_from_row(row), recovery_codes=codes)

    async def BeginPasskey(
        self, request: pb.BeginPasskeyRequest, context: Context
    ) -> pb.BeginPasskeyResponse:
        caller, user_id, _ = _signed_in()
        async with self._db.transaction(caller) as tx:
            await own_sessions.require_proof(tx)
            account = await service.account(tx, user_id)
            return pb.BeginPasskeyResponse(
                options=await self._factors.ask_to_add(tx, account["email"])
            )

    async def AddPasskey(
        self, request: pb.AddPasskeyRequest, context: Context
    ) -> pb.AddPasskeyResponse:
        caller, user_id, session_id = _signed_in()
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            await own_sessions.require_proof(tx)
            row, codes = await self._factors.add_passkey(tx, request.name, request.credential)
            await own_sessions.prove(tx, second_factor=True)
        self._authenticator.forget([session_id])
        return pb.AddPasskeyResponse(factor=_from_row(row), recovery_codes=codes)

    async def RemoveFactor(
        self, request: pb.RemoveFactorRequest, context: Context
    ) -> pb.RemoveFactorResponse:
        caller, user_id, _ = _signed_in()
        factor_id = to_id(request.factor_id, "factor_id")
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            await own_sessions.require_proof(tx)
            await remove(tx, factor_id, required=self._required)
        return pb.RemoveFactorResponse()

    async def RenewRecoveryCodes(
        self, request: pb.RenewRecoveryCodesRequest, context: Context
    ) -> pb.RenewRecoveryCodesResponse:
        caller, user_id, _ = _signed_in()
        async with self._db.transaction(caller, lock=service.account_lock(user_id)) as tx:
            await own_sessions.require_proof(tx)
            codes = await self._factors.renew_codes(tx)
        return pb.RenewRecoveryCodesResponse(recovery_codes=codes)

    async def BeginPasskeyCheck(
        self, request: pb.BeginPasskeyCheckRequest, context: Context
    ) -> pb.BeginPasskeyCheckResponse:
        caller = rpc.caller()
        if request.pending_token:
            found = await self._find_pending(request.pending_token)
            caller = Caller(found["user_id"], found["role"])
        async with self._db.transaction(caller) as tx:
            return pb.BeginPasskeyCheckResponse(options=await self._factors.ask(tx))

    async def CompleteLogin(
        self, request: pb.CompleteLoginRequest, context: Context
    ) -> pb.CompleteLoginResponse:
        found, proof = await self._find_pending(request.pending_token), messages.proof(request)
        if proof is None:
            raise WrongFactor
        source = network(rpc.client_address())
        same = self._keyed.network(source) == found["network_hash"]
        known = same and found["known_network"]
        attempt = await self._attempts.second_factor(found["user_id"], source, known=known)
        session_id = new_id(self._db.clock.now())
        caller = Caller(found["user_id"], found["role"], session_id)
        lock = service.credential_lock(found["user_id"])
        async with self._db.transaction(caller, lock=lock) as tx:
            if not await pending.take(tx, request.pending_token):
                raise sessions.SessionEnded
            await self._factors.check(tx, proof)
            refresh = await sessions.open_session(
                tx,
                tx.user_id,
                session_id,
                network_hash=found["network_hash"],
                device=device(rpc.user_agent(), rpc.client_address()),
                second_factor=True,
            )
            account = await service.account(tx, tx.user_id)
        await self._attempts.forgive(attempt)
        access = self._tokens.sign(found["user_id"], found["role"], session_id)
        return pb.CompleteLoginResponse(
            session=messages.session(session_id, access, refresh), user=messages.user(account)
        )

    async def _find_pending(self, token: str) -> Record:
        now = self._db.clock.now()
        found = await self._db.one(pending.FIND, token_hash=token_hash(token), now=now)
        if found is None:
            raise sessions.SessionEnded
        return found


def _signed_in() -> tuple[Caller, UUID, UUID]:
    caller = rpc.caller()
    if caller.user_id is None or caller.session_id is None:
        raise Unauthenticated
    return caller, caller.user_id, caller.session_id


def _from_row(row: Record) -> factor_pb2.Factor:
    return factor_pb2.Factor(
        factor_id=str(row["factor_id"]),
        kind=messages.FACTOR_KINDS.number(row["kind"]),
        name=row["name"],
        create_time=from_time(row["create_time"]),
        use_time=from_time(row["use_time"]) if row["use_time"] else None,
    )
