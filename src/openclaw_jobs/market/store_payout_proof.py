"""SQL of the proof across payouts, the lots that they are made of, and the ledger."""

from openclaw_jobs.db import Connection


async def select_violations(conn: Connection, limit: int) -> list[str]:
    """Where payouts disagree with the ledger's postings or with their lots.

    A payout's account holds its amount exactly while it is under way. Its lots make up its amount
    while it is under way or paid, and no lot has given more or less than that to payouts.
    """
    cursor = await conn.execute(
        """
        WITH held AS (
            SELECT owner AS payout_id, -sum(amount_cents) AS cents FROM postings
            WHERE account = 'payout' GROUP BY owner
        ), wanted AS (
            SELECT id, status, amount_cents,
                status IN ('pending', 'approved', 'submitting', 'submitted', 'unknown') AS live,
                status NOT IN ('failed', 'rejected', 'returned') AS withdrawn
            FROM payouts
        ), wrong_payouts AS (
            SELECT format('payout %%s is %%s and has %%s cents set aside, not %%s',
                coalesce(w.id, h.payout_id), coalesce(w.status, 'unheard of'),
                coalesce(h.cents, 0), CASE WHEN w.live THEN w.amount_cents ELSE 0 END)
            FROM wanted w FULL JOIN held h ON h.payout_id = w.id
            WHERE coalesce(h.cents, 0) <> CASE WHEN w.live THEN w.amount_cents ELSE 0 END
        ), made AS (
            SELECT payout_id, sum(cents) AS cents FROM payout_lots GROUP BY payout_id
        ), wrong_sums AS (
            SELECT format('payout %%s of %%s cents is made of lots of %%s', w.id, w.amount_cents,
                coalesce(m.cents, 0))
            FROM wanted w LEFT JOIN made m ON m.payout_id = w.id
            WHERE w.withdrawn AND coalesce(m.cents, 0) <> w.amount_cents
        ), taken AS (
            SELECT l.task_id, sum(l.cents) AS cents
            FROM payout_lots l JOIN wanted w ON w.id = l.payout_id
            WHERE w.withdrawn GROUP BY l.task_id
        ), wrong_lots AS (
            SELECT format('the lot of task %%s has %%s cents withdrawn, its payouts say %%s',
                e.task_id, e.withdrawn_cents, coalesce(t.cents, 0))
            FROM earnings e LEFT JOIN taken t ON t.task_id = e.task_id
            WHERE e.withdrawn_cents <> coalesce(t.cents, 0)
        ), paid AS (
            SELECT split_part(tr.key, ':', 2) AS payout_id,
                sum(p.amount_cents) FILTER (WHERE p.account = 'payout') AS cents
            FROM transfers tr JOIN postings p ON p.transfer_id = tr.id
            WHERE tr.kind = 'payout_paid' GROUP BY tr.key
        ), wrong_ends AS (
            SELECT format('payout %%s is %%s, by the ledger %%s cents of it were paid',
                w.id, w.status, coalesce(d.cents, 0))
            FROM wanted w LEFT JOIN paid d ON d.payout_id = w.id
            WHERE coalesce(d.cents, 0) <>
                CASE WHEN w.status IN ('paid', 'returned') THEN w.amount_cents ELSE 0 END
        )
        SELECT * FROM (
            SELECT * FROM wrong_payouts UNION ALL SELECT * FROM wrong_sums
            UNION ALL SELECT * FROM wrong_lots UNION ALL SELECT * FROM wrong_ends
        ) AS violations LIMIT %s
        """,
        (limit,),
    )
    return [row[0] for row in await cursor.fetchall()]
