"""An operator keeps the gold tasks: texts whose accepted answers are known."""

from collections.abc import Sequence

import msgspec

from openclaw_jobs import audit
from openclaw_jobs.kit.errors import invalid, not_found
from openclaw_jobs.kit.ids import is_id, new_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.quality import store_golds as store
from openclaw_jobs.quality.store_golds import Gold
from openclaw_jobs.tasks import Message


class GoldPage(msgspec.Struct, frozen=True):
    """Some gold tasks, newest first; `resume_after` is the last id if there are more."""

    golds: list[Gold]
    resume_after: str | None


async def add_gold(
    market: Market,
    *,
    prompt: str | None,
    messages: Sequence[Message] | None,
    category: str,
    answers: Sequence[str],
    actor: str,
    replay: Replay[Gold] | None,
) -> Gold:
    """Add a gold task.

    Raises:
        Problem: `validation_failed`: it has no text, or both kinds of it.
    """
    if (prompt is None) == (messages is None):
        raise invalid("prompt", "Give either prompt or messages.")
    if prompt is not None and not prompt.strip():
        raise invalid("prompt", "The prompt is empty.")
    if messages is not None and not any(m.content.strip() for m in messages):
        raise invalid("messages", "There is no text in the messages.")

    async def effect(unit: Unit) -> Gold:
        texts = None if messages is None else msgspec.json.encode(messages).decode()
        gold_id = new_id("gold")
        gold = await store.insert_gold(unit.conn, gold_id, category, prompt, texts, answers, actor)
        detail = {"category": category, "answers": len(answers)}
        await audit.record(unit.conn, actor, "gold.add", gold_id, detail)
        return gold

    return await run(market, effect, replay)


async def list_golds(
    market: Market, before: str | None, limit: int, *, live: bool | None
) -> GoldPage:
    """A page of gold tasks; `before` is the last id of the page before."""
    async with market.db.read() as conn:
        found = await store.select_page(conn, before, limit + 1, live=live)
    page = found[:limit]
    return GoldPage(page, page[-1].gold_id if len(found) > limit else None)


async def retire_gold(
    market: Market, gold_id: str, *, actor: str, replay: Replay[None] | None = None
) -> None:
    """Show a gold task to nobody any more; what it has shown of workers stands.

    Raises:
        Problem: `not_found`.
    """

    async def effect(unit: Unit) -> None:
        if not is_id("gold", gold_id) or not await store.retire(unit.conn, gold_id):
            raise not_found("benchmark")
        await audit.record(unit.conn, actor, "gold.retire", gold_id, {})

    await run(market, effect, replay)
