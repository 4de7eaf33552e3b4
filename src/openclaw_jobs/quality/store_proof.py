"""SQL of the proof across checks, their hidden tasks, records and the ledger."""

from openclaw_jobs.db import Connection


async def select_violations(conn: Connection, limit: int) -> list[str]:
    """Where checks disagree with the ledger's postings, with their tasks, or with the records.

    A hidden task was paid for by the platform, whole; it got the price back if the task ended
    without a result or its result was bad, and not otherwise. What a check has spent are its
    tasks that were not refunded. A record adds up its worker's outcomes.
    """
    cursor = await conn.execute(
        """
        WITH hidden AS (
            SELECT id, status, price_cents, check_id FROM tasks WHERE buyer_id IS NULL
        ), posted AS (
            SELECT split_part(t.key, ':', 2) AS task_id,
                coalesce(sum(p.amount_cents) FILTER (WHERE t.kind = 'check_charge'), 0) AS charged,
                coalesce(-sum(p.amount_cents) FILTER (WHERE t.kind = 'check_refund'), 0)
                    AS refunded,
                coalesce(-sum(p.amount_cents) FILTER (WHERE t.kind = 'check_clawback'), 0)
                    AS clawed
            FROM transfers t JOIN postings p ON p.transfer_id = t.id
            WHERE t.kind IN ('check_charge', 'check_refund', 'check_clawback')
                AND p.account = 'expense:quality'
            GROUP BY 1
        ), wrong_hidden AS (
            SELECT format('hidden task %%s is %%s: the platform paid %%s of %%s cents, %%s were'
                ' refunded and %%s clawed back', coalesce(h.id, p.task_id),
                coalesce(h.status, 'unknown'), p.charged, h.price_cents, p.refunded, p.clawed)
            FROM hidden h FULL JOIN posted p ON p.task_id = h.id
            WHERE coalesce(p.charged, 0) <> coalesce(h.price_cents, -1)
                OR coalesce(p.refunded, 0) <> CASE WHEN h.status IN ('failed', 'expired',
                    'cancelled') THEN h.price_cents ELSE 0 END
                OR coalesce(p.clawed, 0) <>
                    CASE WHEN h.status = 'credited' THEN h.price_cents ELSE 0 END
        ), cost AS (
            SELECT check_id, sum(price_cents) FILTER (WHERE status NOT IN ('failed', 'expired',
                'cancelled')) AS cents
            FROM hidden GROUP BY check_id
        ), wrong_spent AS (
            SELECT format('check %%s says that it spent %%s cents, its tasks cost %%s',
                coalesce(c.id, s.check_id), c.spent_cents, coalesce(s.cents, 0))
            FROM checks c FULL JOIN cost s ON s.check_id = c.id
            WHERE coalesce(c.spent_cents, -1) <> coalesce(s.cents, 0)
        ), wrong_stages AS (
            SELECT format('check %%s is over and has %%s cents reserved', id, reserved_cents)
            FROM checks WHERE stage IN ('decided', 'void') AND reserved_cents <> 0
        ), found AS (
            SELECT worker_id, count(*) FILTER (WHERE NOT bad) AS good,
                count(*) FILTER (WHERE bad) AS bad
            FROM outcomes GROUP BY worker_id
        ), wrong_records AS (
            SELECT format('the record of worker %%s has %%s good and %%s bad, its outcomes %%s'
                ' and %%s', coalesce(r.worker_id, f.worker_id), r.good, r.bad, f.good, f.bad)
            FROM worker_records r FULL JOIN found f ON f.worker_id = r.worker_id
            WHERE coalesce(r.good, 0) <> coalesce(f.good, 0)
                OR coalesce(r.bad, 0) <> coalesce(f.bad, 0)
        )
        SELECT * FROM (
            SELECT * FROM wrong_hidden UNION ALL SELECT * FROM wrong_spent
            UNION ALL SELECT * FROM wrong_stages UNION ALL SELECT * FROM wrong_records
        ) AS violations LIMIT %s
        """,
        (limit,),
    )
    return [row[0] for row in await cursor.fetchall()]
