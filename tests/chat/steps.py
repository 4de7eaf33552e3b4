"""The steps that the tests of conversations are made of."""

import itertools
from typing import Any

from openclaw_jobs.chat.models import Answer, Sending, Turn
from openclaw_jobs.market.read_conversations import read_conversation, read_turn
from openclaw_jobs.market.send_message import NewMessage, send_message
from tests.market.steps import claim, complete
from tests.running import Json, Node, Party

_keys = itertools.count(1)


async def say(
    node: Node,
    buyer: Party,
    prompt: str,
    conversation_id: str | None = None,
    **fields: Json,
) -> Sending:
    """Send a message, by default with a key of its own."""
    message: dict[str, Any] = {
        "buyer_id": buyer.id,
        "conversation_id": conversation_id,
        "prompt": prompt,
        "category": "general",
        "max_price_cents": None,
        "key": f"key{next(_keys)}",
    }
    return await send_message(node.market, NewMessage(**message | fields))


async def work(worker: Party, result: str) -> Json:
    """Do the task that waits; returns what the worker was given."""
    claimed = await claim(worker)
    await complete(worker, claimed, result)
    return claimed


async def talk(
    node: Node, buyer: Party, worker: Party, *exchanges: tuple[str, str]
) -> tuple[str, list[Sending]]:
    """A conversation that is answered; its id and what its messages made."""
    sent: list[Sending] = []
    for prompt, result in exchanges:
        where = sent[0].conversation_id if sent else None
        sent.append(await say(node, buyer, prompt, where))
        await work(worker, result)
    return sent[0].conversation_id, sent


async def turns_of(node: Node, buyer: Party, conversation_id: str) -> list[Turn]:
    return (await read_conversation(node.market, buyer.id, conversation_id)).turns


async def answers_of(node: Node, buyer: Party, turn_id: str) -> tuple[Answer, ...]:
    return (await read_turn(node.market, buyer.id, turn_id)).answers
