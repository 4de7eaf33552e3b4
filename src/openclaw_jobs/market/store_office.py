"""SQL of what an operator's pages show and the rest of the marketplace has no use for."""

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.quality.record import Record
from openclaw_jobs.quality.standing import Suspension

_SUSPENSION = ", ".join(f"s.{name}" for name in Suspension.__struct_fields__[1:])


class Todo(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits for an operator.

    Attributes:
        payouts: Payouts that wait for approval.
        unknown: Payouts of which nobody knows whether they were paid.
        credits: Demands for money back.
        appeals: Suspended workers that have said something to it.
        webhooks: Events of providers that could not be worked.
        findings: What the latest comparisons with rails found.
    """

    payouts: int
    unknown: int
    credits: int
    appeals: int
    webhooks: int
    findings: int


async def count_todo(conn: Connection, findings: int) -> Todo:
    """What waits, but for the findings, which the caller knows."""
    cursor = await conn.execute(
        """
        SELECT (SELECT count(*) FROM payouts WHERE status = 'pending'),
            (SELECT count(*) FROM payouts WHERE status = 'unknown'),
            (SELECT count(*) FROM credits WHERE status = 'review'),
            (SELECT count(*) FROM suspensions WHERE appealed_at IS NOT NULL AND decided_at IS NULL),
            (SELECT count(*) FROM webhook_events WHERE status = 'failed')
        """
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("a SELECT of counts has a row")
    return Todo(**dict(zip(Todo.__struct_fields__, (*row, findings), strict=True)))


async def select_record(conn: Connection, worker_id: str) -> Record:
    """What checks have found of a worker."""
    cursor = await conn.execute(
        "SELECT good, bad, streak, suspicion FROM worker_records WHERE worker_id = %s",
        (worker_id,),
    )
    row = await cursor.fetchone()
    return Record() if row is None else Record(*row)


async def select_suspensions(conn: Connection, worker_id: str, limit: int) -> list[Suspension]:
    """The suspensions of a worker, newest first."""
    cursor = await conn.execute(
        f"SELECT s.id, {_SUSPENSION} FROM suspensions s"  # noqa: S608 - own columns
        " WHERE s.worker_id = %s ORDER BY s.started_at DESC LIMIT %s",
        (worker_id, limit),
    )
    return [Suspension(*row) for row in await cursor.fetchall()]


async def select_names(conn: Connection, user_ids: list[str]) -> dict[str, str]:
    """The addresses of users, by id."""
    cursor = await conn.execute(
        "SELECT id, email FROM users WHERE id = ANY(%s::text[])", (user_ids,)
    )
    return dict(await cursor.fetchall())
