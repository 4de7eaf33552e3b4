"""A buyer reads its conversations, searches them, and takes them with it."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from openclaw_jobs import events
from openclaw_jobs.chat import rules, service, store, store_shares, store_turns
from openclaw_jobs.chat.models import (
    Conversation,
    ConversationPage,
    Draft,
    Hit,
    Place,
    Sending,
    Turn,
)
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market

PAGE_TURNS: Final = 50
"""How many turns are shown at once."""
_EXPORT_TURNS: Final = 20
_MAX_HITS: Final = 50
_LEARN_AT_ONCE: Final = 200
_LEARN_TIMES: Final = 20


class ConversationView(msgspec.Struct, frozen=True):
    """A conversation as it stood at one moment.

    Attributes:
        conversation: What it is called, and the like.
        turns: The last turns, or those before the one asked for, in order.
        earlier: Whether there are turns before them.
        draft: What is being written in it.
        event_seq: The number of the buyer's last event at the time or shortly before: whoever
            follows the events after it misses nothing.
    """

    conversation: Conversation
    turns: list[Turn]
    earlier: bool
    draft: Draft | None
    event_seq: int


async def list_conversations(
    market: Market, buyer_id: str, after: Place | None, limit: int
) -> ConversationPage:
    """A page of a buyer's conversations, the last used first."""
    async with market.db.read() as conn:
        found = await store.select_conversations(conn, buyer_id, after, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    last = Place(page[-1].updated_at, page[-1].conversation_id) if more else None
    return ConversationPage(page, last)


async def read_conversation(
    market: Market, buyer_id: str, conversation_id: str, before: int | None = None
) -> ConversationView:
    """A buyer's own conversation: its last turns, or the last before the turn `before`.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.read() as conn:
        seq = await events.last_seq(conn, buyer_id)
        conversation = await service.find(conn, buyer_id, conversation_id)
        last = before or 1 + await store_turns.select_last_seq(conn, conversation_id)
        first = max(0, last - 1 - PAGE_TURNS)
        turns = await store_turns.select_turns(conn, conversation_id, after=first, before=last)
        draft = await store.select_draft(conn, buyer_id, conversation_id)
    return ConversationView(conversation, turns, first > 0, draft, seq)


async def read_start(market: Market, buyer_id: str) -> tuple[Draft | None, int]:
    """What a buyer is writing for a conversation that has not begun, and its last event."""
    async with market.db.read() as conn:
        seq = await events.last_seq(conn, buyer_id)
        return await store.select_draft(conn, buyer_id, ""), seq


async def read_turns_after(
    market: Market, buyer_id: str, conversation_id: str, after: int
) -> list[Turn]:
    """The turns of a buyer's own conversation behind a number.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.read() as conn:
        await service.find(conn, buyer_id, conversation_id)
        until = after + 1 + PAGE_TURNS
        return await store_turns.select_turns(conn, conversation_id, after=after, before=until)


async def read_turn(market: Market, buyer_id: str, turn_id: str) -> Turn:
    """A turn of a buyer's own conversation.

    Raises:
        Problem: `not_found`.
    """
    turn = None
    if is_id("turn", turn_id):
        async with market.db.read() as conn:
            turn = await store_turns.select_turn(conn, buyer_id, turn_id)
    if turn is None:
        raise not_found("message")
    return turn


async def find_task(market: Market, buyer_id: str, task_id: str) -> list[Sending]:
    """Where a task stands in a buyer's conversations; empty if it was not posted from one."""
    if not is_id("task", task_id):
        return []
    async with market.db.read() as conn:
        return await store_turns.select_turns_of_task(conn, buyer_id, task_id)


async def search_conversations(market: Market, buyer_id: str, text: str) -> list[Hit]:
    """Where all words of `text`, or words that begin so, stand: in titles, prompts or results.

    Each conversation is found once, the last used first.
    """
    words = rules.search_words(text)
    if not words:
        return []
    for _ in range(_LEARN_TIMES):
        async with market.db.transaction() as conn:
            learned = await store_shares.learn_words(conn, buyer_id, _LEARN_AT_ONCE)
        if learned < _LEARN_AT_ONCE:
            break
    async with market.db.read() as conn:
        found = await store_shares.search(conn, buyer_id, rules.search_query(words), _MAX_HITS)
    return [rules.as_hit(one, words) for one in found]


async def open_export(
    market: Market, buyer_id: str, conversation_id: str
) -> tuple[Conversation, AsyncIterator[Turn]]:
    """A whole conversation, its turns read as they are taken.

    Raises:
        Problem: `not_found`.
    """
    async with market.db.read() as conn:
        conversation = await service.find(conn, buyer_id, conversation_id)
    return conversation, _all_turns(market, conversation_id)


async def _all_turns(market: Market, conversation_id: str) -> AsyncIterator[Turn]:
    last = 0
    while True:
        async with market.db.read() as conn:
            until = last + 1 + _EXPORT_TURNS
            turns = await store_turns.select_turns(conn, conversation_id, after=last, before=until)
        for turn in turns:
            yield turn
        if len(turns) < _EXPORT_TURNS:
            return
        last += _EXPORT_TURNS
