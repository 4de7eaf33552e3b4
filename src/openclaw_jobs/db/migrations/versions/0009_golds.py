"""Gold tasks: which of them have lost their texts, and whom their buyers would have had."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Mark erased gold tasks, and give each the tier that its original asked for."""
    op.execute("""
        ALTER TABLE golds
            -- Since when its text and its answers are gone: nothing is judged by what is left.
            ADD COLUMN erased_at timestamptz,
            -- The tier that the task asked for from which it was minted, as in `tasks`.
            ADD COLUMN min_tier smallint NOT NULL DEFAULT 0 CHECK (min_tier BETWEEN 0 AND 3);
        -- All checks by a gold task, be they over or not: its text goes from their tasks too.
        CREATE INDEX checks_by_gold ON checks (gold_id) WHERE gold_id IS NOT NULL;
        UPDATE golds g SET min_tier = t.min_tier FROM tasks t WHERE t.id = g.origin_task_id;
        UPDATE golds SET erased_at = retired_at
        WHERE retired_at IS NOT NULL AND answers IN ('{-}', '{""}') AND prompt IN ('-', '');
    """)


def downgrade() -> None:
    """Refuse: what was erased could be judged by again."""
    message = "golds cannot forget what was erased; restore a backup instead of downgrading"
    raise NotImplementedError(message)
