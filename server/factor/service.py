"""Second factors: adding, using and removing them, as the caller."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record
from sqlalchemy import (
    Boolean,
    ColumnElement,
    bindparam,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from server.auth.second_factor import Proof
from server.core.db import Transaction, refusing, sql
from server.core.errors import AlreadyExists, FailedPrecondition, NotFound, SecondFactorRequired
from server.core.ids import new_id
from server.core.statement import Statement
from server.factor import passkeys, recovery, totp
from server.factor.models import Factor
from server.factor.passkeys import RelyingParty, WrongFactor
from server.factor.sealing import Sealing

MOST = 10
_SHOWN = (Factor.factor_id, Factor.kind, Factor.name, Factor.create_time, Factor.use_time)


def _find(*which: ColumnElement[bool]) -> Statement:
    return sql(
        select(*_SHOWN, Factor.secret, Factor.credential_id, Factor.public_key, Factor.sign_count)
        .where(Factor.user_id == bindparam("user"), *which)
        .order_by(Factor.create_time, Factor.factor_id)
    )


CONFIRMED = _find(Factor.confirm_time.is_not(None))
UNCONFIRMED = _find(
    Factor.confirm_time.is_(None), Factor.factor_id == bindparam("factor"), Factor.kind == "totp"
)
DROP_UNCONFIRMED = sql(
    delete(Factor).where(Factor.user_id == bindparam("user"), Factor.confirm_time.is_(None))
)
INSERT_TOTP = sql(
    insert(Factor).values(
        factor_id=bindparam("factor"),
        user_id=bindparam("user"),
        kind="totp",
        name=bindparam("name"),
        secret=bindparam("secret"),
        create_time=bindparam("now"),
    )
)
INSERT_PASSKEY = sql(
    insert(Factor)
    .values(
        factor_id=bindparam("factor"),
        user_id=bindparam("user"),
        kind="passkey",
        name=bindparam("name"),
        credential_id=bindparam("credential_id"),
        public_key=bindparam("public_key"),
        sign_count=bindparam("sign_count"),
        create_time=bindparam("now"),
        confirm_time=bindparam("now"),
    )
    .returning(*_SHOWN)
)
# Only forward: of two who use one code at once, the second finds the step taken.
USE_TOTP = sql(
    update(Factor)
    .where(Factor.factor_id == bindparam("factor"), Factor.last_step < bindparam("step"))
    .values(
        last_step=bindparam("step"),
        use_time=bindparam("now"),
        confirm_time=func.coalesce(Factor.confirm_time, bindparam("now")),
    )
    .returning(*_SHOWN)
)
USE_PASSKEY = sql(
    update(Factor)
    .where(
        Factor.factor_id == bindparam("factor"),
        or_(Factor.sign_count < bindparam("count"), bindparam("count") == 0),
    )
    .values(sign_count=bindparam("count"), use_time=bindparam("now"))
    .returning(Factor.factor_id)
)
REMOVE = sql(
    delete(Factor)
    .where(Factor.user_id == bindparam("user"), Factor.factor_id == bindparam("factor"))
    .returning(Factor.kind)
)
NEEDED = sql(select(func.app_needs_factor().table_valued(column("needed", Boolean)).c.needed))


class TooManyFactors(FailedPrecondition):
    """The account has as many second factors as it may."""

    reason = "TOO_MANY_FACTORS"
    text = "You have as many second factors as possible; remove one first."


class NewTotp(NamedTuple):
    """A secret for an authenticator app, that its owner sees once."""

    factor_id: UUID
    secret: str


class Factors:
    """The second factors of callers, with what their secrets are kept by."""

    def __init__(self, sealing: Sealing, party: RelyingParty) -> None:
        self._sealing = sealing
        self._party = party

    async def kinds(self, tx: Transaction) -> Sequence[str]:
        """Answer what the caller may give as a second factor; nothing without one."""
        kinds = sorted({row["kind"] for row in await confirmed(tx)})
        if kinds and await recovery.left(tx):
            kinds.append("recovery_code")
        return kinds

    async def check(self, tx: Transaction, proof: Proof) -> None:
        """Use a factor of the caller's; WrongFactor when it is not right."""
        if proof.kind == "recovery_code":
            used = await recovery.spend(tx, self._sealing, proof.value)
        elif proof.kind == "totp":
            used = await self._use_code(tx, await confirmed(tx, "totp"), proof.value) is not None
        else:
            used = await self._use_passkey(tx, proof.value)
        if not used:
            raise WrongFactor
        tx.record(f"factor.{proof.kind}_used", tx.user_id)

    async def add_totp(self, tx: Transaction, name: str) -> NewTotp:
        """Make a secret, in place of one that was not confirmed; under the account's lock."""
        await tx.run(DROP_UNCONFIRMED, user=tx.user_id)
        await _refuse_more(tx)
        made = NewTotp(new_id(tx.now), totp.new_secret())
        sealed = self._sealing.seal(tx.user_id, made.secret.encode())
        await tx.run(
            INSERT_TOTP,
            factor=made.factor_id,
            user=tx.user_id,
            name=name,
            secret=sealed,
            now=tx.now,
        )
        tx.record("factor.totp_begun", made.factor_id)
        return made

    async def confirm_totp(
        self, tx: Transaction, factor_id: UUID, code: str
    ) -> tuple[Record, list[str]]:
        """Let a secret count from now on, for a code of it; under the account's lock."""
        found = await tx.all(UNCONFIRMED, user=tx.user_id, factor=factor_id)
        if not found:
            raise NotFound
        row = await self._use_code(tx, found, code)
        if row is None:
            raise WrongFactor
        return row, await self._added(tx, row)

    async def ask_to_add(self, tx: Transaction, email: str) -> str:
        """Answer the options for a new passkey."""
        await _refuse_more(tx)
        known = await confirmed(tx, "passkey")
        tx.record("factor.passkey_begun", tx.user_id)
        return await passkeys.ask_to_add(tx, self._party, email=email, known=known)

    async def add_passkey(self, tx: Transaction, name: str, given: str) -> tuple[Record, list[str]]:
        """Add the passkey that the browser made; under the account's lock."""
        await _refuse_more(tx)
        made = await passkeys.read_new(tx, self._party, given)
        with refusing(factor_credential_id_key=AlreadyExists):
            row = await tx.one(
                INSERT_PASSKEY,
                factor=new_id(tx.now),
                user=tx.user_id,
                name=name,
                now=tx.now,
                **made._asdict(),
            )
        assert row is not None  # noqa: S101 - it was inserted
        return row, await self._added(tx, row)

    async def ask(self, tx: Transaction) -> str:
        """Answer the options for the use of a passkey; NotFound without one."""
        known = await confirmed(tx, "passkey")
        if not known:
            raise NotFound
        tx.record("factor.passkey_asked", tx.user_id)
        return await passkeys.ask(tx, self._party, known)

    async def renew_codes(self, tx: Transaction) -> list[str]:
        """Make new recovery codes; NotFound without a second factor."""
        if not await confirmed(tx):
            raise NotFound
        return await recovery.renew(tx, self._sealing)

    async def _added(self, tx: Transaction, row: Record) -> list[str]:
        tx.record(f"factor.{row['kind']}_added", row["factor_id"])
        return [] if await recovery.left(tx) else await recovery.renew(tx, self._sealing)

    async def _use_code(self, tx: Transaction, found: Sequence[Record], code: str) -> Record | None:
        for row in found:
            secret = self._sealing.open(tx.user_id, row["secret"])
            step = totp.step_of(secret.decode(), code, tx.now) if secret else None
            if step is not None:
                return await tx.one(USE_TOTP, factor=row["factor_id"], step=step, now=tx.now)
        return None

    async def _use_passkey(self, tx: Transaction, given: str) -> bool:
        known = await confirmed(tx, "passkey")
        factor_id, count = await passkeys.read_use(tx, self._party, given, known)
        return await tx.one(USE_PASSKEY, factor=factor_id, count=count, now=tx.now) is not None


async def confirmed(tx: Transaction, kind: str = "") -> list[Record]:
    """Answer the caller's factors that count, those of one kind or all."""
    rows = await tx.all(CONFIRMED, user=tx.user_id)
    return [row for row in rows if kind in {"", row["kind"]}]


async def is_needed(tx: Transaction) -> bool:
    """Tell whether the caller's account needs a second factor."""
    row = await tx.one(NEEDED)
    return bool(row and row["needed"])


async def remove(tx: Transaction, factor_id: UUID, *, required: bool) -> None:
    """Remove a factor, under the account's lock; the last one of who needs one stays."""
    left = [row for row in await confirmed(tx) if row["factor_id"] != factor_id]
    if not left and required and await is_needed(tx):
        raise SecondFactorRequired
    row = await tx.one(REMOVE, user=tx.user_id, factor=factor_id)
    if not left:
        await recovery.void(tx)
    if row:
        tx.record(f"factor.{row['kind']}_removed", factor_id)


async def _refuse_more(tx: Transaction) -> None:
    if len(await confirmed(tx)) >= MOST:
        raise TooManyFactors
