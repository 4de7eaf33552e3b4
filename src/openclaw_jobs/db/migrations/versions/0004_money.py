"""Deposits, credits, withdrawals and payouts: the whole way of a cent."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of money's way in and out."""
    _credits()
    _lots()
    _deposits()
    _events()
    _contacts()
    _payouts()
    _reconciliation()
    _statements()


def downgrade() -> None:
    """Refuse: the ledger's facts about these rows cannot be taken back."""
    message = "money has moved by these tables; restore a backup instead of downgrading"
    raise NotImplementedError(message)


def _credits() -> None:
    op.execute("""
        ALTER TABLE tasks
            DROP CONSTRAINT tasks_status_check,
            DROP CONSTRAINT completed_has_worker,
            ADD CONSTRAINT tasks_status_check CHECK (status IN
                ('queued', 'claimed', 'completed', 'failed', 'cancelled', 'expired',
                 'credited', 'credit_review')),
            ADD COLUMN credited_cents bigint NOT NULL DEFAULT 0,
            ADD CONSTRAINT completed_has_worker CHECK (
                status NOT IN ('completed', 'credited', 'credit_review') OR
                (worker_id IS NOT NULL AND claimed_at IS NOT NULL AND completed_at IS NOT NULL)),
            ADD CONSTRAINT credited_in_full CHECK (
                credited_cents = CASE WHEN status = 'credited' THEN price_cents ELSE 0 END);

        -- A buyer asks for its money back, once a task.
        CREATE TABLE credits (
            task_id       text COLLATE "C" PRIMARY KEY REFERENCES tasks (id),
            buyer_id      text COLLATE "C" NOT NULL,
            worker_id     text COLLATE "C" NOT NULL,
            amount_cents  bigint NOT NULL CHECK (amount_cents >= 0),
            reason        text,
            status        text NOT NULL CHECK (status IN ('review', 'credited', 'rejected')),
            requested_at  timestamptz NOT NULL DEFAULT now(),
            decided_at    timestamptz,
            decided_by    text,
            CONSTRAINT decided_has_time CHECK ((status = 'review') = (decided_at IS NULL))
        );
        CREATE INDEX credits_buyer ON credits (buyer_id);
        CREATE INDEX credits_waiting ON credits (requested_at) WHERE status = 'review';
    """)


def _lots() -> None:
    op.execute("""
        -- An earning is a lot: what has become of its net once it is no longer frozen.
        ALTER TABLE earnings
            DROP CONSTRAINT earnings_status_check,
            ADD CONSTRAINT earnings_status_check
                CHECK (status IN ('frozen', 'available', 'credited')),
            ADD COLUMN available_cents bigint NOT NULL DEFAULT 0 CHECK (available_cents >= 0),
            ADD COLUMN withdrawn_cents bigint NOT NULL DEFAULT 0 CHECK (withdrawn_cents >= 0),
            ADD COLUMN clawed_cents bigint NOT NULL DEFAULT 0 CHECK (clawed_cents >= 0);
        UPDATE earnings SET available_cents = net_cents WHERE status = 'available';
        ALTER TABLE earnings ADD CONSTRAINT lot_adds_up CHECK (
            available_cents + withdrawn_cents + clawed_cents =
                CASE WHEN status = 'frozen' THEN 0 ELSE net_cents END);
        CREATE INDEX earnings_open ON earnings (worker_id, release_at, task_id)
            WHERE available_cents > 0;
    """)


def _deposits() -> None:
    op.execute("""
        ALTER TABLE buyers
            ADD COLUMN suspended_at timestamptz,
            ADD COLUMN suspended_reason text,
            ADD CONSTRAINT suspension_has_reason
                CHECK ((suspended_at IS NULL) = (suspended_reason IS NULL));

        CREATE TABLE deposits (
            id                  text COLLATE "C" PRIMARY KEY,
            buyer_id            text COLLATE "C" NOT NULL REFERENCES buyers (id),
            pack                text NOT NULL,
            cents               bigint NOT NULL CHECK (cents > 0),
            bonus_cents         bigint NOT NULL CHECK (bonus_cents >= 0),
            status              text NOT NULL DEFAULT 'creating'
                                CHECK (status IN ('creating', 'open', 'paid', 'failed', 'expired')),
            session_id          text COLLATE "C" UNIQUE,
            payment_intent_id   text COLLATE "C" UNIQUE,
            charge_id           text COLLATE "C" UNIQUE,
            fee_cents           bigint CHECK (fee_cents >= 0),
            refunded_cents      bigint NOT NULL DEFAULT 0
                                CHECK (refunded_cents BETWEEN 0 AND cents),
            clawed_bonus_cents  bigint NOT NULL DEFAULT 0
                                CHECK (clawed_bonus_cents BETWEEN 0 AND bonus_cents),
            -- The Idempotency-Key that it was asked for with, so that a second try of the same
            -- request finds it, whether or not the first was ever answered.
            request_key         text COLLATE "C",
            -- When to ask Stripe next what it kept; NULL when that is known, or given up.
            fee_due_at          timestamptz,
            fee_attempts        int NOT NULL DEFAULT 0 CHECK (fee_attempts >= 0),
            created_at          timestamptz NOT NULL DEFAULT now(),
            paid_at             timestamptz,
            CONSTRAINT fee_of_paid_only CHECK
                (status = 'paid' OR num_nonnulls(fee_cents, fee_due_at) = 0),
            CONSTRAINT open_has_session CHECK (status = 'creating' OR session_id IS NOT NULL
                OR status = 'failed'),
            CONSTRAINT paid_has_time CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
            CONSTRAINT only_paid_is_refunded CHECK (status = 'paid' OR refunded_cents = 0)
        );
        CREATE INDEX deposits_buyer ON deposits (buyer_id, id);
        CREATE UNIQUE INDEX deposits_request ON deposits (buyer_id, request_key)
            WHERE request_key IS NOT NULL;
        CREATE INDEX deposits_fee_due ON deposits (fee_due_at) WHERE fee_due_at IS NOT NULL;
        CREATE INDEX deposits_unborn ON deposits (created_at) WHERE status = 'creating';
    """)


def _events() -> None:
    op.execute("""
        -- What a provider told us: stored once as it came, worked later, kept.
        CREATE TABLE webhook_events (
            source       text COLLATE "C" NOT NULL,
            event_id     text COLLATE "C" NOT NULL,
            type         text NOT NULL,
            payload      text NOT NULL,
            status       text NOT NULL DEFAULT 'pending'
                         CHECK (status IN ('pending', 'done', 'ignored', 'failed')),
            attempts     int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            next_try_at  timestamptz NOT NULL DEFAULT now(),
            error        text,
            received_at  timestamptz NOT NULL DEFAULT now(),
            handled_at   timestamptz,
            PRIMARY KEY (source, event_id),
            CONSTRAINT handled_has_time
                CHECK ((status IN ('done', 'ignored')) = (handled_at IS NOT NULL))
        );
        CREATE INDEX webhook_events_due ON webhook_events (next_try_at) WHERE status = 'pending';
        CREATE INDEX webhook_events_age ON webhook_events (received_at);

        -- A payment that a bank took back; the split is what a won one is reversed by.
        CREATE TABLE disputes (
            id          text COLLATE "C" PRIMARY KEY,
            deposit_id  text COLLATE "C" NOT NULL REFERENCES deposits (id),
            buyer_id    text COLLATE "C" NOT NULL,
            cents       bigint NOT NULL CHECK (cents > 0),
            fee_cents   bigint NOT NULL CHECK (fee_cents >= 0),
            paid_cents  bigint NOT NULL CHECK (paid_cents BETWEEN 0 AND cents),
            status      text NOT NULL CHECK (status IN ('open', 'won', 'lost')),
            opened_at   timestamptz NOT NULL DEFAULT now(),
            closed_at   timestamptz,
            CONSTRAINT closed_has_time CHECK ((status = 'open') = (closed_at IS NULL))
        );
        CREATE INDEX disputes_buyer ON disputes (buyer_id, opened_at);
    """)


def _contacts() -> None:
    op.execute("""
        ALTER TABLE workers
            ADD COLUMN email text,
            ADD COLUMN email_verified_at timestamptz,
            ADD COLUMN payout_method text CHECK (payout_method IN ('paypal', 'solana')),
            ADD COLUMN payout_address text,
            ADD COLUMN payout_changed_at timestamptz,
            ADD COLUMN payout_blocked_until timestamptz,
            ADD CONSTRAINT verified_has_email
                CHECK (email_verified_at IS NULL OR email IS NOT NULL),
            ADD CONSTRAINT payout_is_whole CHECK
                (num_nonnulls(payout_method, payout_address, payout_changed_at) IN (0, 3));

        -- The one code that a worker can prove its address with.
        CREATE TABLE email_codes (
            worker_id   text COLLATE "C" PRIMARY KEY REFERENCES workers (id),
            email       text NOT NULL,
            code_hash   bytea NOT NULL CHECK (length(code_hash) = 32),
            attempts    smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            expires_at  timestamptz NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );

        -- Mail to be sent, written with the fact that it tells of, deleted once sent.
        CREATE TABLE outgoing_mails (
            id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            recipient    text NOT NULL,
            subject      text NOT NULL,
            body         text NOT NULL,
            attempts     int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            next_try_at  timestamptz NOT NULL DEFAULT now(),
            created_at   timestamptz NOT NULL DEFAULT now()
        );
    """)


def _payouts() -> None:
    op.execute("""
        CREATE TABLE payouts (
            id             text COLLATE "C" PRIMARY KEY,
            worker_id      text COLLATE "C" NOT NULL REFERENCES workers (id),
            amount_cents   bigint NOT NULL CHECK (amount_cents > 0),
            fee_cents      bigint NOT NULL DEFAULT 0 CHECK (fee_cents >= 0),
            method         text NOT NULL CHECK (method IN ('paypal', 'solana')),
            address        text NOT NULL,
            provider       text CHECK (provider IN ('paypal', 'solana', 'manual')),
            status         text NOT NULL DEFAULT 'pending' CHECK (status IN
                           ('pending', 'approved', 'submitting', 'submitted', 'unknown', 'paid',
                            'failed', 'rejected', 'returned')),
            attempt        smallint NOT NULL DEFAULT 0 CHECK (attempt >= 0),
            approved_by    text,
            approved_at    timestamptz,
            error          text,
            next_check_at  timestamptz NOT NULL DEFAULT now(),
            taken_until    timestamptz,
            created_at     timestamptz NOT NULL DEFAULT now(),
            ended_at       timestamptz,
            CONSTRAINT pending_is_unseen CHECK (status <> 'pending' OR
                (approved_at IS NULL AND attempt = 0 AND provider IS NULL)),
            CONSTRAINT approved_has_approver CHECK (status IN ('pending', 'rejected') OR
                (approved_at IS NOT NULL AND approved_by IS NOT NULL)),
            CONSTRAINT sent_has_attempt CHECK (
                status NOT IN ('submitting', 'submitted', 'unknown', 'paid', 'returned') OR
                (attempt > 0 AND provider IS NOT NULL)),
            CONSTRAINT ended_has_time CHECK (
                (status IN ('paid', 'failed', 'rejected', 'returned')) = (ended_at IS NOT NULL))
        );
        CREATE INDEX payouts_worker ON payouts (worker_id, id);
        CREATE INDEX payouts_status ON payouts (status, id);
        CREATE INDEX payouts_due ON payouts (next_check_at)
            WHERE status IN ('approved', 'submitting', 'submitted', 'unknown');
        CREATE INDEX payouts_waiting ON payouts (created_at) WHERE status = 'pending';

        -- One try at a provider: written, with its key, before the call is made. What was signed
        -- is sent again as it is, so that a second try can never pay twice.
        CREATE TABLE payout_attempts (
            payout_id     text COLLATE "C" NOT NULL REFERENCES payouts (id),
            attempt       smallint NOT NULL CHECK (attempt > 0),
            provider      text NOT NULL CHECK (provider IN ('paypal', 'solana', 'manual')),
            key           text COLLATE "C" NOT NULL UNIQUE,
            reference     text COLLATE "C",
            signed        bytea,
            valid_until   bigint,
            prepared_at   timestamptz,
            status        text NOT NULL DEFAULT 'started'
                          CHECK (status IN ('started', 'sent', 'paid', 'failed')),
            error         text,
            created_at    timestamptz NOT NULL DEFAULT now(),
            ended_at      timestamptz,
            PRIMARY KEY (payout_id, attempt),
            CONSTRAINT ended_has_time CHECK
                ((status IN ('paid', 'failed')) = (ended_at IS NOT NULL)),
            CONSTRAINT signed_is_prepared CHECK (signed IS NULL OR prepared_at IS NOT NULL)
        );
        CREATE UNIQUE INDEX one_live_attempt ON payout_attempts (payout_id)
            WHERE status IN ('started', 'sent', 'paid');

        -- Which lots a payout was made of, so that money that comes back finds them again.
        CREATE TABLE payout_lots (
            payout_id  text COLLATE "C" NOT NULL REFERENCES payouts (id),
            task_id    text COLLATE "C" NOT NULL REFERENCES earnings (task_id),
            cents      bigint NOT NULL CHECK (cents > 0),
            PRIMARY KEY (payout_id, task_id)
        );
    """)


def _reconciliation() -> None:
    op.execute("""
        -- What a comparison of a rail's own records with the ledger found.
        CREATE TABLE reconciliations (
            id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            rail        text NOT NULL,
            since       timestamptz NOT NULL,
            until       timestamptz NOT NULL,
            matched     int NOT NULL CHECK (matched >= 0),
            findings    jsonb NOT NULL,
            error       text,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX reconciliations_latest ON reconciliations (rail, id);
    """)


def _statements() -> None:
    op.execute("""
        -- The ledger by time: statements of platform accounts, and profit and loss by day. Times
        -- come in order, so it costs a settlement nothing that could be measured (31 us each).
        CREATE INDEX transfers_by_time ON transfers (created_at, id);
        -- What an operator looks for.
        CREATE INDEX webhook_events_failed ON webhook_events (received_at, source, event_id)
            WHERE status = 'failed';
    """)
