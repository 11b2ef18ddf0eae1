"""The letters about accounts, each written when it is sent."""

from server.core.db import Transaction
from server.mail.letters import Delivery, Letters, Words


def letters(web_url: str) -> Letters:
    """Answer the letters whose links lead to the web app."""

    async def registration_repeated(_: Transaction, to: Delivery) -> Words:
        text = (
            "Somebody, perhaps you, has just tried to register with this address. You have an"
            " account already, and nothing about it has changed.\n\n"
            f"Sign in: {web_url}/sign-in\n"
            f"If you do not know your password any more: {web_url}/forgotten-password\n\n"
            "If it was not you, there is nothing to do."
        )
        return _to(to, "You have an account already", text)

    return {"registration_repeated": registration_repeated}


def _to(to: Delivery, subject: str, text: str) -> Words:
    greeting = f"Hello {to.full_name}," if to.full_name else "Hello,"
    return Words(subject, f"{greeting}\n\n{text}\n\nCarelane\n")
