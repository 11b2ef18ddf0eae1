"""The letters about accounts, each written when it is sent: only then is there a token."""

from server.account import proofs
from server.account.tokens import ProofTokens
from server.core.db import Transaction
from server.mail.letters import Delivery, Letters, Words


class AccountLetters:
    """Writes letters whose links lead to the web app.

    A token stands behind `#`, so that no server on the way, nor its log, sees it.
    """

    def __init__(self, web_url: str, tokens: ProofTokens) -> None:
        self._web_url = web_url
        self._tokens = tokens

    def table(self) -> Letters:
        """Answer every letter by its kind; those that ask for a proof are called as its purpose."""
        return {
            "registration_repeated": self.registration_repeated,
            "password_was_reset": self.password_was_reset,
            proofs.VERIFY_EMAIL: self.verify_email,
            proofs.RESET_PASSWORD: self.reset_password,
            proofs.CHANGE_EMAIL: self.change_email,
            proofs.VERIFY_PHONE: self.verify_phone,
            "address_wanted": self.address_wanted,
            "email_changed": self.email_changed,
            "account_deleted": self.account_deleted,
        }

    async def registration_repeated(self, _: Transaction, to: Delivery) -> Words:
        text = (
            "Somebody, perhaps you, has just tried to register with this address. You have an"
            " account already, and nothing about it has changed.\n\n"
            f"Sign in: {self._web_url}/sign-in\n"
            f"If you do not know your password any more: {self._web_url}/forgotten-password\n\n"
            "If it was not you, there is nothing to do."
        )
        return _to(to, "You have an account already", text)

    async def password_was_reset(self, _: Transaction, to: Delivery) -> Words:
        text = (
            "Your password was changed by a link that was sent to this address, and you are signed"
            " out everywhere.\n\n"
            "If it was not you, somebody else reads your mail: secure that first, then set a new"
            f" password: {self._web_url}/forgotten-password"
        )
        return _to(to, "Your password was changed", text)

    async def verify_email(self, tx: Transaction, to: Delivery) -> Words | None:
        text = (
            "Please confirm that this address is yours:\n\n{link}\n\n"
            "The link is good once, for three days. If you did not register at Carelane, do not"
            " open it: then somebody else has written your address."
        )
        return await self._asking(tx, to, proofs.VERIFY_EMAIL, "Confirm your address", text)

    async def reset_password(self, tx: Transaction, to: Delivery) -> Words | None:
        text = (
            "Set a new password here:\n\n{link}\n\n"
            "The link is good once, for half an hour. If you did not ask for it, there is nothing"
            " to do: your password stays as it is."
        )
        return await self._asking(tx, to, proofs.RESET_PASSWORD, "Set a new password", text)

    async def change_email(self, tx: Transaction, to: Delivery) -> Words | None:
        text = (
            "Please confirm that you want to sign in with this address from now on:\n\n{link}\n\n"
            "The link is good once, for a day. If you did not ask for it, do not open it: then"
            " somebody else has written your address."
        )
        return await self._asking(tx, to, proofs.CHANGE_EMAIL, "Confirm your new address", text)

    async def email_changed(self, _: Transaction, to: Delivery) -> Words:
        text = (
            "Your account has another address now, and mail no longer goes to this one.\n\n"
            "If it was not you, write to us at once by answering this mail."
        )
        return _to(to, "Your address was changed", text)

    async def account_deleted(self, _: Transaction, to: Delivery) -> Words:
        text = (
            "Your account has ended, as you asked for, and what it knew of you is erased. Visits"
            " that took place are kept as long as the law asks, without your name.\n\n"
            "You can register again with this address at any time."
        )
        return _to(to, "Your account has ended", text)

    async def address_wanted(self, _: Transaction, to: Delivery) -> Words:
        text = (
            "Somebody, perhaps you, has just tried to give another account this address. It is"
            " that of your account, and nothing has changed.\n\n"
            "If it was not you, there is nothing to do."
        )
        return _to(to, "Your address is in use", text)

    async def verify_phone(self, tx: Transaction, to: Delivery) -> Words | None:
        if await proofs.find_good(tx, to.subject_id) is None:
            return None
        code = self._tokens.code(to.subject_id)
        text = f"{code} is your Carelane code, for ten minutes. Tell it nobody.\n"
        return Words("Your code", text)

    async def _asking(
        self, tx: Transaction, to: Delivery, purpose: str, subject: str, text: str
    ) -> Words | None:
        """Write a letter with the link of a proof, unless that cannot be given any more."""
        if await proofs.find_good(tx, to.subject_id) is None:
            return None
        token = self._tokens.token(purpose, to.subject_id)
        page = purpose.replace("_", "-")
        link = f"{self._web_url}/{page}#token={token}"
        return _to(to, subject, text.format(link=link))


def _to(to: Delivery, subject: str, text: str) -> Words:
    greeting = f"Hello {to.full_name}," if to.full_name else "Hello,"
    return Words(subject, f"{greeting}\n\n{text}\n\nCarelane\n")
