"""What a conversation's use cases have in common, inside their transactions."""

import msgspec

from openclaw_jobs.chat import rules, store, store_turns
from openclaw_jobs.chat.models import Conversation, TurnOutline
from openclaw_jobs.db import Connection
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.tasks import Message


class Composed(msgspec.Struct, frozen=True):
    """A message with what was said before it, as a worker will get it.

    Attributes:
        messages: The history as far back as there is room, and the message.
        turns: All turns of the conversation, in order.
        left_out: How many of the oldest answered turns there was no room for.
    """

    messages: list[Message]
    turns: list[TurnOutline]
    left_out: int


async def find(conn: Connection, buyer_id: str, conversation_id: str) -> Conversation:
    """A buyer's own conversation.

    Raises:
        Problem: `not_found`, for another's as for none.
    """
    found = None
    if is_id("cnv", conversation_id):
        found = await store.select_conversation(conn, buyer_id, conversation_id)
    if found is None:
        raise not_found("conversation")
    return found


async def compose(
    conn: Connection, conversation_id: str | None, prompt: str, limit_bytes: int
) -> Composed:
    """Put a message behind what was said before; None is a conversation that has not begun.

    Raises:
        Problem: `wrong_state`: the last message has no answer yet. `payload_too_large`: the
            message does not fit into a task even alone.
    """
    turns = (
        [] if conversation_id is None else await store_turns.select_outline(conn, conversation_id)
    )
    rules.refuse_unanswered(turns)
    worth = rules.worth_sending(turns, limit_bytes)
    exchanges = await store_turns.select_exchanges(
        conn, [(turn.turn_id, answer.task_id) for turn, answer in worth]
    )
    messages, included = rules.fit(exchanges, prompt, limit_bytes)
    return Composed(messages, turns, rules.count_answered(turns) - included)
