"""What running it for real needs: texts that are erased in time, traces that go through a task."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark texts that were erased."""
    op.execute("""
        ALTER TABLE task_inputs
            DROP CONSTRAINT one_form,
            ADD COLUMN erased_at timestamptz,
            ADD CONSTRAINT one_form CHECK (
                num_nonnulls(prompt, messages) = CASE WHEN erased_at IS NULL THEN 1 ELSE 0 END);
    """)


def downgrade() -> None:
    """Refuse: what was erased stays so."""
    message = "erased texts cannot come back; restore a backup instead of downgrading"
    raise NotImplementedError(message)
