"""Raising, listing and dismissing flags. Nothing here commits."""

from collections.abc import Iterable

from openclaw_jobs.db import Connection
from openclaw_jobs.flags import store
from openclaw_jobs.flags.models import Flag, FlagKind, FlagPage, Sighting
from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.ids import is_id, new_id


async def raise_flags(conn: Connection, seen: Iterable[Sighting]) -> list[Sighting]:
    """Raise a flag for each sighting, or add it to the one that is there.

    Rows are locked in one order, whoever calls. Of several sightings of one subject and kind the
    last one's detail is kept.

    Returns:
        Those that were news: a sighting whose detail is already there changes nothing.
    """
    merged: dict[tuple[str, str], Sighting] = {}
    for one in seen:
        before = merged.get((one.subject, one.kind))
        times = one.times + (0 if before is None else before.times)
        merged[one.subject, one.kind] = Sighting(one.subject, one.kind, one.detail, times)
    ordered = [merged[key] for key in sorted(merged)]
    if not ordered:
        return []
    news = await store.upsert_flags(conn, [(new_id("flag"), one) for one in ordered])
    return [one for one in ordered if (one.subject, one.kind) in news]


async def list_flags(
    conn: Connection,
    *,
    dismissed: bool | None,
    kind: FlagKind | None,
    subject: str | None,
    cursor: str | None,
    limit: int,
) -> FlagPage:
    """A page of flags, newest first.

    Args:
        conn: Any connection.
        dismissed: Only those that are, or aren't.
        kind: Only these.
        subject: Only those of it.
        cursor: The `next_cursor` of the page before.
        limit: At most this many, 1 or more.

    Raises:
        Problem: `validation_failed` for a cursor that was never given out.
    """
    if cursor is not None and not is_id("flag", cursor):
        raise invalid("cursor", "This is no cursor of this list.")
    found = await store.select_flags(
        conn, dismissed=dismissed, kind=kind, subject=subject, before=cursor, limit=limit + 1
    )
    page = found[:limit]
    return FlagPage(flags=page, next_cursor=page[-1].id if len(found) > limit else None)


async def dismiss_flag(conn: Connection, flag_id: str, actor: str) -> Flag | None:
    """Note that an operator has looked at a flag; the first one's name stays. None: no such."""
    if not is_id("flag", flag_id):
        return None
    return await store.dismiss(conn, flag_id, actor)
