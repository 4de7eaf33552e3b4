"""SQL of conversations and of what is being written in them."""

from datetime import datetime

from openclaw_jobs.chat.models import Conversation, Draft, Place
from openclaw_jobs.db import Connection

# Advisory locks of two keys: this one is the chat's, the other is of the buyer's id.
_CHAT_LOCK_SPACE = 0x63686174  # "chat"

_CONVERSATION = "id, title, category, forked_from, created_at, updated_at"


# ---------------------------------------------------------------------------------- conversations


async def wait_for_chat(conn: Connection, buyer_id: str) -> None:
    """Let one transaction at a time change this buyer's conversations; held until it ends."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_CHAT_LOCK_SPACE, buyer_id)
    )


async def insert_conversation(conn: Connection, buyer_id: str, conversation: Conversation) -> None:
    """Insert a conversation that has no turns yet."""
    await conn.execute(
        f"INSERT INTO conversations (buyer_id, {_CONVERSATION})"  # noqa: S608 - own column list
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            buyer_id,
            *(getattr(conversation, field) for field in conversation.__struct_fields__),
        ),
    )


async def select_conversation(
    conn: Connection, buyer_id: str, conversation_id: str
) -> Conversation | None:
    """A buyer's own conversation; None for another's as for none."""
    cursor = await conn.execute(
        f"SELECT {_CONVERSATION} FROM conversations"  # noqa: S608 - own column list
        " WHERE id = %s AND buyer_id = %s AND deleted_at IS NULL",
        (conversation_id, buyer_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Conversation(*row)


async def select_conversations(
    conn: Connection, buyer_id: str, after: Place | None, limit: int
) -> list[Conversation]:
    """A buyer's conversations behind `after`, the last used first."""
    cursor = await conn.execute(
        f"""
        SELECT {_CONVERSATION} FROM conversations
        WHERE buyer_id = %(buyer)s AND deleted_at IS NULL
            AND (%(id)s::text IS NULL OR (updated_at, id) < (%(at)s, %(id)s))
        ORDER BY updated_at DESC, id DESC LIMIT %(limit)s
        """,  # noqa: S608 - own column list
        {
            "buyer": buyer_id,
            "at": after and after.updated_at,
            "id": after and after.conversation_id,
            "limit": limit,
        },
    )
    return [Conversation(*row) for row in await cursor.fetchall()]


async def touch_conversation(
    conn: Connection, conversation_id: str, category: str, now: datetime
) -> None:
    """Move a conversation to the top."""
    await conn.execute(
        "UPDATE conversations SET category = %s, updated_at = %s WHERE id = %s",
        (category, now, conversation_id),
    )


async def set_title(conn: Connection, buyer_id: str, conversation_id: str, title: str) -> bool:
    """Rename a buyer's own conversation; False if there is none such."""
    cursor = await conn.execute(
        "UPDATE conversations SET title = %s"
        " WHERE id = %s AND buyer_id = %s AND deleted_at IS NULL RETURNING id",
        (title, conversation_id, buyer_id),
    )
    return await cursor.fetchone() is not None


async def delete_conversation(
    conn: Connection, buyer_id: str, conversation_id: str, now: datetime
) -> bool:
    """Delete what was said in a buyer's own conversation; False if there is none such.

    Links to results that stand in no other conversation of the buyer are revoked.
    """
    cursor = await conn.execute(
        "UPDATE conversations SET title = '', deleted_at = %s"
        " WHERE id = %s AND buyer_id = %s AND deleted_at IS NULL RETURNING id",
        (now, conversation_id, buyer_id),
    )
    if await cursor.fetchone() is None:
        return False
    await conn.execute(
        """
        WITH gone AS (
            DELETE FROM turn_tasks WHERE turn_id IN (
                SELECT id FROM turns WHERE conversation_id = %(conversation)s)
            RETURNING turn_id, task_id
        )
        UPDATE shares s SET revoked_at = %(now)s
        WHERE s.buyer_id = %(buyer)s AND s.revoked_at IS NULL
            AND s.task_id IN (SELECT task_id FROM gone)
            AND NOT EXISTS (
                SELECT FROM turn_tasks o WHERE o.task_id = s.task_id
                    AND o.turn_id NOT IN (SELECT turn_id FROM gone))
        """,
        {"conversation": conversation_id, "buyer": buyer_id, "now": now},
    )
    await conn.execute("DELETE FROM turns WHERE conversation_id = %s", (conversation_id,))
    await delete_draft(conn, buyer_id, conversation_id)
    return True


# ------------------------------------------------------------------------------------------ drafts


async def select_draft(conn: Connection, buyer_id: str, conversation_id: str) -> Draft | None:
    """What is being written in a conversation; '' is the one that has not begun."""
    cursor = await conn.execute(
        "SELECT text, category FROM drafts WHERE buyer_id = %s AND conversation_id = %s",
        (buyer_id, conversation_id),
    )
    row = await cursor.fetchone()
    return None if row is None else Draft(*row)


async def upsert_draft(
    conn: Connection, buyer_id: str, conversation_id: str, draft: Draft, now: datetime
) -> None:
    """Keep what is being written."""
    await conn.execute(
        """
        INSERT INTO drafts (buyer_id, conversation_id, text, category, updated_at)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (buyer_id, conversation_id) DO UPDATE
        SET text = excluded.text, category = excluded.category, updated_at = excluded.updated_at
        """,
        (buyer_id, conversation_id, draft.text, draft.category, now),
    )


async def delete_draft(conn: Connection, buyer_id: str, conversation_id: str) -> None:
    """Forget what was being written."""
    await conn.execute(
        "DELETE FROM drafts WHERE buyer_id = %s AND conversation_id = %s",
        (buyer_id, conversation_id),
    )
