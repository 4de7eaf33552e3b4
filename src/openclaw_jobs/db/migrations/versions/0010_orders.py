"""Indexes that give rows in the order in which they are asked for: nothing is sorted."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Find the last check of a task, and the suspensions that end next, by an index."""
    op.execute("""
        CREATE INDEX checks_of_task ON checks (original_task_id, id);
        DROP INDEX checks_original;
        CREATE INDEX workers_suspended ON workers (suspended_until) WHERE standing = 'suspended';
    """)


def downgrade() -> None:
    """Give the index back that the other has replaced."""
    op.execute("""
        CREATE INDEX checks_original ON checks (original_task_id);
        DROP INDEX checks_of_task;
        DROP INDEX workers_suspended;
    """)
