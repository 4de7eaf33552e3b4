"""SQL of outcomes and of the records that add them up."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.quality.checks import Outcome
from openclaw_jobs.quality.record import Record


async def insert_outcomes(
    conn: Connection, outcomes: Sequence[Outcome], decided_by: str
) -> set[str]:
    """Keep what was found of results; the tasks of those that were not judged before.

    In the order of the workers, whose rows each new outcome holds until the transaction ends.
    """
    cursor = await conn.execute(
        """
        INSERT INTO outcomes (task_id, worker_id, check_id, bad, decided_by)
        SELECT o.task_id, o.worker_id, o.check_id, o.bad, %s
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::bool[])
            AS o (task_id, worker_id, check_id, bad)
        ORDER BY o.worker_id COLLATE "C", o.task_id
        ON CONFLICT (task_id) DO NOTHING RETURNING task_id
        """,
        (
            decided_by,
            text_array([o.task_id for o in outcomes]),
            text_array([o.worker_id for o in outcomes]),
            text_array([o.check_id for o in outcomes]),
            [o.bad for o in outcomes],
        ),
    )
    return {row[0] for row in await cursor.fetchall()}


async def insert_outcome(conn: Connection, outcome: Outcome, decided_by: str) -> bool:
    """As `insert_outcomes`, of one; whether it was not judged before."""
    return bool(await insert_outcomes(conn, [outcome], decided_by))


async def select_outcome(conn: Connection, task_id: str) -> Outcome | None:
    """What was found of a result."""
    cursor = await conn.execute(
        "SELECT task_id, worker_id, check_id, bad FROM outcomes WHERE task_id = %s", (task_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else Outcome(*row)


async def turn_outcome(
    conn: Connection, task_id: str, *, bad: bool | None, decided_by: str
) -> None:
    """Judge a result otherwise than before; with None it is not judged at all any more."""
    if bad is None:
        await conn.execute("DELETE FROM outcomes WHERE task_id = %s", (task_id,))
        return
    await conn.execute(
        "UPDATE outcomes SET bad = %s, decided_by = %s WHERE task_id = %s",
        (bad, decided_by, task_id),
    )


async def select_outcomes(conn: Connection, worker_id: str) -> list[tuple[datetime, bool]]:
    """All outcomes of a worker in their order: when, and whether bad."""
    cursor = await conn.execute(
        "SELECT created_at, bad FROM outcomes WHERE worker_id = %s ORDER BY created_at, task_id",
        (worker_id,),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def last_reinstatement(conn: Connection, worker_id: str) -> datetime | None:
    """When the worker was let back in last, and its suspicion began anew."""
    cursor = await conn.execute(
        "SELECT max(ended_at) FROM suspensions WHERE worker_id = %s", (worker_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def lock_records(conn: Connection, worker_ids: Sequence[str]) -> dict[str, Record]:
    """Records of workers in id order, locked; one of a worker that was never judged is empty."""
    ids = text_array(worker_ids)
    await conn.execute(
        "INSERT INTO worker_records (worker_id) SELECT id FROM unnest(%s::text[]) AS w (id)"
        " ORDER BY id ON CONFLICT DO NOTHING",
        (ids,),
    )
    cursor = await conn.execute(
        "SELECT worker_id, good, bad, streak, suspicion FROM worker_records"
        " WHERE worker_id = ANY(%s::text[]) ORDER BY worker_id FOR UPDATE",
        (ids,),
    )
    return {row[0]: Record(*row[1:]) for row in await cursor.fetchall()}


async def lock_record(conn: Connection, worker_id: str) -> Record:
    """As `lock_records`, of one worker."""
    return (await lock_records(conn, [worker_id]))[worker_id]


async def update_records(conn: Connection, records: Mapping[str, Record]) -> None:
    """Write records that are locked, by worker."""
    await conn.execute(
        """
        UPDATE worker_records r SET good = c.good, bad = c.bad, streak = c.streak,
            suspicion = c.suspicion
        FROM unnest(%s::text[], %s::int[], %s::int[], %s::int[], %s::float8[])
            AS c (worker_id, good, bad, streak, suspicion)
        WHERE r.worker_id = c.worker_id COLLATE "C"
        """,
        (
            text_array(records),
            int_array([r.good for r in records.values()]),
            int_array([r.bad for r in records.values()]),
            int_array([r.streak for r in records.values()]),
            [r.suspicion for r in records.values()],
        ),
    )


async def update_record(conn: Connection, worker_id: str, record: Record) -> None:
    """As `update_records`, of one worker."""
    await update_records(conn, {worker_id: record})


async def reset_streaks(conn: Connection, worker_ids: Sequence[str]) -> None:
    """End the streaks of workers whose leases ran out; who has none is not touched."""
    await conn.execute(
        """
        WITH locked AS (
            SELECT worker_id FROM worker_records
            WHERE worker_id = ANY(%s::text[]) AND streak > 0 ORDER BY worker_id FOR UPDATE
        )
        UPDATE worker_records r SET streak = 0 FROM locked WHERE r.worker_id = locked.worker_id
        """,
        (text_array(sorted(set(worker_ids))),),
    )
