"""SQL of searches in conversations, of shared results, and of taking everything away."""

from datetime import datetime

from openclaw_jobs.chat.models import Found, Share, SharedResult
from openclaw_jobs.db import Connection

# ------------------------------------------------------------------------------------------ search


async def learn_words(conn: Connection, buyer_id: str, limit: int) -> int:
    """Note the words of results that came since the last search; returns of how many."""
    cursor = await conn.execute(
        """
        UPDATE turn_tasks a SET words = to_tsvector('simple', r.result)
        FROM task_results r WHERE r.task_id = a.task_id AND (a.turn_id, a.seq) IN (
            SELECT n.turn_id, n.seq
            FROM conversations v JOIN turns u ON u.conversation_id = v.id
            JOIN turn_tasks n ON n.turn_id = u.id
            JOIN task_results d ON d.task_id = n.task_id
            WHERE v.buyer_id = %s AND v.deleted_at IS NULL AND n.words IS NULL
            LIMIT %s FOR UPDATE OF n SKIP LOCKED)
        """,
        (buyer_id, limit),
    )
    return cursor.rowcount


async def search(conn: Connection, buyer_id: str, query: str, limit: int) -> list[Found]:
    """Where the words of a tsquery stand, each conversation once: in its title, else in its texts.

    Only this buyer's own rows are read.
    """
    cursor = await conn.execute(
        """
        WITH wanted AS (SELECT to_tsquery('simple', %(query)s) AS query), found AS (
            SELECT DISTINCT ON (v.updated_at, v.id) v.id, v.title, v.updated_at,
                CASE WHEN hit.kind = 1 THEN NULL ELSE hit.seq END AS seq, hit.kind, hit.turn_id,
                hit.task_id
            FROM conversations v, wanted w, LATERAL (
                SELECT 1 AS kind, 0 AS seq, NULL::text AS turn_id, NULL::text AS task_id
                WHERE to_tsvector('simple', v.title) @@ w.query
                UNION ALL
                SELECT 2, u.seq, u.id, NULL FROM turns u
                WHERE u.conversation_id = v.id AND u.words @@ w.query
                UNION ALL
                SELECT 3, u.seq, u.id, a.task_id FROM turns u JOIN turn_tasks a ON a.turn_id = u.id
                WHERE u.conversation_id = v.id AND a.words @@ w.query
            ) AS hit
            WHERE v.buyer_id = %(buyer)s AND v.deleted_at IS NULL
            ORDER BY v.updated_at DESC, v.id DESC, hit.kind, hit.seq DESC
            LIMIT %(limit)s
        )
        SELECT f.id, f.title, f.updated_at, f.seq,
            CASE f.kind WHEN 1 THEN 'title' WHEN 2 THEN 'prompt' ELSE 'result' END,
            CASE f.kind WHEN 1 THEN f.title WHEN 2 THEN u.prompt ELSE r.result END
        FROM found f
        LEFT JOIN turns u ON u.id = f.turn_id
        LEFT JOIN task_results r ON r.task_id = f.task_id
        ORDER BY f.updated_at DESC, f.id DESC
        """,
        {"buyer": buyer_id, "query": query, "limit": limit},
    )
    return [Found(*row) for row in await cursor.fetchall()]


# ------------------------------------------------------------------------------------------ shares


async def insert_share(conn: Connection, buyer_id: str, share: Share, token_hash: bytes) -> None:
    """Keep a link in force."""
    await conn.execute(
        "INSERT INTO shares (id, token_hash, buyer_id, task_id, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (share.share_id, token_hash, buyer_id, share.task_id, share.created_at),
    )


async def revoke_shares(conn: Connection, buyer_id: str, task_id: str, now: datetime) -> int:
    """End all links to a buyer's own result; returns how many there were."""
    cursor = await conn.execute(
        "UPDATE shares SET revoked_at = %s"
        " WHERE task_id = %s AND buyer_id = %s AND revoked_at IS NULL",
        (now, task_id, buyer_id),
    )
    return cursor.rowcount


async def select_shares(conn: Connection, buyer_id: str, task_id: str) -> list[Share]:
    """The links to a buyer's own result that are in force."""
    cursor = await conn.execute(
        "SELECT id, task_id, created_at FROM shares"
        " WHERE task_id = %s AND buyer_id = %s AND revoked_at IS NULL ORDER BY id",
        (task_id, buyer_id),
    )
    return [Share(*row) for row in await cursor.fetchall()]


async def select_shared(conn: Connection, token_hash: bytes) -> SharedResult | None:
    """What a link that is in force leads to."""
    cursor = await conn.execute(
        """
        SELECT r.result, t.category, t.completed_at
        FROM shares s JOIN tasks t ON t.id = s.task_id JOIN task_results r ON r.task_id = t.id
        WHERE s.token_hash = %s AND s.revoked_at IS NULL
        """,
        (token_hash,),
    )
    row = await cursor.fetchone()
    return None if row is None else SharedResult(*row)


async def has_result(conn: Connection, buyer_id: str, task_id: str) -> bool | None:
    """Whether a buyer's own task has a result; None if there is no such task."""
    cursor = await conn.execute(
        """
        SELECT r.task_id IS NOT NULL FROM tasks t
        LEFT JOIN task_results r ON r.task_id = t.id WHERE t.id = %s AND t.buyer_id = %s
        """,
        (task_id, buyer_id),
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])


# --------------------------------------------------------------------------------------- the whole


async def erase(conn: Connection, buyer_id: str, now: datetime) -> None:
    """Take away all that a buyer wrote here, and end its links; for who deletes the account."""
    mine = {"buyer": buyer_id, "now": now}
    await conn.execute(
        """
        DELETE FROM turn_tasks WHERE turn_id IN (
            SELECT u.id FROM turns u JOIN conversations v ON v.id = u.conversation_id
            WHERE v.buyer_id = %(buyer)s)
        """,
        mine,
    )
    await conn.execute(
        """
        DELETE FROM turns WHERE conversation_id IN (
            SELECT id FROM conversations WHERE buyer_id = %(buyer)s)
        """,
        mine,
    )
    await conn.execute("DELETE FROM drafts WHERE buyer_id = %(buyer)s", mine)
    await conn.execute(
        "UPDATE conversations SET title = '', deleted_at = coalesce(deleted_at, %(now)s)"
        " WHERE buyer_id = %(buyer)s",
        mine,
    )
    await conn.execute(
        "UPDATE shares SET revoked_at = %(now)s WHERE buyer_id = %(buyer)s AND revoked_at IS NULL",
        mine,
    )
