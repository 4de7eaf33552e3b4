"""SQL about all that belongs to one person, over the tables of several modules."""

from collections.abc import Mapping
from typing import Any, Final

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import text_array

EXPORTS: Final[Mapping[str, str]] = {
    "sessions": """
        SELECT s.id, json_build_object('id', s.id, 'user_agent', s.user_agent,
            'created_at', s.created_at, 'seen_at', s.seen_at, 'expires_at', s.expires_at,
            'revoked_at', s.revoked_at)::text
        FROM sessions s WHERE s.user_id = %(user)s AND s.id > %(after)s
        ORDER BY s.id LIMIT %(limit)s
        """,
    "api_keys": """
        SELECT k.id, json_build_object('id', k.id, 'name', k.name, 'created_at', k.created_at,
            'revoked_at', k.revoked_at)::text
        FROM api_keys k WHERE k.buyer_id = %(buyer)s AND k.id > %(after)s
        ORDER BY k.id LIMIT %(limit)s
        """,
    "deposits": """
        SELECT d.id, json_build_object('id', d.id, 'pack', d.pack, 'cents', d.cents,
            'bonus_cents', d.bonus_cents, 'status', d.status, 'refunded_cents', d.refunded_cents,
            'created_at', d.created_at, 'paid_at', d.paid_at)::text
        FROM deposits d WHERE d.buyer_id = %(buyer)s AND d.id > %(after)s
        ORDER BY d.id LIMIT %(limit)s
        """,
    "tasks": """
        SELECT t.id, json_build_object('id', t.id, 'status', t.status, 'category', t.category,
            'price_cents', t.price_cents, 'credited_cents', t.credited_cents,
            'rating', CASE t.rating WHEN 1 THEN 'up' WHEN -1 THEN 'down' END,
            'prompt', i.prompt, 'messages', i.messages::json, 'metadata', i.metadata::json,
            'result', r.result, 'credit_reason', c.reason, 'conversation_id', t.conversation_id,
            'created_at', t.created_at, 'claimed_at', t.claimed_at,
            'completed_at', t.completed_at)::text
        FROM tasks t
        JOIN task_inputs i ON i.task_id = t.id
        LEFT JOIN task_results r ON r.task_id = t.id
        LEFT JOIN credits c ON c.task_id = t.id
        WHERE t.buyer_id = %(buyer)s AND t.id > %(after)s
        ORDER BY t.id LIMIT %(limit)s
        """,
    "conversations": """
        SELECT v.id, json_build_object('id', v.id, 'title', v.title, 'category', v.category,
            'created_at', v.created_at, 'updated_at', v.updated_at)::text
        FROM conversations v
        WHERE v.buyer_id = %(buyer)s AND v.deleted_at IS NULL AND v.id > %(after)s
        ORDER BY v.id LIMIT %(limit)s
        """,
    "turns": """
        SELECT u.id, json_build_object('id', u.id, 'conversation_id', u.conversation_id,
            'prompt', u.prompt, 'task_ids', (
                SELECT json_agg(a.task_id ORDER BY a.seq) FROM turn_tasks a WHERE a.turn_id = u.id
            ), 'created_at', u.created_at)::text
        FROM turns u JOIN conversations v ON v.id = u.conversation_id
        WHERE v.buyer_id = %(buyer)s AND v.deleted_at IS NULL AND u.id > %(after)s
        ORDER BY u.id LIMIT %(limit)s
        """,
    "shared_links": """
        SELECT s.id, json_build_object('id', s.id, 'task_id', s.task_id,
            'created_at', s.created_at, 'revoked_at', s.revoked_at)::text
        FROM shares s WHERE s.buyer_id = %(buyer)s AND s.id > %(after)s
        ORDER BY s.id LIMIT %(limit)s
        """,
}
"""What a person may take away, part by part: an id to go on after, and a JSON object."""


async def export_page(
    conn: Connection, part: str, user_id: str, buyer_id: str, after: str, limit: int
) -> list[tuple[str, str]]:
    """A page of one of `EXPORTS`, in the order of its ids."""
    cursor = await conn.execute(
        EXPORTS[part], {"user": user_id, "buyer": buyer_id, "after": after, "limit": limit}
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def lock_buyer(conn: Connection, buyer_id: str) -> bool | None:
    """Hold a buyer until the transaction ends; whether it is suspended, None if there is none."""
    cursor = await conn.execute(
        "SELECT suspended_at IS NOT NULL FROM buyers WHERE id = %s FOR UPDATE", (buyer_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])


async def is_kept(conn: Connection, buyer_id: str) -> bool:
    """Whether a buyer's account is not deleted, and is not until the transaction ends."""
    await conn.execute("SELECT FROM buyers WHERE id = %s FOR KEY SHARE", (buyer_id,))
    # A statement of its own: only now is seen what was waited for.
    cursor = await conn.execute(
        "SELECT u.deleted_at IS NULL FROM buyers b JOIN users u ON u.id = b.user_id"
        " WHERE b.id = %s",
        (buyer_id,),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def count_open_tasks(conn: Connection, buyer_id: str) -> int:
    """How many of a buyer's tasks have not come to their end."""
    cursor = await conn.execute(
        "SELECT count(*) FROM tasks"
        " WHERE buyer_id = %s AND status IN ('queued', 'claimed', 'credit_review')",
        (buyer_id,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def select_shares_texts(conn: Connection, buyer_id: str) -> bool:
    """Whether a buyer lets good tasks become tests."""
    cursor = await conn.execute("SELECT shares_texts FROM buyers WHERE id = %s", (buyer_id,))
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def update_shares_texts(conn: Connection, buyer_id: str, *, shares: bool) -> None:
    """Set whether a buyer lets good tasks become tests."""
    await conn.execute("UPDATE buyers SET shares_texts = %s WHERE id = %s", (shares, buyer_id))


async def retire_golds_of(conn: Connection, buyer_id: str) -> None:
    """Let no text of a buyer be a test any more, and keep none of it.

    The checks by them that are under way end first, with nobody blamed: there is nothing left to
    judge by. Checks are locked before gold tasks by everybody.
    """
    await conn.execute(
        """
        WITH open AS (
            SELECT c.id FROM checks c
            WHERE c.id = ANY(ARRAY(SELECT x.id FROM golds g JOIN checks x ON x.gold_id = g.id
                    WHERE g.buyer_id = %s)) AND c.stage NOT IN ('decided', 'void')
            ORDER BY c.id FOR UPDATE
        )
        UPDATE checks c SET stage = 'void', reason = 'a text was erased', reserved_cents = 0,
            decided_at = now()
        FROM open WHERE c.id = open.id
        """,
        (buyer_id,),
    )
    await conn.execute(
        """
        UPDATE golds SET prompt = '-', messages = NULL, answers = '{-}', buyer_id = NULL,
            erased_at = now(), retired_at = coalesce(retired_at, now())
        WHERE buyer_id = %s
        """,
        (buyer_id,),
    )


async def revoke_keys_of(conn: Connection, buyer_id: str) -> None:
    """Revoke all keys of a buyer, and forget what they were called."""
    await conn.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()), name = NULL"
        " WHERE buyer_id = %s",
        (buyer_id,),
    )


async def forget_events_of(conn: Connection, buyer_id: str) -> None:
    """Delete what was told a buyer, and what its requests were answered with."""
    await conn.execute("DELETE FROM events WHERE buyer_id = %s", (buyer_id,))
    await conn.execute("DELETE FROM idempotency_records WHERE caller = %s", (buyer_id,))


async def select_unerased(conn: Connection, limit: int) -> list[tuple[str, str]]:
    """Deleted users, with their buyers, of whom there may still be texts."""
    cursor = await conn.execute(
        """
        SELECT u.id, b.id FROM users u JOIN buyers b ON b.user_id = u.id
        WHERE u.deleted_at IS NOT NULL AND u.erased_at IS NULL ORDER BY u.deleted_at LIMIT %s
        """,
        (limit,),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def pick_texts(conn: Connection, buyer_id: str, limit: int) -> list[str]:
    """Some tasks of a buyer that still have their texts; the checks of them end, void.

    A task of which a copy is under way waits: whoever has that could not go on without its text.
    """
    cursor = await conn.execute(
        """
        SELECT t.id FROM tasks t JOIN task_inputs i ON i.task_id = t.id
        WHERE t.buyer_id = %(buyer)s AND i.erased_at IS NULL
            AND t.status NOT IN ('queued', 'claimed', 'credit_review')
            AND NOT EXISTS (
                SELECT FROM checks c
                JOIN tasks x ON x.id IN (c.copy_task_id, c.arbiter_task_id)
                WHERE c.original_task_id = t.id AND x.status IN ('queued', 'claimed'))
        ORDER BY t.id LIMIT %(limit)s
        """,
        {"buyer": buyer_id, "limit": limit},
    )
    picked = [row[0] for row in await cursor.fetchall()]
    await conn.execute(
        """
        WITH open AS (
            SELECT c.id FROM checks c WHERE c.id = ANY(ARRAY(
                    SELECT id FROM checks WHERE original_task_id = ANY(%s::text[])))
                AND c.stage NOT IN ('decided', 'void')
            ORDER BY c.id FOR UPDATE
        )
        UPDATE checks c SET stage = 'void', reason = 'a text was erased', reserved_cents = 0,
            decided_at = now()
        FROM open WHERE c.id = open.id
        """,
        (text_array(picked),),
    )
    return picked


async def select_copies_with_texts(conn: Connection, buyer_id: str) -> list[tuple[str, bool]]:
    """The hidden tasks that still have a text of a buyer, and whether each is over and judged."""
    cursor = await conn.execute(
        """
        WITH mine AS (
            SELECT id FROM tasks WHERE buyer_id = %s
        ), looked AS (
            SELECT c.stage, c.copy_task_id, c.arbiter_task_id FROM checks c
            JOIN mine m ON c.original_task_id = m.id
            UNION ALL
            SELECT c.stage, c.copy_task_id, c.arbiter_task_id FROM checks c
            JOIN golds g ON c.gold_id = g.id JOIN mine m ON g.origin_task_id = m.id
        )
        SELECT t.id, t.status NOT IN ('queued', 'claimed') AND stage IN ('decided', 'void')
        FROM looked
        CROSS JOIN LATERAL (VALUES (copy_task_id), (arbiter_task_id)) AS x (id)
        JOIN tasks t ON t.id = x.id JOIN task_inputs i ON i.task_id = t.id
        WHERE i.erased_at IS NULL ORDER BY t.id
        """,
        (buyer_id,),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def has_texts(conn: Connection, buyer_id: str) -> bool:
    """Whether any task of a buyer still has its text."""
    cursor = await conn.execute(
        """
        SELECT EXISTS (SELECT FROM tasks t JOIN task_inputs i ON i.task_id = t.id
            WHERE t.buyer_id = %s AND i.erased_at IS NULL)
        """,
        (buyer_id,),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def mark_erased(conn: Connection, user_id: str) -> None:
    """Note that nothing of a deleted user is left to be erased."""
    await conn.execute("UPDATE users SET erased_at = now() WHERE id = %s", (user_id,))


async def select_person(conn: Connection, user_id: str) -> dict[str, Any] | None:
    """A user with what it is as a buyer, for the head of an export; times as text."""
    cursor = await conn.execute(
        """
        SELECT json_build_object('id', u.id, 'email', u.email, 'name', u.name,
            'created_at', u.created_at, 'is_operator', u.is_operator, 'buyer_id', b.id,
            'shares_texts', b.shares_texts, 'suspended_reason', b.suspended_reason,
            'signs_in_with', (SELECT json_agg(json_build_object('provider', e.provider,
                'subject', e.subject, 'since', e.created_at)) FROM external_identities e
                WHERE e.user_id = u.id))
        FROM users u LEFT JOIN buyers b ON b.user_id = u.id WHERE u.id = %s
        """,
        (user_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else dict(row[0])
