"""The application role and the double-entry ledger.

Money is held right by the database itself, whatever the application does:

* `postings` of one transfer come in one statement, sum to zero, are numbered 1..n and are
  as many as `transfers.posting_count` says; so nothing can be added to a transfer later.
* A transfer without postings is refused, because both are written by one statement.
* `transfers` and `postings` refuse UPDATE, DELETE and TRUNCATE, for the owner as well.
* `balances` never go below zero, and `ledger_post` moves them by the very postings it writes.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# Roles belong to the whole cluster, so two databases may be migrated at once: each step
# accepts that the other came first. A superuser may take any role and needs no membership.
ROLE = """
DO $$
DECLARE
    membership text := CASE WHEN current_setting('server_version_num')::int >= 160000
                            THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'openclaw_app') THEN
        BEGIN
            CREATE ROLE openclaw_app NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            RAISE DEBUG 'openclaw_app was created by another migration at the same time';
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'openclaw_app', membership) THEN
        BEGIN
            GRANT openclaw_app TO CURRENT_USER;
        EXCEPTION WHEN unique_violation THEN
            RAISE DEBUG 'openclaw_app was granted by another migration at the same time';
        END;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO openclaw_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO openclaw_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO openclaw_app;
"""

TABLES = """
CREATE TABLE transfers (
    id            uuid PRIMARY KEY,
    key           text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    actor         text COLLATE "C",
    posting_count smallint NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT transfers_key_key UNIQUE (key),
    CONSTRAINT transfers_kind_known CHECK (kind IN (
        'signup_bonus', 'operator_grant', 'task_charge', 'settle', 'unfreeze',
        'refund_cancelled', 'refund_failed', 'refund_expired',
        'deposit', 'deposit_fee', 'pack_bonus', 'card_refund', 'bonus_clawback', 'credit',
        'dispute_opened', 'dispute_won', 'dispute_lost', 'stripe_payout', 'rail_top_up',
        'withdrawal', 'payout_paid', 'payout_fee', 'payout_failed', 'payout_rejected',
        'payout_returned')),
    CONSTRAINT transfers_two_sided CHECK (posting_count >= 2)
);
COMMENT ON TABLE transfers IS
    'One business fact that moved money; its unique key makes a replay change nothing.';

CREATE TABLE postings (
    transfer_id  uuid NOT NULL,
    line         smallint NOT NULL,
    account      text COLLATE "C" NOT NULL,
    owner        text COLLATE "C",
    amount_cents bigint NOT NULL,
    PRIMARY KEY (transfer_id, line),
    CONSTRAINT postings_not_zero CHECK (amount_cents <> 0),
    -- The chart of accounts, and whose id the owner of a posting to each account is.
    CONSTRAINT postings_account_owner CHECK (CASE
        WHEN account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer')
            THEN owner IS NOT NULL AND starts_with(owner, 'byr_')
        WHEN account IN ('worker:frozen', 'worker:available', 'receivable:worker')
            THEN owner IS NOT NULL AND starts_with(owner, 'wrk_')
        WHEN account = 'escrow:task'
            THEN owner IS NOT NULL AND starts_with(owner, 'task_')
        WHEN account = 'payout'
            THEN owner IS NOT NULL AND starts_with(owner, 'pay_')
        WHEN account IN (
            'commission', 'owner', 'stripe', 'bank', 'paypal', 'usdc_sol',
            'dispute_receivable', 'dispute_hold', 'expense:promo', 'expense:stripe_fee',
            'expense:payout_fee', 'expense:quality', 'expense:goodwill', 'expense:dispute')
            THEN owner IS NULL
        ELSE false
    END)
);
COMMENT ON TABLE postings IS
    'The lines of a transfer: a debit is positive, a credit is negative, in US cents.';

-- The statement of one buyer or worker. Escrow is found by its task's transfers, and
-- platform accounts are only ever summed as a whole, so neither pays for an index entry.
CREATE INDEX postings_by_owner ON postings (owner, account, transfer_id)
    WHERE account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer',
                      'worker:frozen', 'worker:available', 'receivable:worker');

-- A balance is what the platform owes its owner (credits minus debits), or on a receivable what
-- the owner owes (debits minus credits). It is a cache of the postings, and stands only where
-- money must not go below a floor. Half of each page stays free, so that an update finds room
-- beside the old version and touches no index.
CREATE TABLE balances (
    owner         text COLLATE "C" NOT NULL,
    account       text COLLATE "C" NOT NULL,
    balance_cents bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, account),
    CONSTRAINT balance_floor CHECK (balance_cents >= 0),
    CONSTRAINT balances_account_owner CHECK (CASE
        WHEN account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer')
            THEN starts_with(owner, 'byr_')
        WHEN account IN ('worker:frozen', 'worker:available', 'receivable:worker')
            THEN starts_with(owner, 'wrk_')
        ELSE false
    END)
) WITH (fillfactor = 50);
COMMENT ON TABLE balances IS
    'What is owed to, and by, each buyer and worker, in US cents; never below zero.';

REVOKE ALL ON transfers, postings, balances FROM openclaw_app;
GRANT SELECT, INSERT ON transfers, postings TO openclaw_app;
GRANT SELECT, INSERT, UPDATE ON balances TO openclaw_app;
"""

# The planner settings belong to the guards: their plans are cached for the life of a
# connection, and one made while the tables were small would read them whole for ever after.
GUARDS = """
CREATE FUNCTION ledger_check_postings() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    wrong record;
BEGIN
    SELECT p.transfer_id, p.total, p.lines, p.first, p.last, t.posting_count INTO wrong
    FROM (SELECT transfer_id, sum(amount_cents) AS total, count(*) AS lines,
                 min(line) AS first, max(line) AS last
          FROM fresh GROUP BY transfer_id) AS p
    LEFT JOIN transfers AS t ON t.id = p.transfer_id
    WHERE p.total <> 0 OR p.first <> 1 OR p.last <> p.lines
       OR t.posting_count IS DISTINCT FROM p.lines
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % is not whole and balanced', wrong.transfer_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_balanced',
                  TABLE = 'postings',
                  DETAIL = format('sum %s cents in %s lines numbered %s to %s, declared %s',
                                  wrong.total, wrong.lines, wrong.first, wrong.last,
                                  coalesce(wrong.posting_count::text, 'no transfer'));
    END IF;
    RETURN NULL;
END
$$;

-- Completeness is the other guard's matter: a transfer that has a line has them all.
CREATE FUNCTION ledger_check_transfers() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    empty uuid;
BEGIN
    SELECT t.id INTO empty FROM fresh AS t
    LEFT JOIN postings AS p ON p.transfer_id = t.id AND p.line = 1
    WHERE p.transfer_id IS NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % has no postings', empty
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_have_postings',
                  TABLE = 'transfers',
                  DETAIL = 'A transfer and its postings are written by one statement.';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_append_only',
              TABLE = TG_TABLE_NAME;
END
$$;

CREATE TRIGGER check_postings AFTER INSERT ON postings
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_postings();
CREATE TRIGGER check_transfers AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_transfers();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- Held in every session mode, also under session_replication_role = replica.
ALTER TABLE postings ENABLE ALWAYS TRIGGER check_postings;
ALTER TABLE postings ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE transfers ENABLE ALWAYS TRIGGER check_transfers;
ALTER TABLE transfers ENABLE ALWAYS TRIGGER append_only;
"""

# Posting is one call of one function: a round trip, plans that are made once a connection (and
# by the same planner settings as the guards), and balances that follow from the postings
# themselves. The rows of `balances` are locked in the order of their key before any changes,
# so that two batches wait for each other and never deadlock; a second statement then updates
# what the first has locked, because under READ COMMITTED it sees what was committed meanwhile.
# The pool's sessions avoid sorts; without one the few balances that are moved would be found by
# reading those of everybody in order.
POST = """
CREATE FUNCTION ledger_post(
    ids uuid[], keys text[], kinds text[], actors text[], counts smallint[],
    transfer_ids uuid[], lines smallint[], accounts text[], owners text[], amounts bigint[]
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_sort = on SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    moved_owners   text[] COLLATE "C";
    moved_accounts text[] COLLATE "C";
    moves          bigint[];
    refused        record;
BEGIN
    SELECT array_agg(m.owner), array_agg(m.account), array_agg(m.cents)
    INTO moved_owners, moved_accounts, moves
    FROM (SELECT p.owner COLLATE "C" AS owner, p.account COLLATE "C" AS account,
                 -- A receivable is an asset: its balance grows by debits.
                 sum(CASE WHEN starts_with(p.account, 'receivable:') THEN p.amount
                          ELSE -p.amount END)::bigint AS cents
          FROM unnest(accounts, owners, amounts) AS p (account, owner, amount)
          WHERE p.account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer',
                              'worker:frozen', 'worker:available', 'receivable:worker')
          GROUP BY 1, 2 ORDER BY 1, 2) AS m;

    SELECT count(*), count(*) FILTER (WHERE l.after < 0) AS short INTO refused
    FROM (SELECT b.balance_cents + m.cents AS after
          FROM unnest(moved_owners, moved_accounts, moves) AS m (owner, account, cents)
          JOIN balances AS b ON b.owner = m.owner AND b.account = m.account
          ORDER BY b.owner, b.account
          FOR NO KEY UPDATE OF b) AS l;
    IF refused.short > 0 OR refused.count <> coalesce(cardinality(moves), 0) THEN
        -- A replay is told that it is one, whatever has become of the balance meanwhile.
        SELECT t.key INTO refused FROM transfers AS t WHERE t.key = ANY (keys) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'transfer % is already in the ledger', refused.key
                USING ERRCODE = 'unique_violation', TABLE = 'transfers',
                      CONSTRAINT = 'transfers_key_key',
                      DETAIL = format('Key (key)=(%s) already exists.', refused.key);
        END IF;
        SELECT m.owner, m.account, m.cents, b.balance_cents INTO refused
        FROM unnest(moved_owners, moved_accounts, moves) AS m (owner, account, cents)
        LEFT JOIN balances AS b ON b.owner = m.owner AND b.account = m.account
        WHERE b.owner IS NULL OR b.balance_cents + m.cents < 0
        ORDER BY m.owner, m.account LIMIT 1;
        RAISE EXCEPTION '% of %: % cents cannot move by %', refused.account, refused.owner,
                coalesce(refused.balance_cents::text, 'no balance, so'), refused.cents
            USING ERRCODE = 'check_violation', TABLE = 'balances', DETAIL = to_json(refused),
                  CONSTRAINT = CASE WHEN refused.balance_cents IS NULL
                                    THEN 'balance_missing' ELSE 'balance_floor' END;
    END IF;

    UPDATE balances AS b SET balance_cents = b.balance_cents + m.cents
    FROM unnest(moved_owners, moved_accounts, moves) AS m (owner, account, cents)
    WHERE b.owner = m.owner AND b.account = m.account;

    WITH written AS (
        INSERT INTO transfers (id, key, kind, actor, posting_count)
        SELECT * FROM unnest(ids, keys, kinds, actors, counts))
    INSERT INTO postings (transfer_id, line, account, owner, amount_cents)
    SELECT * FROM unnest(transfer_ids, lines, accounts, owners, amounts);
END
$$;
"""


def upgrade() -> None:
    """Create the application role, the ledger's tables and their guards."""
    op.execute(ROLE)
    op.execute(TABLES)
    op.execute(GUARDS)
    op.execute(POST)


def downgrade() -> None:
    """Refuse: a ledger is never taken away (and the role belongs to the whole cluster)."""
    message = "the ledger is append-only; restore a backup instead of downgrading"
    raise NotImplementedError(message)
