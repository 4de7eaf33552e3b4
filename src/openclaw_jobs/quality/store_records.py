"""SQL of outcomes and of the records that add them up."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array
from openclaw_jobs.quality.checks import Outcome
from openclaw_jobs.quality.record import Record


async def insert_outcome(conn: Connection, outcome: Outcome, decided_by: str) -> bool:
    """Keep what was found of a result; False if it was judged before, whatever came of it."""
    cursor = await conn.execute(
        "INSERT INTO outcomes (task_id, worker_id, check_id, bad, decided_by)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (task_id) DO NOTHING",
        (outcome.task_id, outcome.worker_id, outcome.check_id, outcome.bad, decided_by),
    )
    return cursor.rowcount == 1


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


async def lock_record(conn: Connection, worker_id: str) -> Record:
    """A worker's record, locked; one of a worker that was never judged is empty."""
    await conn.execute(
        "INSERT INTO worker_records (worker_id) VALUES (%s) ON CONFLICT DO NOTHING", (worker_id,)
    )
    cursor = await conn.execute(
        "SELECT good, bad, streak, suspicion FROM worker_records WHERE worker_id = %s FOR UPDATE",
        (worker_id,),
    )
    row = await cursor.fetchone()
    return Record() if row is None else Record(*row)


async def update_record(conn: Connection, worker_id: str, record: Record) -> None:
    """Write a record that is locked."""
    await conn.execute(
        "UPDATE worker_records SET good = %s, bad = %s, streak = %s, suspicion = %s"
        " WHERE worker_id = %s",
        (record.good, record.bad, record.streak, record.suspicion, worker_id),
    )


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
