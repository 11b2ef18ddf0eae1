"""AccountService: messages in, messages out."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc

from carelane.account.v1 import account_service_pb2 as pb
from carelane.account.v1 import account_service_pb2_grpc
from server.account import erasing, proofs, service
from server.account.tokens import ProofTokens
from server.auth import passwords, person
from server.auth import service as auth
from server.auth.attempts import Attempts
from server.auth.authenticator import Authenticator
from server.auth.limits import network
from server.auth.passwords import Passwords
from server.core import rpc
from server.core.access import Caller
from server.core.db import Database, Lock
from server.core.errors import FailedPrecondition, InvalidField, Unauthenticated

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Means:
    """What AccountService works with besides the database."""

    authenticator: Authenticator
    passwords: Passwords
    attempts: Attempts
    tokens: ProofTokens
    sends_texts: bool


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    """Serves proofs of addresses, and the new password of who forgot theirs."""

    def __init__(self, db: Database, means: Means) -> None:
        self._db = db
        self._means = means

    async def VerifyEmail(
        self, request: pb.VerifyEmailRequest, context: Context
    ) -> pb.VerifyEmailResponse:
        caller, proof_id = await self._bearer(proofs.VERIFY_EMAIL, request.token)
        async with self._db.transaction(caller, lock=_account_lock(caller)) as tx:
            await service.verify_email(tx, proof_id)
        return pb.VerifyEmailResponse()

    async def ResendVerification(
        self, request: pb.ResendVerificationRequest, context: Context
    ) -> pb.ResendVerificationResponse:
        caller = rpc.caller()
        source = network(rpc.client_address())
        await self._means.attempts.letter(str(caller.user_id), source, by=caller.user_id)
        async with self._db.transaction(caller, once=request) as tx:
            await service.ask_for_verification(tx)
            return tx.answer(pb.ResendVerificationResponse())

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Context
    ) -> pb.RequestPasswordResetResponse:
        await self._means.attempts.letter(request.email, network(rpc.client_address()))
        async with self._db.transaction() as tx:
            await service.ask_for_reset(tx, request.email)
        return pb.RequestPasswordResetResponse()

    async def ResetPassword(
        self, request: pb.ResetPasswordRequest, context: Context
    ) -> pb.ResetPasswordResponse:
        passwords.check(request.new_password, "new_password")
        caller, proof_id = await self._bearer(proofs.RESET_PASSWORD, request.token)
        made = await self._means.passwords.hash(request.new_password)
        async with self._db.transaction(caller, lock=_password_lock(caller)) as tx:
            ended = await service.reset_password(tx, proof_id, made)
        self._means.authenticator.forget(ended)
        return pb.ResetPasswordResponse(ended_count=len(ended))

    async def RequestEmailChange(
        self, request: pb.RequestEmailChangeRequest, context: Context
    ) -> pb.RequestEmailChangeResponse:
        caller = rpc.caller()
        source = network(rpc.client_address())
        await self._means.attempts.letter(request.new_email, source, by=caller.user_id)
        async with self._db.transaction(caller, once=request) as tx:
            await service.ask_for_email_change(tx, request.new_email)
            return tx.answer(pb.RequestEmailChangeResponse())

    async def ConfirmEmailChange(
        self, request: pb.ConfirmEmailChangeRequest, context: Context
    ) -> pb.ConfirmEmailChangeResponse:
        caller, proof_id = await self._bearer(proofs.CHANGE_EMAIL, request.token)
        async with self._db.transaction(caller, lock=_account_lock(caller)) as tx:
            await service.change_email(tx, proof_id)
        return pb.ConfirmEmailChangeResponse()

    async def RequestPhoneCode(
        self, request: pb.RequestPhoneCodeRequest, context: Context
    ) -> pb.RequestPhoneCodeResponse:
        caller, number = rpc.caller(), person.phone(request.phone)
        if not self._means.sends_texts:
            raise FailedPrecondition("This platform sends no text messages.")
        if number is None:
            raise InvalidField("phone", person.PHONE_RULE)
        source = network(rpc.client_address())
        await self._means.attempts.text_message(number, source, by=caller.user_id)
        async with self._db.transaction(caller, once=request) as tx:
            await service.ask_for_phone_code(tx, number)
            return tx.answer(pb.RequestPhoneCodeResponse())

    async def ConfirmPhoneCode(
        self, request: pb.ConfirmPhoneCodeRequest, context: Context
    ) -> pb.ConfirmPhoneCodeResponse:
        caller = rpc.caller()
        async with self._db.transaction(caller, lock=_account_lock(caller)) as tx:
            right = await service.confirm_phone(tx, self._means.tokens, request.code)
        if not right:
            raise service.WrongCode
        return pb.ConfirmPhoneCodeResponse()

    async def DeleteAccount(
        self, request: pb.DeleteAccountRequest, context: Context
    ) -> pb.DeleteAccountResponse:
        caller = rpc.caller()
        async with self._db.transaction(caller, lock=erasing.lock(_id(caller))) as tx:
            ended = await erasing.delete(tx)
        self._means.authenticator.forget(ended)
        return pb.DeleteAccountResponse()

    async def _bearer(self, purpose: str, token: str) -> tuple[Caller, UUID]:
        return await proofs.bearer(self._db, self._means.tokens, purpose, token)


def _account_lock(caller: Caller) -> Lock:
    return auth.account_lock(_id(caller))


def _password_lock(caller: Caller) -> Lock:
    """Lock the account, and then its password."""
    return Lock(
        "SELECT FROM user_account WHERE user_id = {0} FOR UPDATE;"
        "SELECT FROM credential WHERE user_id = {0} FOR UPDATE",
        _id(caller),
    )


def _id(caller: Caller) -> UUID:
    if caller.user_id is None:
        raise Unauthenticated
    return caller.user_id
