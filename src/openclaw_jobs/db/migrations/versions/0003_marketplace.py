"""Buyers, workers, tasks, leases, earnings, the outbox and idempotency records."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the marketplace's tables; each state machine is held by CHECK constraints."""
    _identity()
    _workers()
    _tasks()
    _leases_and_attempts()
    _earnings()
    _events()
    _nodes()


def downgrade() -> None:
    """Drop what `upgrade` made, last first."""
    op.execute("""
        DROP TABLE nodes, idempotency_records, events, event_sequences, earnings, attempts, leases,
            task_results, task_inputs, tasks, worker_stats, workers, api_keys, buyer_totals,
            buyers, users
    """)


def _identity() -> None:
    op.execute("""
        CREATE TABLE users (
            id          text COLLATE "C" PRIMARY KEY,
            email       text NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE UNIQUE INDEX users_email ON users (lower(email));

        CREATE TABLE buyers (
            id          text COLLATE "C" PRIMARY KEY,
            user_id     text COLLATE "C" NOT NULL UNIQUE REFERENCES users (id),
            created_at  timestamptz NOT NULL DEFAULT now()
        );

        -- Lifetime sums, kept in the transaction that moves the money; the proof recomputes them.
        CREATE TABLE buyer_totals (
            buyer_id         text COLLATE "C" PRIMARY KEY REFERENCES buyers (id),
            deposited_cents  bigint NOT NULL DEFAULT 0 CHECK (deposited_cents >= 0),
            bonus_cents      bigint NOT NULL DEFAULT 0 CHECK (bonus_cents >= 0),
            spent_cents      bigint NOT NULL DEFAULT 0 CHECK (spent_cents >= 0),
            credited_cents   bigint NOT NULL DEFAULT 0 CHECK (credited_cents >= 0)
        ) WITH (fillfactor = 50);

        CREATE TABLE api_keys (
            id          text COLLATE "C" PRIMARY KEY,
            buyer_id    text COLLATE "C" NOT NULL REFERENCES buyers (id),
            name        text,
            key_hash    bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
            created_at  timestamptz NOT NULL DEFAULT now(),
            revoked_at  timestamptz
        );
        CREATE INDEX api_keys_buyer ON api_keys (buyer_id, id);

        -- Answers to be repeated, written in the transaction of the effect that they describe.
        CREATE TABLE idempotency_records (
            caller      text COLLATE "C" NOT NULL,
            route       text COLLATE "C" NOT NULL,
            key         text COLLATE "C" NOT NULL,
            body_hash   bytea NOT NULL CHECK (length(body_hash) = 32),
            status      smallint NOT NULL,
            headers     text NOT NULL,
            content     text NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (caller, route, key)
        );
        CREATE INDEX idempotency_records_age ON idempotency_records (created_at);
    """)


def _workers() -> None:
    op.execute("""
        CREATE TABLE workers (
            id                 text COLLATE "C" PRIMARY KEY,
            name               text,
            model              text,
            capabilities       text[] NOT NULL DEFAULT '{}',
            token_hash         bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
            tier               text NOT NULL DEFAULT 'bronze'
                               CHECK (tier IN ('bronze', 'silver', 'gold', 'platinum')),
            standing           text NOT NULL DEFAULT 'active'
                               CHECK (standing IN ('active', 'suspended', 'banned')),
            suspended_until    timestamptz,
            suspended_reason   text,
            strikes            smallint NOT NULL DEFAULT 0 CHECK (strikes >= 0),
            categories         text[],
            min_earning_cents  bigint NOT NULL DEFAULT 0 CHECK (min_earning_cents >= 0),
            max_concurrent     int NOT NULL DEFAULT 10 CHECK (max_concurrent BETWEEN 1 AND 1000),
            daily_limit        int CHECK (daily_limit >= 0),
            schedule           jsonb,
            created_at         timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT suspension_has_reason
                CHECK ((standing = 'active') = (suspended_reason IS NULL)),
            CONSTRAINT only_suspension_ends
                CHECK (suspended_until IS NULL OR standing = 'suspended')
        );

        CREATE TABLE worker_stats (
            worker_id       text COLLATE "C" PRIMARY KEY REFERENCES workers (id),
            completed       bigint NOT NULL DEFAULT 0 CHECK (completed >= 0),
            failed          bigint NOT NULL DEFAULT 0 CHECK (failed >= 0),
            expired         bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
            released        bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
            credited        bigint NOT NULL DEFAULT 0 CHECK (credited >= 0),
            lifetime_cents  bigint NOT NULL DEFAULT 0,
            today           date NOT NULL DEFAULT '1970-01-01',
            today_completed bigint NOT NULL DEFAULT 0,
            today_cents     bigint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50);
    """)


def _tasks() -> None:
    op.execute("""
        CREATE TABLE tasks (
            id               text COLLATE "C" PRIMARY KEY,
            buyer_id         text COLLATE "C" NOT NULL,
            category         text COLLATE "C" NOT NULL,
            status           text COLLATE "C" NOT NULL DEFAULT 'queued' CHECK (status IN
                             ('queued', 'claimed', 'completed', 'failed', 'cancelled', 'expired')),
            price_cents      bigint NOT NULL CHECK (price_cents >= 0),
            promo_cents      bigint NOT NULL CHECK (promo_cents BETWEEN 0 AND price_cents),
            min_tier         smallint NOT NULL DEFAULT 0 CHECK (min_tier BETWEEN 0 AND 3),
            queue_rank       bigint NOT NULL,
            attempts         smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            failures         smallint NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND attempts),
            worker_id        text COLLATE "C",
            rating           smallint CHECK (rating IN (-1, 1)),
            conversation_id  text,
            created_at       timestamptz NOT NULL DEFAULT now(),
            expires_at       timestamptz NOT NULL,
            claimed_at       timestamptz,
            completed_at     timestamptz,
            CONSTRAINT queued_is_free CHECK (status <> 'queued' OR
                (worker_id IS NULL AND claimed_at IS NULL AND completed_at IS NULL)),
            CONSTRAINT claimed_has_worker CHECK (status <> 'claimed' OR
                (worker_id IS NOT NULL AND claimed_at IS NOT NULL AND completed_at IS NULL
                 AND attempts > 0)),
            CONSTRAINT completed_has_worker CHECK (status <> 'completed' OR
                (worker_id IS NOT NULL AND claimed_at IS NOT NULL AND completed_at IS NOT NULL)),
            CONSTRAINT ended_has_end CHECK (status NOT IN ('failed', 'cancelled', 'expired') OR
                (worker_id IS NULL AND completed_at IS NOT NULL))
        );
        -- A worker that takes any category reads the first; one with preferences the second.
        CREATE INDEX tasks_queue ON tasks (queue_rank, id) WHERE status = 'queued';
        CREATE INDEX tasks_queue_category ON tasks (category, queue_rank, id)
            WHERE status = 'queued';
        CREATE INDEX tasks_expiry ON tasks (expires_at) WHERE status = 'queued';
        CREATE INDEX tasks_buyer ON tasks (buyer_id, id);

        -- The texts stand apart, so that the rows that change often stay narrow.
        CREATE TABLE task_inputs (
            task_id   text COLLATE "C" PRIMARY KEY,
            prompt    text,
            messages  text,
            metadata  text,
            CONSTRAINT one_form CHECK (num_nonnulls(prompt, messages) = 1)
        );
        CREATE TABLE task_results (
            task_id  text COLLATE "C" PRIMARY KEY,
            result   text NOT NULL
        );
    """)


def _leases_and_attempts() -> None:
    op.execute("""
        -- A row while somebody holds the task. `expires_at` has no index, so that a heartbeat
        -- is a HOT update; recovery reads the whole of this small table.
        CREATE TABLE leases (
            task_id        text COLLATE "C" PRIMARY KEY,
            worker_id      text COLLATE "C" NOT NULL,
            attempt        smallint NOT NULL CHECK (attempt > 0),
            token_hash     bytea NOT NULL CHECK (length(token_hash) = 32),
            rate_bp        int NOT NULL CHECK (rate_bp BETWEEN 0 AND 10000),
            earning_cents  bigint NOT NULL CHECK (earning_cents >= 0),
            claimed_at     timestamptz NOT NULL DEFAULT now(),
            expires_at     timestamptz NOT NULL,
            progress       text
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
        CREATE INDEX leases_worker ON leases (worker_id);

        -- How each lease ended: the receipt of a submission, and who is not offered a task again.
        CREATE TABLE attempts (
            task_id     text COLLATE "C" NOT NULL,
            attempt     smallint NOT NULL CHECK (attempt > 0),
            worker_id   text COLLATE "C" NOT NULL,
            outcome     text NOT NULL
                        CHECK (outcome IN ('completed', 'failed', 'released', 'expired')),
            token_hash  bytea NOT NULL CHECK (length(token_hash) = 32),
            claimed_at  timestamptz NOT NULL,
            ended_at    timestamptz NOT NULL DEFAULT now(),
            error       text,
            usage       text,
            PRIMARY KEY (task_id, attempt)
        );
        CREATE UNIQUE INDEX one_completion ON attempts (task_id) WHERE outcome = 'completed';
    """)


def _earnings() -> None:
    op.execute("""
        CREATE TABLE earnings (
            task_id           text COLLATE "C" PRIMARY KEY,
            worker_id         text COLLATE "C" NOT NULL,
            gross_cents       bigint NOT NULL CHECK (gross_cents >= 0),
            commission_cents  bigint NOT NULL CHECK (commission_cents BETWEEN 0 AND gross_cents),
            net_cents         bigint NOT NULL,
            rate_bp           int NOT NULL CHECK (rate_bp BETWEEN 0 AND 10000),
            status            text NOT NULL DEFAULT 'frozen'
                              CHECK (status IN ('frozen', 'available')),
            created_at        timestamptz NOT NULL DEFAULT now(),
            release_at        timestamptz NOT NULL,
            CONSTRAINT net_is_the_rest CHECK (net_cents = gross_cents - commission_cents)
        );
        CREATE INDEX earnings_worker ON earnings (worker_id, created_at, task_id);
        CREATE INDEX earnings_due ON earnings (release_at) WHERE status = 'frozen';
    """)


def _events() -> None:
    op.execute("""
        -- One gapless sequence a buyer: its row is locked until commit, so a reader that has
        -- seen event n has seen all before it, on any node.
        CREATE TABLE event_sequences (
            buyer_id  text COLLATE "C" PRIMARY KEY,
            last_seq  bigint NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50);
        CREATE TABLE events (
            buyer_id    text COLLATE "C" NOT NULL,
            seq         bigint NOT NULL,
            type        text NOT NULL,
            task_id     text COLLATE "C",
            data        text NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (buyer_id, seq)
        );
        -- A task's own stream reads no other events of its buyer.
        CREATE INDEX events_task ON events (task_id, seq) WHERE task_id IS NOT NULL;
        CREATE INDEX events_age ON events USING brin (created_at);
    """)


def _nodes() -> None:
    op.execute("""
        -- What each web process knows alone: how many workers are parked there.
        CREATE TABLE nodes (
            id               text COLLATE "C" PRIMARY KEY,
            seen_at          timestamptz NOT NULL DEFAULT now(),
            parked_workers   int NOT NULL CHECK (parked_workers >= 0)
        ) WITH (fillfactor = 50);
    """)
