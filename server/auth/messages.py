"""Accounts and sessions as messages of the contract."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from carelane.auth.v1 import session_pb2, user_pb2
from server.auth import service
from server.auth.second_factor import Proof
from server.auth.sessions import Next
from server.auth.tokens import SignedToken
from server.core.wire import EnumNames, from_time

ROLES = {
    user_pb2.ROLE_PATIENT: "patient",
    user_pb2.ROLE_DOCTOR: "doctor",
    user_pb2.ROLE_STAFF: "staff",
    user_pb2.ROLE_ADMIN: "admin",
}
FACTOR_KINDS = EnumNames(session_pb2.FactorKind)
_PROOFS = {"code": "totp", "recovery_code": "recovery_code", "passkey": "passkey"}
_ROLE_VALUES = {name: value for value, name in ROLES.items()}
_STATUS_VALUES = {
    "active": user_pb2.USER_STATUS_ACTIVE,
    "disabled": user_pb2.USER_STATUS_DISABLED,
    "deleted": user_pb2.USER_STATUS_DELETED,
}


def user(row: Record) -> user_pb2.User:
    """Write an account."""
    return user_pb2.User(
        user_id=str(row["user_id"]),
        email=row["email"],
        phone=row["phone"] or "",
        full_name=row["full_name"],
        role=_ROLE_VALUES[row["role"]],
        status=_STATUS_VALUES[row["status"]],
        time_zone=row["time_zone"],
        language=row["language"],
        etag=service.etag(row),
        create_time=from_time(row["create_time"]),
        update_time=from_time(row["update_time"]),
        email_verified=row["email_verify_time"] is not None,
        phone_verified=row["phone_verify_time"] is not None,
    )


def session(session_id: UUID, access: SignedToken, refresh: Next) -> session_pb2.Session:
    """Write a session with the pair of tokens that it has now."""
    return session_pb2.Session(
        session_id=str(session_id),
        access_token=access.token,
        access_token_expire_time=from_time(access.expire_time),
        refresh_token=refresh.token,
        refresh_token_expire_time=from_time(refresh.expire_time),
    )


def open_session(row: Record, current: UUID | None) -> session_pb2.OpenSession:
    """Write a session as its owner is shown it."""
    return session_pb2.OpenSession(
        session_id=str(row["session_id"]),
        device=row["device"],
        network=row["subnet"],
        create_time=from_time(row["create_time"]),
        use_time=from_time(row["use_time"]),
        expire_time=from_time(row["expire_time"]),
        current=row["session_id"] == current,
    )


def pending(token: Next, kinds: Sequence[str]) -> session_pb2.PendingSignIn:
    """Write what a sign-in needs that waits for the second factor."""
    return session_pb2.PendingSignIn(
        pending_token=token.token,
        expire_time=from_time(token.expire_time),
        kinds=map(FACTOR_KINDS.number, kinds),
    )


def proof(request: Any) -> Proof | None:
    """Read the second factor that a request gives; None when it gives none."""
    for field, kind in _PROOFS.items():
        if value := getattr(request, field):
            return Proof(kind, value)
    return None
