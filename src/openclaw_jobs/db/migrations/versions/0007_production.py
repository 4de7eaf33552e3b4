"""What running it for real needs: texts that are erased in time, traces that go through a task."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Mark erased texts, tell which code may run on this schema, keep proofs and traces."""
    op.execute("""
        ALTER TABLE task_inputs
            DROP CONSTRAINT one_form,
            ADD COLUMN erased_at timestamptz,
            ADD CONSTRAINT one_form CHECK (
                num_nonnulls(prompt, messages) = CASE WHEN erased_at IS NULL THEN 1 ELSE 0 END);

        -- What retention has still to look at; a conversation that was erased has no title.
        CREATE INDEX task_inputs_unerased ON task_inputs (task_id) WHERE erased_at IS NULL;
        CREATE INDEX conversations_age ON conversations (updated_at) WHERE title <> '';
    """)
    op.execute("""
        -- The oldest code, by its newest revision, that may still run here (db/revision.py).
        CREATE TABLE schema_floor (
            only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
            revision  text COLLATE "C" NOT NULL
        );
        REVOKE INSERT, UPDATE, DELETE ON schema_floor FROM openclaw_app;
    """)
    _observability()


def _observability() -> None:
    op.execute("""
        -- When the ledger was proved, so that every node can tell, and what was found.
        CREATE TABLE ledger_proofs (
            id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            proved_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            took_s        double precision NOT NULL CHECK (took_s >= 0),
            ok            boolean NOT NULL,
            transactions  bigint NOT NULL,
            violations    integer NOT NULL,
            CONSTRAINT ok_without_violations CHECK (ok = (violations = 0))
        );

        -- Under which trace its buyer posted a task, with tracing on. A trace is kept with one
        -- task only: were several of one trace shown to workers, one with a trace of its own
        -- would stand out.
        CREATE TABLE task_traces (
            task_id     text COLLATE "C" PRIMARY KEY,
            trace_id    bytea NOT NULL UNIQUE CHECK (length(trace_id) = 16),
            span_id     bytea NOT NULL CHECK (length(span_id) = 8),
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX task_traces_age ON task_traces USING brin (created_at);
    """)


def downgrade() -> None:
    """Refuse: what was erased stays so."""
    message = "erased texts cannot come back; restore a backup instead of downgrading"
    raise NotImplementedError(message)
