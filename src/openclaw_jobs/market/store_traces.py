"""SQL of the traces under which tasks were posted; written and read only with tracing on."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import bytes_array, text_array
from openclaw_jobs.kit.traceparent import Trace


async def insert_traces(conn: Connection, traces: Sequence[tuple[str, Trace]]) -> None:
    """Keep the trace of each task, but for those of a trace that was kept before."""
    await conn.execute(
        """
        INSERT INTO task_traces (task_id, trace_id, span_id)
        SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bytea[]) ON CONFLICT DO NOTHING
        """,
        (
            text_array([task_id for task_id, _ in traces]),
            bytes_array([trace.trace_id for _, trace in traces]),
            bytes_array([trace.span_id for _, trace in traces]),
        ),
    )


async def select_traces(conn: Connection, task_ids: Sequence[str]) -> dict[str, Trace]:
    """The traces of these tasks, for those that have one."""
    cursor = await conn.execute(
        """
        SELECT t.task_id, t.trace_id, t.span_id FROM unnest(%s::text[]) AS w (id)
        JOIN task_traces t ON t.task_id = w.id COLLATE "C"
        """,
        (text_array(task_ids),),
    )
    return {
        row[0]: Trace(trace_id=bytes(row[1]), span_id=bytes(row[2]))
        for row in await cursor.fetchall()
    }


async def delete_traces(conn: Connection, before: datetime, most: int) -> int:
    """Forget up to `most` traces of tasks that were posted before; how many."""
    cursor = await conn.execute(
        """
        DELETE FROM task_traces WHERE task_id IN (
            SELECT task_id FROM task_traces WHERE created_at < %s LIMIT %s)
        """,
        (before, most),
    )
    return cursor.rowcount
