"""SQL of flags."""

from collections.abc import Sequence

import msgspec

from openclaw_jobs.db import Connection
from openclaw_jobs.db.arrays import int_array, text_array
from openclaw_jobs.flags.models import Flag, Sighting

_COLUMNS = """id, subject, kind, detail, count, first_seen, last_seen, dismissed_by, dismissed_at"""


def _flag(row: Sequence[object]) -> Flag:
    return msgspec.convert(dict(zip(Flag.__struct_fields__, row, strict=True)), Flag)


async def upsert_flags(
    conn: Connection, seen: Sequence[tuple[str, Sighting]]
) -> set[tuple[str, str]]:
    """Insert flags with these ids, or count what was seen where it is news.

    Returns:
        The subject and kind of each that was.
    """
    cursor = await conn.execute(
        """
        INSERT INTO flags AS f (id, subject, kind, detail, count)
        SELECT id, subject, kind, detail::jsonb, times
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
            AS s (id, subject, kind, detail, times)
        ON CONFLICT (subject, kind) DO UPDATE SET count = f.count + excluded.count,
            detail = excluded.detail, last_seen = now(), dismissed_by = NULL, dismissed_at = NULL
        WHERE f.detail <> excluded.detail
        RETURNING subject, kind
        """,
        (
            text_array([flag_id for flag_id, _ in seen]),
            text_array([one.subject for _, one in seen]),
            text_array([one.kind for _, one in seen]),
            text_array([msgspec.json.encode(one.detail).decode() for _, one in seen]),
            int_array([one.times for _, one in seen]),
        ),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def select_flags(
    conn: Connection,
    *,
    dismissed: bool | None,
    kind: str | None,
    subject: str | None,
    before: str | None,
    limit: int,
) -> list[Flag]:
    """Flags, newest first, those under the id `before` only if it is given."""
    cursor = await conn.execute(
        f"""
        SELECT {_COLUMNS} FROM flags
        WHERE (%(dismissed)s::boolean IS NULL OR (dismissed_at IS NOT NULL) = %(dismissed)s)
            AND (%(kind)s::text IS NULL OR kind = %(kind)s)
            AND (%(subject)s::text IS NULL OR subject = %(subject)s)
            AND (%(before)s::text IS NULL OR id < %(before)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - own columns
        {
            "dismissed": dismissed,
            "kind": kind,
            "subject": subject,
            "before": before,
            "limit": limit,
        },
    )
    return [_flag(row) for row in await cursor.fetchall()]


async def dismiss(conn: Connection, flag_id: str, actor: str) -> Flag | None:
    """Dismiss a flag, unless somebody has; the flag, or None if there is none such."""
    cursor = await conn.execute(
        f"""
        UPDATE flags SET dismissed_by = coalesce(dismissed_by, %s),
            dismissed_at = coalesce(dismissed_at, now())
        WHERE id = %s RETURNING {_COLUMNS}
        """,  # noqa: S608 - own columns
        (actor, flag_id),
    )
    row = await cursor.fetchone()
    return None if row is None else _flag(row)
