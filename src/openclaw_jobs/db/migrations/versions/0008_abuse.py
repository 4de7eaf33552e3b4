"""What looks like abuse, for operators to look at, and what shows that a buyer owns a worker."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Keep flags, marks of buyers, and when payout addresses were changed."""
    op.execute("""
        CREATE TABLE flags (
            id            text COLLATE "C" PRIMARY KEY,
            -- A worker, a buyer, or a network (by its mark: no address is kept).
            subject       text COLLATE "C" NOT NULL,
            kind          text NOT NULL CHECK (kind <> ''),
            detail        jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object'),
            count         bigint NOT NULL DEFAULT 1 CHECK (count > 0),
            first_seen    timestamptz NOT NULL DEFAULT now(),
            last_seen     timestamptz NOT NULL DEFAULT now(),
            dismissed_by  text,
            dismissed_at  timestamptz,
            CONSTRAINT one_of_a_kind UNIQUE (subject, kind),
            CONSTRAINT dismissed_by_somebody CHECK (
                (dismissed_by IS NULL) = (dismissed_at IS NULL))
        );
        CREATE INDEX flags_open ON flags (id) WHERE dismissed_at IS NULL;

        -- Claims that came to nothing: those that did cost nothing here.
        CREATE INDEX attempts_unfinished ON attempts (ended_at, worker_id)
            WHERE outcome <> 'completed';

        CREATE TABLE payout_changes (
            worker_id   text COLLATE "C" NOT NULL REFERENCES workers (id),
            changed_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX payout_changes_worker ON payout_changes (worker_id, changed_at);
        CREATE INDEX payout_changes_age ON payout_changes USING brin (changed_at);
    """)
    _marks()


def _marks() -> None:
    op.execute("""
        -- A person is who holds a worker in a browser that is signed in.
        ALTER TABLE worker_marks DROP CONSTRAINT worker_marks_kind_check,
            ADD CONSTRAINT worker_marks_kind_check
                CHECK (kind IN ('email', 'payout', 'network', 'person'));

        CREATE TABLE buyer_marks (
            buyer_id  text COLLATE "C" NOT NULL REFERENCES buyers (id),
            kind      text NOT NULL CHECK (kind IN ('email', 'payout', 'network', 'person')),
            mark      bytea NOT NULL CHECK (length(mark) = 32),
            seen_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (buyer_id, kind, mark)
        );
        CREATE INDEX buyer_marks_mark ON buyer_marks (mark, buyer_id);

        -- As workers.marks.mark_of would: of the mailbox, whatever its spelling.
        WITH parts AS (
            SELECT b.id, b.user_id,
                split_part(split_part(lower(u.email), '@', 1), '+', 1) AS local,
                split_part(lower(u.email), '@', 2) AS domain
            FROM buyers b JOIN users u ON u.id = b.user_id
            WHERE u.deleted_at IS NULL
        ), mailboxes AS (
            SELECT id, user_id, CASE WHEN domain IN ('gmail.com', 'googlemail.com')
                THEN replace(local, '.', '') || '@gmail.com'
                ELSE local || '@' || domain END AS mailbox
            FROM parts
        )
        INSERT INTO buyer_marks (buyer_id, kind, mark)
        SELECT id, kind, sha256(convert_to(kind || ':' || what, 'UTF8'))
        FROM mailboxes CROSS JOIN LATERAL (VALUES
            ('email', mailbox), ('payout', mailbox), ('person', lower(user_id))) AS m (kind, what);
    """)


def downgrade() -> None:
    """Refuse: what operators dismissed would come back."""
    message = "flags cannot come back; restore a backup instead of downgrading"
    raise NotImplementedError(message)
