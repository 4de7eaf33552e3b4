"""SQL of what belongs to no single module: answers to repeat, and the proof across modules."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, int_array, text_array
from openclaw_jobs.kit.idempotency import ReplayKey, StoredAnswer


async def lock_replay(
    conn: Connection, key: ReplayKey
) -> tuple[bool, tuple[bytes, StoredAnswer] | None]:
    """Be the only transaction that handles this key, and see whether it was answered before.

    Two statements, the second after the first so that it sees what the last holder committed,
    and sent together where the transaction is pipelined.

    Returns:
        Whether nobody else handles the key; the body's hash and the answer of a request before.
    """
    locking = await conn.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
        (f"{key.caller}\n{key.route}\n{key.key}",),
    )
    reading = await conn.execute(
        "SELECT body_hash, status, headers, content FROM idempotency_records"
        " WHERE caller = %s AND route = %s AND key = %s",
        (key.caller, key.route, key.key),
    )
    locked, row = await locking.fetchone(), await reading.fetchone()
    mine = locked is not None and bool(locked[0])
    if row is None:
        return mine, None
    headers = msgspec.json.decode(row[2], type=dict[str, str])
    return mine, (bytes(row[0]), StoredAnswer(status=row[1], headers=headers, content=row[3]))


async def lock_replays(
    conn: Connection, keys: Sequence[ReplayKey]
) -> list[tuple[bool, tuple[bytes, StoredAnswer] | None]]:
    """As `lock_replay`, for several different keys at once; answers in their order."""
    names = [f"{key.caller}\n{key.route}\n{key.key}" for key in keys]
    locking = await conn.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(k.name, 0))"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS k (name, n) ORDER BY n",
        (text_array(names),),
    )
    reading = await conn.execute(
        """
        SELECT r.caller, r.route, r.key, r.body_hash, r.status, r.headers, r.content
        FROM unnest(%s::text[], %s::text[], %s::text[]) AS k (caller, route, key)
        JOIN idempotency_records r ON r.caller = k.caller COLLATE "C"
            AND r.route = k.route COLLATE "C" AND r.key = k.key COLLATE "C"
        """,
        (
            text_array([key.caller for key in keys]),
            text_array([key.route for key in keys]),
            text_array([key.key for key in keys]),
        ),
    )
    locked, rows = await locking.fetchall(), await reading.fetchall()
    stored: dict[tuple[str, str, str], tuple[bytes, StoredAnswer]] = {}
    for caller, route, key, body_hash, status, headers, content in rows:
        answer = StoredAnswer(
            status=status,
            headers=msgspec.json.decode(headers, type=dict[str, str]),
            content=content,
        )
        stored[caller, route, key] = (bytes(body_hash), answer)
    return [
        (bool(row[0]), stored.get((key.caller, key.route, key.key)))
        for row, key in zip(locked, keys, strict=True)
    ]


async def insert_replays(
    conn: Connection, answers: Sequence[tuple[ReplayKey, StoredAnswer]]
) -> None:
    """Keep several answers."""
    await conn.execute(
        """
        INSERT INTO idempotency_records (caller, route, key, body_hash, status, headers, content)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[], %s::smallint[],
            %s::text[], %s::text[])
        """,
        (
            text_array([key.caller for key, _ in answers]),
            text_array([key.route for key, _ in answers]),
            text_array([key.key for key, _ in answers]),
            bytes_array([key.body_hash for key, _ in answers]),
            int_array([answer.status for _, answer in answers]),
            text_array([msgspec.json.encode(answer.headers).decode() for _, answer in answers]),
            text_array([answer.content for _, answer in answers]),
        ),
    )


async def insert_replay(conn: Connection, key: ReplayKey, answer: StoredAnswer) -> None:
    """Keep an answer."""
    await conn.execute(
        "INSERT INTO idempotency_records (caller, route, key, body_hash, status, headers, content)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            key.caller,
            key.route,
            key.key,
            key.body_hash,
            answer.status,
            msgspec.json.encode(answer.headers).decode(),
            answer.content,
        ),
    )


async def delete_replays(conn: Connection, before: datetime, limit: int) -> int:
    """Forget answers that were kept long enough; returns how many."""
    cursor = await conn.execute(
        """
        DELETE FROM idempotency_records WHERE (caller, route, key) IN (
            SELECT caller, route, key FROM idempotency_records WHERE created_at < %s
            ORDER BY created_at LIMIT %s)
        """,
        (before, limit),
    )
    return cursor.rowcount


async def try_job_lock(conn: Connection, name: str) -> bool:
    """Be the only process that runs this periodic job until the transaction ends."""
    cursor = await conn.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 1))", (name,)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def plan_for_whole_tables(conn: Connection) -> None:
    """Give the planner, for this transaction, the choice that `Database` takes from it."""
    await conn.execute(
        "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;"
        " SET LOCAL enable_mergejoin = on; SET LOCAL enable_sort = on"
    )


async def plan_by_index(conn: Connection) -> None:
    """Take it back, for what is read row by row in order."""
    await conn.execute(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;"
        " SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off"
    )


async def begin_snapshot(conn: Connection) -> None:
    """Have a transaction that has only begun read one state of the database, and write nothing."""
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def take_any_time(conn: Connection) -> None:
    """Let the statements of this transaction run for as long as they need."""
    await conn.execute("SET LOCAL statement_timeout = 0")


async def select_violations(conn: Connection, limit: int) -> list[str]:
    """Where tasks, earnings and lifetime sums disagree with the ledger's postings."""
    cursor = await conn.execute(
        """
        WITH escrow AS (
            SELECT owner AS task_id, -sum(amount_cents) AS held FROM postings
            WHERE account = 'escrow:task' GROUP BY owner
        ), wrong_escrow AS (
            SELECT format('task %%s is %%s and has %%s cents in escrow, not %%s',
                coalesce(t.id, e.task_id), coalesce(t.status, 'unknown'), coalesce(e.held, 0),
                CASE WHEN t.status IN ('queued', 'claimed') THEN t.price_cents ELSE 0 END)
            FROM tasks t FULL JOIN escrow e ON e.task_id = t.id
            WHERE coalesce(e.held, 0) <>
                CASE WHEN t.status IN ('queued', 'claimed') THEN t.price_cents ELSE 0 END
        ), paid AS (
            SELECT split_part(tr.key, ':', 2) AS task_id,
                -sum(p.amount_cents) FILTER (WHERE p.account = 'worker:frozen') AS net,
                -sum(p.amount_cents) FILTER (WHERE p.account = 'commission') AS commission
            FROM transfers tr JOIN postings p ON p.transfer_id = tr.id
            WHERE tr.kind = 'settle' GROUP BY tr.key
        ), wrong_earnings AS (
            SELECT format('task %%s: the earning says net %%s and commission %%s, the ledger %%s'
                ' and %%s', coalesce(e.task_id, s.task_id), e.net_cents, e.commission_cents,
                s.net, s.commission)
            FROM earnings e FULL JOIN paid s ON s.task_id = e.task_id
            WHERE coalesce(e.net_cents, -1) <> coalesce(s.net, 0)
                OR coalesce(e.commission_cents, -1) <> coalesce(s.commission, 0)
        ), unpaid AS (
            SELECT format('task %%s is %%s and its earning is %%s',
                t.id, t.status, coalesce(e.status, 'missing'))
            FROM tasks t LEFT JOIN earnings e ON e.task_id = t.id
            WHERE t.status IN ('completed', 'credited', 'credit_review')
                AND (e.task_id IS NULL OR (t.status = 'credited') <> (e.status = 'credited'))
        ), lots AS (
            SELECT worker_id, 'worker:frozen' AS account,
                sum(net_cents) FILTER (WHERE status = 'frozen') AS cents
            FROM earnings GROUP BY worker_id
            UNION ALL SELECT worker_id, 'worker:available', sum(available_cents)
            FROM earnings GROUP BY worker_id
        ), wrong_lots AS (
            SELECT format('worker %%s has lots of %%s cents in %%s and %%s in the ledger',
                b.owner, coalesce(l.cents, 0), b.account, b.balance_cents)
            FROM balances b LEFT JOIN lots l ON l.worker_id = b.owner AND l.account = b.account
            WHERE b.account IN ('worker:frozen', 'worker:available')
                AND b.balance_cents <> coalesce(l.cents, 0)
        ), spent AS (
            SELECT p.owner,
                coalesce(sum(p.amount_cents) FILTER (WHERE t.kind IN ('task_charge',
                    'refund_cancelled', 'refund_failed', 'refund_expired')), 0) AS spent,
                coalesce(-sum(p.amount_cents) FILTER (WHERE t.kind = 'credit'), 0) AS credited
            FROM postings p JOIN transfers t ON t.id = p.transfer_id
            WHERE p.account IN ('buyer:paid', 'buyer:promo')
            GROUP BY p.owner
        ), wrong_totals AS (
            SELECT format('buyer %%s spent %%s and was credited %%s cents by its totals, by the'
                ' ledger %%s and %%s', t.buyer_id, t.spent_cents, t.credited_cents,
                coalesce(s.spent, 0), coalesce(s.credited, 0))
            FROM buyer_totals t LEFT JOIN spent s ON s.owner = t.buyer_id
            WHERE t.spent_cents <> coalesce(s.spent, 0)
                OR t.credited_cents <> coalesce(s.credited, 0)
        )
        SELECT * FROM (
            SELECT * FROM wrong_escrow UNION ALL SELECT * FROM wrong_earnings
            UNION ALL SELECT * FROM unpaid UNION ALL SELECT * FROM wrong_lots
            UNION ALL SELECT * FROM wrong_totals) AS violations LIMIT %s
        """,
        (limit,),
    )
    return [row[0] for row in await cursor.fetchall()]
