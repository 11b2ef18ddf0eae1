"""What other domains may read of people, as selectables for their own statements."""

from sqlalchemy import Subquery, select

from server.auth.models import UserAccount


def people() -> Subquery:
    """One row a person, with name and phone, as far as the caller may see them."""
    return select(UserAccount.user_id, UserAccount.full_name, UserAccount.phone).subquery("people")


def recipients() -> Subquery:
    """One row an account, with what a letter is addressed by, and whether it may be used."""
    return select(
        UserAccount.user_id, UserAccount.email, UserAccount.full_name, UserAccount.status
    ).subquery("recipients")
