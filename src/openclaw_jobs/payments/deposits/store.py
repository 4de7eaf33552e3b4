"""SQL of deposits and disputes."""

from openclaw_jobs.db import Connection
from openclaw_jobs.payments.deposits.models import Deposit, Dispute, NewDeposit

_DEPOSIT = (
    "SELECT id, buyer_id, pack, cents, bonus_cents, status, session_id, payment_intent_id,"
    " charge_id, fee_cents, refunded_cents, clawed_bonus_cents, fee_attempts, created_at, paid_at"
    " FROM deposits"
)
_DISPUTE = "SELECT id, deposit_id, buyer_id, cents, fee_cents, paid_cents, status FROM disputes"


def _deposit(row: tuple[object, ...]) -> Deposit:
    fields = Deposit.__struct_fields__
    return Deposit(**dict(zip(fields, row, strict=True)))  # type: ignore[arg-type] # a row


async def insert_deposit(conn: Connection, deposit: NewDeposit) -> None:
    """Insert a deposit that Stripe has not been told of yet."""
    await conn.execute(
        "INSERT INTO deposits (id, buyer_id, pack, cents, bonus_cents, request_key)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (
            deposit.deposit_id,
            deposit.buyer_id,
            deposit.pack,
            deposit.cents,
            deposit.bonus_cents,
            deposit.request_key,
        ),
    )


async def select_by_request(conn: Connection, buyer_id: str, request_key: str) -> Deposit | None:
    """The deposit that a request with this key began."""
    cursor = await conn.execute(
        f"{_DEPOSIT} WHERE buyer_id = %s AND request_key = %s", (buyer_id, request_key)
    )
    row = await cursor.fetchone()
    return None if row is None else _deposit(row)


async def forget_request(conn: Connection, deposit_id: str) -> None:
    """Let the request's key be used for another deposit."""
    await conn.execute("UPDATE deposits SET request_key = NULL WHERE id = %s", (deposit_id,))


async def set_session(conn: Connection, deposit_id: str, session_id: str) -> bool:
    """Write down the session of a deposit; False if it has another already."""
    cursor = await conn.execute(
        """
        UPDATE deposits SET session_id = %(session)s,
            status = CASE WHEN session_id IS NULL THEN 'open' ELSE status END
        WHERE id = %(id)s AND (session_id IS NULL OR session_id = %(session)s)
        """,
        {"id": deposit_id, "session": session_id},
    )
    return cursor.rowcount == 1


async def fail_unborn(conn: Connection, deposit_id: str) -> None:
    """End a deposit that Stripe would make no session of."""
    await conn.execute(
        "UPDATE deposits SET status = 'failed', request_key = NULL"
        " WHERE id = %s AND status = 'creating'",
        (deposit_id,),
    )


async def fail_old_unborn(conn: Connection, older_than_seconds: int, limit: int) -> int:
    """End deposits whose creation was never finished; returns how many."""
    cursor = await conn.execute(
        """
        UPDATE deposits SET status = 'failed', request_key = NULL WHERE id IN (
            SELECT id FROM deposits WHERE status = 'creating'
                AND created_at < now() - make_interval(secs => %s)
            ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)
        """,
        (older_than_seconds, limit),
    )
    return cursor.rowcount


async def has_payable(conn: Connection, buyer_id: str, payable_seconds: int) -> bool:
    """Whether a buyer has a deposit that is not paid and still may be.

    One that was begun longer ago is over, whether or not Stripe has told so, unless its page was
    completed and the bank takes its time.
    """
    cursor = await conn.execute(
        """
        SELECT EXISTS (SELECT FROM deposits
            WHERE buyer_id = %s AND status IN ('creating', 'open')
                AND (payment_intent_id IS NOT NULL
                    OR created_at > now() - make_interval(secs => %s)))
        """,
        (buyer_id, payable_seconds),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def lock_deposit(conn: Connection, deposit_id: str) -> Deposit | None:
    """A deposit, held still until the transaction ends."""
    cursor = await conn.execute(f"{_DEPOSIT} WHERE id = %s FOR UPDATE", (deposit_id,))
    row = await cursor.fetchone()
    return None if row is None else _deposit(row)


async def lock_by_session(conn: Connection, session_id: str) -> Deposit | None:
    """The deposit of a Checkout session, held still until the transaction ends."""
    cursor = await conn.execute(f"{_DEPOSIT} WHERE session_id = %s FOR UPDATE", (session_id,))
    row = await cursor.fetchone()
    return None if row is None else _deposit(row)


async def lock_by_charge(
    conn: Connection, charge_id: str | None, payment_intent_id: str | None
) -> Deposit | None:
    """The deposit of a charge or payment, held still until the transaction ends."""
    for column, value in (
        ("payment_intent_id", payment_intent_id),
        ("charge_id", charge_id),
    ):
        if value is None:
            continue
        cursor = await conn.execute(f"{_DEPOSIT} WHERE {column} = %s FOR UPDATE", (value,))
        row = await cursor.fetchone()
        if row is not None:
            return _deposit(row)
    return None


async def is_unborn(conn: Connection, deposit_id: str) -> bool:
    """Whether a deposit's session is not written down yet."""
    cursor = await conn.execute(
        "SELECT EXISTS (SELECT FROM deposits WHERE id = %s AND status = 'creating')",
        (deposit_id,),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def set_payment_intent(
    conn: Connection, deposit_id: str, payment_intent_id: str | None
) -> None:
    """Write down which payment of Stripe's a deposit is."""
    await conn.execute(
        "UPDATE deposits SET payment_intent_id = coalesce(payment_intent_id, %s) WHERE id = %s",
        (payment_intent_id, deposit_id),
    )


async def set_paid(conn: Connection, deposit_id: str) -> None:
    """A deposit is paid, and Stripe is to be asked what it kept."""
    await conn.execute(
        "UPDATE deposits SET status = 'paid', paid_at = now(), fee_due_at = now() WHERE id = %s",
        (deposit_id,),
    )


async def set_unpaid(conn: Connection, deposit_id: str, status: str) -> None:
    """A deposit will not be paid any more: `failed` or `expired`."""
    await conn.execute("UPDATE deposits SET status = %s WHERE id = %s", (status, deposit_id))


async def set_charge(conn: Connection, deposit_id: str, charge_id: str | None) -> None:
    """Write down which charge of Stripe's a deposit is."""
    await conn.execute(
        "UPDATE deposits SET charge_id = coalesce(charge_id, %s) WHERE id = %s",
        (charge_id, deposit_id),
    )


async def set_refunded(
    conn: Connection, deposit_id: str, refunded_cents: int, clawed_bonus_cents: int
) -> None:
    """Write down all that went back, and all of the bonus that was taken back for it."""
    await conn.execute(
        "UPDATE deposits SET refunded_cents = %s, clawed_bonus_cents = %s WHERE id = %s",
        (refunded_cents, clawed_bonus_cents, deposit_id),
    )


async def select_fees_due(conn: Connection, limit: int) -> list[Deposit]:
    """Deposits whose fee is to be asked for now, longest due first."""
    cursor = await conn.execute(
        f"{_DEPOSIT} WHERE fee_due_at <= now() ORDER BY fee_due_at LIMIT %s", (limit,)
    )
    return [_deposit(row) for row in await cursor.fetchall()]


async def set_fee(conn: Connection, deposit_id: str, fee_cents: int) -> None:
    """Stripe has said what it kept."""
    await conn.execute(
        "UPDATE deposits SET fee_cents = %s, fee_due_at = NULL WHERE id = %s",
        (fee_cents, deposit_id),
    )


async def postpone_fee(conn: Connection, deposit_id: str, seconds: int | None) -> None:
    """Ask again in so many seconds; None gives it up."""
    await conn.execute(
        """
        UPDATE deposits SET fee_attempts = fee_attempts + 1,
            fee_due_at = now() + make_interval(secs => %s)
        WHERE id = %s AND fee_cents IS NULL
        """,
        (seconds, deposit_id),
    )


async def select_page(
    conn: Connection, buyer_id: str, before: str | None, limit: int
) -> list[Deposit]:
    """A buyer's deposits with ids under `before`, newest first."""
    cursor = await conn.execute(
        f"{_DEPOSIT} WHERE buyer_id = %(buyer)s"
        " AND (%(before)s::text IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s",
        {"buyer": buyer_id, "before": before, "limit": limit},
    )
    return [_deposit(row) for row in await cursor.fetchall()]


async def select_one(conn: Connection, buyer_id: str, deposit_id: str) -> Deposit | None:
    """A buyer's own deposit; None for another's as for none."""
    cursor = await conn.execute(
        f"{_DEPOSIT} WHERE id = %s AND buyer_id = %s", (deposit_id, buyer_id)
    )
    row = await cursor.fetchone()
    return None if row is None else _deposit(row)


async def lock_dispute(conn: Connection, dispute_id: str) -> Dispute | None:
    """A dispute, held still until the transaction ends."""
    cursor = await conn.execute(f"{_DISPUTE} WHERE id = %s FOR UPDATE", (dispute_id,))
    row = await cursor.fetchone()
    fields = Dispute.__struct_fields__
    return None if row is None else Dispute(**dict(zip(fields, row, strict=True)))


async def insert_dispute(conn: Connection, dispute: Dispute) -> None:
    """Insert a dispute that is open."""
    await conn.execute(
        "INSERT INTO disputes (id, deposit_id, buyer_id, cents, fee_cents, paid_cents, status)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        tuple(getattr(dispute, field) for field in dispute.__struct_fields__),
    )


async def close_dispute(conn: Connection, dispute_id: str, status: str) -> None:
    """A dispute is `won` or `lost`."""
    await conn.execute(
        "UPDATE disputes SET status = %s, closed_at = now() WHERE id = %s", (status, dispute_id)
    )


async def other_open_dispute(conn: Connection, buyer_id: str, dispute_id: str) -> str | None:
    """The oldest open dispute of a buyer but this one."""
    cursor = await conn.execute(
        "SELECT id FROM disputes WHERE buyer_id = %s AND status = 'open' AND id <> %s"
        " ORDER BY opened_at LIMIT 1",
        (buyer_id, dispute_id),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def select_violations(conn: Connection, limit: int) -> list[str]:
    """Where deposits, disputes and lifetime sums disagree with the ledger's postings."""
    cursor = await conn.execute(_VIOLATIONS, {"limit": limit})
    return [row[0] for row in await cursor.fetchall()]


_VIOLATIONS = """
WITH rail AS MATERIALIZED (
    SELECT t.key, t.kind, sum(p.amount_cents) FILTER (WHERE p.account = 'stripe') AS cents
    FROM transfers t JOIN postings p ON p.transfer_id = t.id
    WHERE t.kind IN ('deposit', 'deposit_fee', 'card_refund', 'dispute_opened', 'dispute_won',
        'dispute_lost')
    GROUP BY t.key, t.kind
), refunds AS (
    SELECT split_part(key, ':', 2) AS charge_id, -sum(cents) AS cents FROM rail
    WHERE kind = 'card_refund' GROUP BY 1
), wrong_deposits AS (
    SELECT format('deposit %%s is %%s of %%s cents with a fee of %%s and %%s refunded, in the'
        ' ledger %%s, %%s and %%s', d.id, d.status, d.cents, d.fee_cents, d.refunded_cents,
        coalesce(paid.cents, 0), coalesce(-fee.cents, 0), coalesce(r.cents, 0))
    FROM deposits d
    LEFT JOIN rail paid ON paid.key = 'deposit:' || d.session_id
    LEFT JOIN rail fee ON fee.key = 'deposit_fee:' || d.session_id
    LEFT JOIN refunds r ON r.charge_id = d.charge_id
    WHERE coalesce(paid.cents, 0) <> CASE WHEN d.status = 'paid' THEN d.cents ELSE 0 END
        OR coalesce(-fee.cents, 0) <> coalesce(d.fee_cents, 0)
        OR coalesce(r.cents, 0) <> d.refunded_cents
), wrong_disputes AS (
    SELECT format('dispute %%s is %%s and has %%s transfers', d.id, d.status, count(r.key))
    FROM disputes d LEFT JOIN rail r ON r.key IN
        ('dispute_opened:' || d.id, 'dispute_won:' || d.id, 'dispute_lost:' || d.id)
    GROUP BY d.id
    HAVING count(r.key) FILTER (WHERE r.kind = 'dispute_opened') <> 1
        OR count(r.key) FILTER (WHERE r.kind = 'dispute_won') <> (d.status = 'won')::int
        OR count(r.key) FILTER (WHERE r.kind = 'dispute_lost') <> (d.status = 'lost')::int
), held AS (
    SELECT 'disputes hold ' || o.cents || ' cents, the ledger ' || l.cents
    FROM (SELECT coalesce(sum(cents), 0) AS cents FROM disputes WHERE status = 'open') o,
        (SELECT coalesce(-sum(amount_cents), 0) AS cents FROM postings
            WHERE account = 'dispute_hold') l
    WHERE o.cents <> l.cents
), given AS (
    SELECT p.owner,
        -sum(p.amount_cents) FILTER (WHERE t.kind IN ('deposit', 'card_refund')) AS deposited,
        -sum(p.amount_cents) FILTER (WHERE t.kind IN
            ('signup_bonus', 'operator_grant', 'pack_bonus', 'bonus_clawback')) AS bonus
    FROM postings p JOIN transfers t ON t.id = p.transfer_id
    WHERE p.account IN ('buyer:paid', 'buyer:promo', 'receivable:buyer')
    GROUP BY p.owner
), wrong_totals AS (
    SELECT format('buyer %%s deposited %%s and was given %%s cents by its totals, by the ledger'
        ' %%s and %%s', b.buyer_id, b.deposited_cents, b.bonus_cents,
        coalesce(g.deposited, 0), coalesce(g.bonus, 0))
    FROM buyer_totals b LEFT JOIN given g ON g.owner = b.buyer_id
    WHERE b.deposited_cents <> coalesce(g.deposited, 0) OR b.bonus_cents <> coalesce(g.bonus, 0)
)
SELECT * FROM (
    SELECT * FROM wrong_deposits UNION ALL SELECT * FROM wrong_disputes
    UNION ALL SELECT * FROM held UNION ALL SELECT * FROM wrong_totals) AS violations
LIMIT %(limit)s
"""
