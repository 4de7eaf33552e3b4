"""What running it for real needs: texts that are erased in time, traces that go through a task."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Mark texts that were erased, and tell which code may run on this schema."""
    op.execute("""
        ALTER TABLE task_inputs
            DROP CONSTRAINT one_form,
            ADD COLUMN erased_at timestamptz,
            ADD CONSTRAINT one_form CHECK (
                num_nonnulls(prompt, messages) = CASE WHEN erased_at IS NULL THEN 1 ELSE 0 END);
    """)
    op.execute("""
        -- The oldest code, by its newest revision, that may still run here (db/revision.py).
        CREATE TABLE schema_floor (
            only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
            revision  text COLLATE "C" NOT NULL
        );
        REVOKE INSERT, UPDATE, DELETE ON schema_floor FROM openclaw_app;
    """)


def downgrade() -> None:
    """Refuse: what was erased stays so."""
    message = "erased texts cannot come back; restore a backup instead of downgrading"
    raise NotImplementedError(message)
