"""Hidden quality: checks, what they found, workers' records, gold tasks, suspensions."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of quality, and let a task be the platform's own."""
    _tasks()
    _kinship()
    _gold()
    _checks()
    _records()
    _budget()
    _standing()
    _ledger()


def downgrade() -> None:
    """Refuse: workers were judged, and paid, by these rows."""
    message = "workers were judged by these tables; restore a backup instead of downgrading"
    raise NotImplementedError(message)


def _tasks() -> None:
    op.execute("""
        -- A hidden task has no buyer: the platform pays for it. In everything that its worker
        -- sees it is a task like any other.
        ALTER TABLE tasks
            ALTER COLUMN buyer_id DROP NOT NULL,
            ADD COLUMN check_id text COLLATE "C",
            ADD COLUMN lineage text COLLATE "C",
            ADD CONSTRAINT somebody_pays CHECK (buyer_id IS NOT NULL OR check_id IS NOT NULL),
            ADD CONSTRAINT hidden_has_lineage CHECK (check_id IS NULL OR lineage IS NOT NULL);

        -- Copies that nobody took before their check was over.
        CREATE INDEX tasks_hidden ON tasks (check_id)
            WHERE buyer_id IS NULL AND status = 'queued';

        -- Whom a text of which there are several executions was shown to: nobody gets it twice.
        -- The lineage is the id of the original task, or of the gold task.
        CREATE TABLE lineage_readers (
            lineage    text COLLATE "C" NOT NULL,
            worker_id  text COLLATE "C" NOT NULL REFERENCES workers (id),
            seen_at    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (lineage, worker_id)
        );
    """)


def _kinship() -> None:
    op.execute("""
        -- What may show that two workers are one person's: a verified address, a payout address,
        -- a network. Each is kept as a hash, since only equality matters.
        CREATE TABLE worker_marks (
            worker_id  text COLLATE "C" NOT NULL REFERENCES workers (id),
            kind       text NOT NULL CHECK (kind IN ('email', 'payout', 'network')),
            mark       bytea NOT NULL CHECK (length(mark) = 32),
            seen_at    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (worker_id, kind, mark)
        );
        CREATE INDEX worker_marks_mark ON worker_marks (mark, worker_id);
    """)


def _gold() -> None:
    op.execute("""
        -- Tasks with known accepted answers.
        CREATE TABLE golds (
            id              text COLLATE "C" PRIMARY KEY,
            category        text COLLATE "C" NOT NULL,
            prompt          text,
            messages        text,
            answers         text[] NOT NULL CHECK (cardinality(answers) > 0),
            -- Of a gold task minted from a buyer's text: whose, and from which of its tasks.
            buyer_id        text COLLATE "C" REFERENCES buyers (id),
            origin_task_id  text COLLATE "C" UNIQUE,
            created_by      text NOT NULL,
            exposures       integer NOT NULL DEFAULT 0 CHECK (exposures >= 0),
            created_at      timestamptz NOT NULL DEFAULT now(),
            retired_at      timestamptz,
            CONSTRAINT gold_has_one_form CHECK (num_nonnulls(prompt, messages) = 1)
        );
        CREATE INDEX golds_live ON golds (category, id) WHERE retired_at IS NULL;

        -- A buyer's texts may become gold only if it said so.
        ALTER TABLE buyers ADD COLUMN shares_texts boolean NOT NULL DEFAULT false;
    """)


def _checks() -> None:
    op.execute("""
        CREATE TABLE checks (
            id                text COLLATE "C" PRIMARY KEY,
            kind              text NOT NULL CHECK (kind IN
                                  ('shadow', 'spot', 'gold', 'credit', 'audit')),
            -- due: its copy is queued at due_at. copying: the copy, or the original, is not done.
            -- comparing: all results are there. arbitrating: a third execution is under way.
            -- deciding: the third is there. decided, void (inconclusive): over.
            stage             text NOT NULL CHECK (stage IN ('due', 'copying', 'comparing',
                                  'arbitrating', 'deciding', 'decided', 'void')),
            category          text COLLATE "C" NOT NULL,
            price_cents       bigint NOT NULL CHECK (price_cents >= 0),
            original_task_id  text COLLATE "C",
            gold_id           text COLLATE "C" REFERENCES golds (id),
            copy_task_id      text COLLATE "C" UNIQUE,
            arbiter_task_id   text COLLATE "C" UNIQUE,
            first_worker_id   text COLLATE "C",
            second_worker_id  text COLLATE "C",
            third_worker_id   text COLLATE "C",
            due_at            timestamptz NOT NULL,
            -- What it has set aside of the budget, and what of it went into tasks.
            reserved_cents    bigint NOT NULL CHECK (reserved_cents >= 0),
            spent_cents       bigint NOT NULL DEFAULT 0,
            agree             boolean,
            similarity        real,
            method            text,
            engine            text,
            why               text,
            evidence          jsonb,
            first_verdict     text CHECK (first_verdict IN ('good', 'bad', 'inconclusive')),
            second_verdict    text CHECK (second_verdict IN ('good', 'bad', 'inconclusive')),
            reason            text,
            decided_by        text,
            decided_at        timestamptz,
            created_at        timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT check_is_about_something CHECK (
                (kind = 'gold') = (gold_id IS NOT NULL)
                AND (kind = 'gold') = (original_task_id IS NULL)),
            CONSTRAINT over_has_time CHECK (
                (stage IN ('decided', 'void')) = (decided_at IS NOT NULL))
        );
        -- A copy, or an arbiter, that is to be queued at its time.
        CREATE INDEX checks_due ON checks (due_at) WHERE stage = 'due'
            OR (stage = 'arbitrating' AND arbiter_task_id IS NULL);
        CREATE INDEX checks_ready ON checks (id) WHERE stage IN ('comparing', 'deciding');
        CREATE INDEX checks_open ON checks (first_worker_id)
            WHERE stage NOT IN ('decided', 'void');
        CREATE INDEX checks_original ON checks (original_task_id);
        -- Gold tasks that wait for a worker.
        CREATE INDEX checks_gold ON checks (gold_id)
            WHERE gold_id IS NOT NULL AND stage IN ('due', 'copying');
        CREATE INDEX checks_spent ON checks (created_at) INCLUDE (reserved_cents, spent_cents);
        CREATE INDEX checks_stage ON checks (stage, id);
    """)


def _records() -> None:
    op.execute("""
        -- What checks have found of one worker; `outcomes` has the facts that it adds up.
        CREATE TABLE worker_records (
            worker_id  text COLLATE "C" PRIMARY KEY REFERENCES workers (id),
            good       integer NOT NULL DEFAULT 0 CHECK (good >= 0),
            bad        integer NOT NULL DEFAULT 0 CHECK (bad >= 0),
            streak     integer NOT NULL DEFAULT 0 CHECK (streak >= 0),
            suspicion  double precision NOT NULL DEFAULT 0 CHECK (suspicion >= 0)
        ) WITH (fillfactor = 50);
        -- Over the limit of the sequential test, ln 1000 = 6.9078, or close to it.
        CREATE INDEX worker_records_suspects ON worker_records (worker_id)
            WHERE suspicion > 6.9;

        -- One result is judged once; an operator may turn the judgement.
        CREATE TABLE outcomes (
            task_id     text COLLATE "C" PRIMARY KEY,
            worker_id   text COLLATE "C" NOT NULL REFERENCES workers (id),
            check_id    text COLLATE "C" NOT NULL REFERENCES checks (id),
            bad         boolean NOT NULL,
            decided_by  text NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX outcomes_worker ON outcomes (worker_id, created_at, task_id);
        CREATE INDEX outcomes_age ON outcomes (created_at);

        -- How often two workers were found bad by one check, and with the same answer.
        CREATE TABLE pair_agreements (
            first_worker_id   text COLLATE "C" NOT NULL REFERENCES workers (id),
            second_worker_id  text COLLATE "C" NOT NULL REFERENCES workers (id),
            both_bad          integer NOT NULL DEFAULT 0,
            same_bad          integer NOT NULL DEFAULT 0,
            flagged_at        timestamptz,
            PRIMARY KEY (first_worker_id, second_worker_id),
            CONSTRAINT pair_in_order CHECK (first_worker_id < second_worker_id),
            CONSTRAINT same_among_both CHECK (same_bad >= 0 AND same_bad <= both_bad)
        );
        CREATE INDEX pair_agreements_flagged ON pair_agreements (flagged_at)
            WHERE flagged_at IS NOT NULL;
    """)


def _budget() -> None:
    op.execute("""
        -- What one process has seen in one hour; each writes rows of its own, so none is hot.
        CREATE TABLE volume_hours (
            node_id         text COLLATE "C" NOT NULL,
            hour            timestamptz NOT NULL,
            paid_cents      bigint NOT NULL DEFAULT 0,
            paid_claims     bigint NOT NULL DEFAULT 0,
            refused_checks  bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (hour, node_id)
        ) WITH (fillfactor = 50);

        -- What each process may still reserve without asking.
        CREATE TABLE check_allotments (
            node_id     text COLLATE "C" PRIMARY KEY,
            cents       bigint NOT NULL CHECK (cents >= 0),
            granted_at  timestamptz NOT NULL DEFAULT now()
        ) WITH (fillfactor = 50);
    """)


def _standing() -> None:
    op.execute("""
        -- Tiers go by a quality that is read off the record once a day or so: were it fresh, a
        -- worker could see after each task whether that one had been looked at.
        ALTER TABLE workers
            ADD COLUMN tier_review_at timestamptz NOT NULL DEFAULT now(),
            ADD COLUMN shown_quality double precision CHECK (shown_quality BETWEEN 0 AND 1),
            ADD COLUMN shown_quality_until timestamptz,
            ADD CONSTRAINT shown_quality_ends CHECK (
                (shown_quality IS NULL) = (shown_quality_until IS NULL));
        CREATE INDEX workers_tier_review ON workers (tier_review_at);

        -- Why a worker was stopped, what it said to it, and what an operator answered.
        CREATE TABLE suspensions (
            id           text COLLATE "C" PRIMARY KEY,
            worker_id    text COLLATE "C" NOT NULL REFERENCES workers (id),
            cause        text NOT NULL CHECK (cause IN ('quality', 'operator')),
            -- The worker's own results that were judged bad.
            task_ids     text[] NOT NULL DEFAULT '{}',
            -- How many tasks it had completed until then.
            completed    bigint NOT NULL DEFAULT 0,
            started_at   timestamptz NOT NULL DEFAULT now(),
            ended_at     timestamptz,
            appeal       text,
            appealed_at  timestamptz,
            answer       text,
            upheld       boolean,
            decided_by   text,
            decided_at   timestamptz,
            CONSTRAINT appeal_is_whole CHECK ((appeal IS NULL) = (appealed_at IS NULL)),
            CONSTRAINT decision_is_whole CHECK (num_nonnulls(upheld, decided_by, decided_at)
                IN (0, 3)),
            CONSTRAINT decided_was_asked CHECK (decided_at IS NULL OR appealed_at IS NOT NULL)
        );
        CREATE UNIQUE INDEX one_suspension ON suspensions (worker_id) WHERE ended_at IS NULL;
        CREATE INDEX suspensions_worker ON suspensions (worker_id, started_at);
        CREATE INDEX suspensions_appealed ON suspensions (appealed_at)
            WHERE appealed_at IS NOT NULL AND decided_at IS NULL;
    """)


def _ledger() -> None:
    op.execute("""
        ALTER TABLE transfers DROP CONSTRAINT transfers_kind_known;
        ALTER TABLE transfers ADD CONSTRAINT transfers_kind_known CHECK (kind IN (
            'signup_bonus', 'operator_grant', 'task_charge', 'settle', 'unfreeze',
            'refund_cancelled', 'refund_failed', 'refund_expired',
            'deposit', 'deposit_fee', 'pack_bonus', 'card_refund', 'bonus_clawback', 'credit',
            'dispute_opened', 'dispute_won', 'dispute_lost', 'stripe_payout', 'rail_top_up',
            'withdrawal', 'payout_paid', 'payout_fee', 'payout_failed', 'payout_rejected',
            'payout_returned',
            'check_charge', 'check_refund', 'check_clawback', 'check_restore')) NOT VALID;
        ALTER TABLE transfers VALIDATE CONSTRAINT transfers_kind_known;
    """)
