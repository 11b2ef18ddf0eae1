"""KeyService: messages in, messages out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from carelane.key.v1 import key_pb2, key_service_pb2_grpc
from carelane.key.v1 import key_service_pb2 as pb
from server.auth.attempts import Attempts
from server.auth.authenticator import Authenticator
from server.auth.limits import network
from server.auth.tokens import Tokens
from server.core import rpc
from server.core.db import Database
from server.core.errors import InvalidField
from server.core.paging import Pager
from server.core.wire import from_time, to_id, to_optional_id
from server.key import exchange, service
from server.key.scopes import PARTNER, SERVICE, checked
from server.key.secret import SecretHashes

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Means:
    """What keys are kept and exchanged with."""

    authenticator: Authenticator
    tokens: Tokens
    attempts: Attempts
    pager: Pager
    hashes: SecretHashes


class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    """Serves those who manage keys, and the programs that have them."""

    def __init__(self, db: Database, means: Means) -> None:
        self._db = db
        self._authenticator = means.authenticator
        self._tokens = means.tokens
        self._attempts = means.attempts
        self._pager = means.pager
        self._hashes = means.hashes

    async def GetScopes(
        self, request: pb.GetScopesRequest, context: Context
    ) -> pb.GetScopesResponse:
        kinds = ((key_pb2.KEY_KIND_PARTNER, PARTNER), (key_pb2.KEY_KIND_SERVICE, SERVICE))
        return pb.GetScopesResponse(
            scopes=[
                key_pb2.Scope(name=name, description=words, kind=kind)
                for kind, table in kinds
                for name, words in table.items()
            ]
        )

    async def CreateKey(
        self, request: pb.CreateKeyRequest, context: Context
    ) -> pb.CreateKeyResponse:
        clinic_id = to_optional_id(request.clinic_id, "clinic_id")
        name = request.name.strip()
        if not name:
            raise InvalidField("name", "must not be empty")
        scopes = checked(request.scopes, PARTNER if clinic_id else SERVICE)
        async with self._db.transaction(rpc.caller(), once=request) as tx:
            row, secret = await service.create(
                tx, self._hashes, clinic_id=clinic_id, name=name, scopes=scopes
            )
            answer = tx.answer(pb.CreateKeyResponse(key=_from_row(row)))
        answer.secret = secret  # only now: what is stored for repeats has no secret in it
        return answer

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        clinic_id = to_optional_id(request.clinic_id, "clinic_id")
        async with self._db.transaction(caller) as tx:
            rows = await service.listed(tx, clinic_id, after=page.after, size=page.limit)
        shown, token = page.cut(rows, "create_time", "key_id")
        return pb.ListKeysResponse(keys=map(_from_row, shown), next_page_token=token)

    async def RotateKey(
        self, request: pb.RotateKeyRequest, context: Context
    ) -> pb.RotateKeyResponse:
        key_id, overlap = to_id(request.key_id, "key_id"), request.overlap_minutes
        lock = service.key_lock(key_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row, secret = await service.rotate(
                tx, self._hashes, key_id, overlap=timedelta(minutes=overlap)
            )
            answer = tx.answer(pb.RotateKeyResponse(key=_from_row(row)))
        self._authenticator.forget([key_id])
        answer.secret = secret  # only now, as above
        return answer

    async def RevokeKey(
        self, request: pb.RevokeKeyRequest, context: Context
    ) -> pb.RevokeKeyResponse:
        key_id = to_id(request.key_id, "key_id")
        lock = service.key_lock(key_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await service.revoke(tx, key_id)
            answer = tx.answer(pb.RevokeKeyResponse(key=_from_row(row)))
        self._authenticator.forget([key_id])
        return answer

    async def ExchangeKey(
        self, request: pb.ExchangeKeyRequest, context: Context
    ) -> pb.ExchangeKeyResponse:
        key_id = to_id(request.key_id, "key_id")
        attempt = await self._attempts.key_exchange(key_id, network(rpc.client_address()))
        found = await exchange.find(self._db, self._hashes, key_id, request.secret)
        await self._attempts.forgive(attempt)
        grant = found.narrowed(request.scopes)
        async with self._db.transaction(grant.caller) as tx:
            await exchange.touch(tx)
            tx.record("key.exchanged", key_id, clinic_id=grant.clinic_id)
        signed = self._tokens.sign_key(
            key_id, grant.secret_id, clinic_id=grant.clinic_id, scopes=grant.scopes
        )
        return pb.ExchangeKeyResponse(
            access_token=signed.token,
            expire_time=from_time(signed.expire_time),
            scopes=sorted(grant.scopes),
        )


def _from_row(row: asyncpg.Record) -> key_pb2.Key:
    partner = row["clinic_id"] is not None
    return key_pb2.Key(
        key_id=str(row["key_id"]),
        kind=key_pb2.KEY_KIND_PARTNER if partner else key_pb2.KEY_KIND_SERVICE,
        clinic_id=str(row["clinic_id"] or ""),
        name=row["name"],
        scopes=row["scopes"],
        secret_prefix=row["prefix"],
        create_time=from_time(row["create_time"]),
        use_time=_time(row["use_time"]),
        revoke_time=_time(row["revoke_time"]),
        overlap_end_time=_time(row["overlap_end_time"]),
    )


def _time(instant: datetime | None) -> Timestamp | None:
    return from_time(instant) if instant else None
