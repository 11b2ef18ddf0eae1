"""Seals: each audit row's place in the chain of its clinic, and the heads of the chains."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SEALS = """
ALTER TABLE audit
  ADD COLUMN seal_number bigint,
  ADD COLUMN seal bytea,
  ADD CONSTRAINT audit_seal_check CHECK ((seal_number IS NULL) = (seal IS NULL)),
  -- Sealing leaves a dead row for each; a fifth of a large table would be too many.
  SET (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX audit_unsealed ON audit (create_time, audit_id) WHERE seal_number IS NULL;
-- A chain has each number once: two sealers cannot go on from the same row.
CREATE UNIQUE INDEX audit_chain ON audit (clinic_id, seal_number) WHERE seal_number IS NOT NULL;
CREATE UNIQUE INDEX audit_platform_chain ON audit (seal_number)
  WHERE clinic_id IS NULL AND seal_number IS NOT NULL;

CREATE TABLE audit_head (
  chain_id uuid PRIMARY KEY,
  last_number bigint NOT NULL DEFAULT 0,
  last_seal bytea NOT NULL DEFAULT '',
  copied_number bigint NOT NULL DEFAULT 0,
  CONSTRAINT audit_head_numbers_check CHECK (copied_number BETWEEN 0 AND last_number)
);
"""
WORKER = "carelane_worker"


def upgrade() -> None:
    op.execute(SEALS)
    protect("audit_head")
    allow("audit_head", WORKER, "SELECT, INSERT (chain_id)")
    allow("audit_head", WORKER, "UPDATE (last_number, last_seal, copied_number)")
    allow("audit", WORKER, "SELECT")
    # What is sealed stays as it is: the worker sees no such row when it updates.
    unsealed, sealed = "seal_number IS NULL", "seal_number IS NOT NULL"
    allow("audit", WORKER, "UPDATE (seal_number, seal)", unsealed, sealed)


def downgrade() -> None:
    op.execute("DROP TABLE audit_head")
    for command in ("select", "update"):
        op.execute(f"DROP POLICY {WORKER}_{command} ON audit")
    op.execute(f"REVOKE ALL ON audit FROM {WORKER}")
    op.execute("ALTER TABLE audit RESET (autovacuum_vacuum_scale_factor)")
    op.execute("ALTER TABLE audit DROP COLUMN seal_number, DROP COLUMN seal")
    op.execute("DROP INDEX IF EXISTS audit_unsealed, audit_chain, audit_platform_chain")
