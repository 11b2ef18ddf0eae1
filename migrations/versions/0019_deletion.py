"""Accounts that their owners end."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# What the law asks to be kept stays: visits, payments and the audit, of somebody without a name.
# As the owner, so that the server itself may neither set this status nor delete a password; and for
# the caller alone.
ERASE = """
CREATE FUNCTION erase_account(at timestamptz) RETURNS TABLE (ended uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE user_account
     SET status = 'deleted', email = 'deleted-' || user_id || '@deleted.invalid', phone = NULL,
         full_name = 'Deleted account', time_zone = 'UTC', language = 'en',
         email_verify_time = NULL, phone_verify_time = NULL,
         revision = revision + 1, update_time = at
   WHERE user_id = app_user();
  UPDATE patient
     SET full_name = CASE WHEN patient_id <> account_id THEN 'Deleted person' END,
         birth_date = NULL, end_time = coalesce(end_time, at)
   WHERE account_id = app_user();
  DELETE FROM credential WHERE user_id = app_user();
  DELETE FROM account_proof WHERE user_id = app_user();
  DELETE FROM notification WHERE user_id = app_user();
  DELETE FROM calendar_feed WHERE user_id = app_user();
  DELETE FROM refresh_token WHERE user_id = app_user();
  DELETE FROM idempotency WHERE user_id = app_user();
  RETURN QUERY DELETE FROM session WHERE user_id = app_user() RETURNING session_id;
END $$;
REVOKE EXECUTE ON FUNCTION erase_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_account TO carelane_app;
"""


def upgrade() -> None:
    allow_only("user_account", "status", "active", "disabled", "deleted")
    purposes = ("verify_email", "reset_password", "change_email", "verify_phone")
    allow_only("account_proof", "purpose", *purposes, "delete_account")
    op.execute(ERASE)


def allow_only(table: str, column: str, *values: str) -> None:
    """Let a column have these values and no others."""
    name, listed = f"{table}_{column}_check", ", ".join(f"'{value}'" for value in values)
    op.execute(
        f"ALTER TABLE {table} DROP CONSTRAINT {name},"
        f" ADD CONSTRAINT {name} CHECK ({column} IN ({listed}))"
    )


def downgrade() -> None:
    """Keep deleted accounts as disabled ones: nobody has a password for them."""
    op.execute("DROP FUNCTION erase_account")
    op.execute("UPDATE user_account SET status = 'disabled' WHERE status = 'deleted'")
    allow_only("user_account", "status", "active", "disabled")
    op.execute("DELETE FROM account_proof WHERE purpose = 'delete_account'")
    purposes = ("verify_email", "reset_password", "change_email", "verify_phone")
    allow_only("account_proof", "purpose", *purposes)
