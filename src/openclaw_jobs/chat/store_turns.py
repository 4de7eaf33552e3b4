"""SQL of turns: what was said, and the tasks that answer it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from openclaw_jobs.chat.models import Answer, AnswerOutline, Sending, Turn, TurnOutline
from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array

_TURNS = """
    SELECT u.id, u.conversation_id, u.seq, u.prompt, u.left_out, u.chosen_task_id, u.created_at,
        t.id, a.seq, t.status, t.category, t.price_cents, r.result, l.progress, t.created_at,
        t.claimed_at, t.completed_at, CASE t.rating WHEN 1 THEN 'up' WHEN -1 THEN 'down' END,
        t.credited_cents, t.queue_rank, c.status,
        EXISTS (SELECT FROM shares s WHERE s.task_id = t.id AND s.revoked_at IS NULL)
    FROM turns u
    JOIN turn_tasks a ON a.turn_id = u.id
    JOIN tasks t ON t.id = a.task_id
    LEFT JOIN task_results r ON r.task_id = t.id
    LEFT JOIN leases l ON l.task_id = t.id
    LEFT JOIN credits c ON c.task_id = t.id
"""
_TURN_COLUMNS = 7


def _turns(rows: Sequence[Sequence[Any]]) -> list[Turn]:
    turns: list[Turn] = []
    for head, group in groupby(rows, key=lambda row: row[:_TURN_COLUMNS]):
        answers = [
            Answer(
                task_id=row[7],
                seq=row[8],
                status=row[9],
                category=row[10],
                price_cents=row[11],
                result=row[12],
                progress=row[13],
                created_at=row[14],
                claimed_at=row[15],
                completed_at=row[16],
                rating=row[17],
                credited_cents=row[18],
                queue_rank=row[19],
                credit=row[20],
                shared=row[21],
            )
            for row in group
        ]
        turns.append(Turn(*(*head, tuple(answers))))
    return turns


async def select_turns(
    conn: Connection, conversation_id: str, *, after: int, before: int
) -> list[Turn]:
    """The turns of a conversation with `after` < number < `before`, in order, with all texts."""
    cursor = await conn.execute(
        _TURNS + "WHERE u.conversation_id = %s AND u.seq > %s AND u.seq < %s ORDER BY u.seq, a.seq",
        (conversation_id, after, before),
    )
    return _turns(await cursor.fetchall())


async def select_turn(conn: Connection, buyer_id: str, turn_id: str) -> Turn | None:
    """A turn of a buyer's own; None for another's as for none."""
    cursor = await conn.execute(
        _TURNS
        + """
        JOIN conversations v ON v.id = u.conversation_id
        WHERE u.id = %s AND v.buyer_id = %s ORDER BY a.seq
        """,
        (turn_id, buyer_id),
    )
    return next(iter(_turns(await cursor.fetchall())), None)


async def select_last_seq(conn: Connection, conversation_id: str) -> int:
    """The number of a conversation's last turn; 0 if it has none."""
    cursor = await conn.execute(
        "SELECT seq FROM turns WHERE conversation_id = %s ORDER BY seq DESC LIMIT 1",
        (conversation_id,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def select_conversation_of(conn: Connection, buyer_id: str, turn_id: str) -> str | None:
    """The conversation that a buyer's own turn stands in."""
    cursor = await conn.execute(
        """
        SELECT v.id FROM turns u JOIN conversations v ON v.id = u.conversation_id
        WHERE u.id = %s AND v.buyer_id = %s
        """,
        (turn_id, buyer_id),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def select_turns_of_task(conn: Connection, buyer_id: str, task_id: str) -> list[Sending]:
    """Where a buyer's task stands; in several places after a fork."""
    cursor = await conn.execute(
        """
        SELECT u.conversation_id, u.id, a.task_id
        FROM turn_tasks a JOIN turns u ON u.id = a.turn_id
        JOIN conversations v ON v.id = u.conversation_id
        WHERE a.task_id = %s AND v.buyer_id = %s ORDER BY u.conversation_id
        """,
        (task_id, buyer_id),
    )
    return [Sending(*row) for row in await cursor.fetchall()]


async def select_outline(conn: Connection, conversation_id: str) -> list[TurnOutline]:
    """All turns of a conversation in order, without their texts."""
    cursor = await conn.execute(
        """
        SELECT u.id, u.seq, octet_length(u.prompt), u.chosen_task_id,
            t.id, a.seq, t.status, octet_length(r.result)
        FROM turns u
        JOIN turn_tasks a ON a.turn_id = u.id
        JOIN tasks t ON t.id = a.task_id
        LEFT JOIN task_results r ON r.task_id = t.id
        WHERE u.conversation_id = %s ORDER BY u.seq, a.seq
        """,
        (conversation_id,),
    )
    rows = await cursor.fetchall()
    return [
        TurnOutline(*(*head, tuple(AnswerOutline(*row[4:]) for row in group)))
        for head, group in groupby(rows, key=lambda row: row[:4])
    ]


async def select_exchanges(
    conn: Connection, pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The texts of turns and of tasks that answer them, in the order of their turns."""
    cursor = await conn.execute(
        """
        SELECT u.prompt, r.result
        FROM unnest(%s::text[], %s::text[]) AS p (turn_id, task_id)
        JOIN turns u ON u.id = p.turn_id COLLATE "C"
        JOIN task_results r ON r.task_id = p.task_id COLLATE "C"
        ORDER BY u.seq
        """,
        (text_array([turn for turn, _ in pairs]), text_array([task for _, task in pairs])),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def select_sending(conn: Connection, send_key: bytes) -> Sending | None:
    """What was made by this very sending before."""
    cursor = await conn.execute(
        """
        SELECT u.conversation_id, a.turn_id, a.task_id
        FROM turn_tasks a JOIN turns u ON u.id = a.turn_id WHERE a.send_key = %s
        """,
        (send_key,),
    )
    row = await cursor.fetchone()
    return None if row is None else Sending(*row)


async def insert_turn(
    conn: Connection, sending: Sending, seq: int, prompt: str, left_out: int, now: datetime
) -> None:
    """Insert what the buyer said; its answer follows."""
    await conn.execute(
        """
        INSERT INTO turns (id, conversation_id, seq, prompt, left_out, words, created_at)
        VALUES (%s, %s, %s, %s, %s, to_tsvector('simple', %s), %s)
        """,
        (sending.turn_id, sending.conversation_id, seq, prompt, left_out, prompt, now),
    )


async def insert_answer(
    conn: Connection, sending: Sending, seq: int, send_key: bytes | None
) -> None:
    """Have a task answer a turn."""
    await conn.execute(
        "INSERT INTO turn_tasks (turn_id, task_id, seq, send_key) VALUES (%s, %s, %s, %s)",
        (sending.turn_id, sending.task_id, seq, send_key),
    )


async def set_chosen(conn: Connection, turn_id: str, task_id: str) -> None:
    """Have one answer stand for its turn."""
    await conn.execute("UPDATE turns SET chosen_task_id = %s WHERE id = %s", (task_id, turn_id))


async def copy_turns(
    conn: Connection, from_id: str, to_id: str, copies: Sequence[tuple[str, str, int]]
) -> None:
    """Copy turns into another conversation, answers and all.

    Args:
        conn: A connection in a transaction.
        from_id: The conversation that they stand in.
        to_id: The other one.
        copies: The turn, the id of its copy, and the copy's number.
    """
    copied = (
        text_array([turn for turn, _, _ in copies]),
        text_array([copy for _, copy, _ in copies]),
        int_array([seq for _, _, seq in copies]),
    )
    await conn.execute(
        """
        INSERT INTO turns (id, conversation_id, seq, prompt, left_out, chosen_task_id, words,
            created_at)
        SELECT c.copy, %s, c.seq, u.prompt, u.left_out, u.chosen_task_id, u.words, u.created_at
        FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS c (turn_id, copy, seq)
        JOIN turns u ON u.id = c.turn_id COLLATE "C" AND u.conversation_id = %s
        """,
        (to_id, *copied, from_id),
    )
    await conn.execute(
        """
        INSERT INTO turn_tasks (turn_id, task_id, seq, words)
        SELECT c.copy, a.task_id, a.seq, a.words
        FROM unnest(%s::text[], %s::text[]) AS c (turn_id, copy)
        JOIN turn_tasks a ON a.turn_id = c.turn_id COLLATE "C"
        """,
        copied[:2],
    )


async def select_input(
    conn: Connection, task_id: str
) -> tuple[str | None, str | None, str, str | None] | None:
    """A task's text, as prompt or as messages in JSON, its category and its lineage."""
    cursor = await conn.execute(
        """
        SELECT i.prompt, i.messages, t.category, t.lineage
        FROM tasks t JOIN task_inputs i ON i.task_id = t.id WHERE t.id = %s
        """,
        (task_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2], row[3])


async def note_readers(conn: Connection, lineage: str, task_ids: Sequence[str]) -> None:
    """Have whoever held one of these tasks be offered none of this lineage."""
    await conn.execute(
        """
        INSERT INTO lineage_readers (lineage, worker_id)
        SELECT DISTINCT %s::text, a.worker_id FROM attempts a WHERE a.task_id = ANY(%s::text[])
        ON CONFLICT DO NOTHING
        """,
        (lineage, text_array(task_ids)),
    )
