"""A buyer says something in a conversation: a turn, and the task that answers it."""

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.buyers import refuse_suspended
from openclaw_jobs.chat import rules, service, store, store_turns
from openclaw_jobs.chat.models import Conversation, Sending
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.grant_checks import grant_if_due
from openclaw_jobs.market.post_task import TaskOrder, post_within, price_order
from openclaw_jobs.market.unit import Unit, run
from openclaw_jobs.tasks import Message


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer sends.

    Attributes:
        conversation_id: Where; None begins a conversation.
        prompt: What it says.
        category: What kind of task it is.
        max_price_cents: The price that the buyer was shown; it pays no more.
        key: Made by the page for this message; the same message with it is sent once.
    """

    buyer_id: str
    conversation_id: str | None
    prompt: str
    category: str
    max_price_cents: int | None
    key: str


class MessageQuote(msgspec.Struct, frozen=True):
    """What sending a message would cost.

    Attributes:
        price_cents: The price, with the history that is sent along.
        balance_cents: What the buyer has.
        history: How many turns are sent along.
        left_out: How many of the oldest there is no room for.
    """

    price_cents: int
    balance_cents: int
    history: int
    left_out: int

    @property
    def affordable(self) -> bool:
        """Whether the balance is enough."""
        return self.price_cents <= self.balance_cents


async def quote_message(
    market: Market, buyer_id: str, conversation_id: str | None, prompt: str, category: str
) -> MessageQuote:
    """What `send_message` would charge now; nothing is charged.

    Unlike there, a balance that is not enough is no problem but said.

    Raises:
        Problem: What else `send_message` would raise.
    """
    text = rules.checked_prompt(prompt)
    async with market.db.transaction() as conn:
        if conversation_id is not None:
            await service.find(conn, buyer_id, conversation_id)
        composed = await service.compose(
            conn, conversation_id, text, market.config.payload_limits.task_input
        )
        await refuse_suspended(conn, buyer_id)
        balances = await ledger.balances(conn, buyer_id)
    order = _order(buyer_id, conversation_id, composed.messages, category, None)
    return MessageQuote(
        price_cents=price_order(market, order),
        balance_cents=ledger.spendable_cents(balances),
        history=len(composed.messages) // 2,
        left_out=composed.left_out,
    )


async def send_message(market: Market, message: NewMessage) -> Sending:
    """Write down what a buyer says and post the task that answers it, in one transaction.

    A message that was sent with this key before is answered with what it made then. The draft
    goes away.

    Raises:
        Problem: `not_found`, `wrong_state` (the last message has no answer yet),
            `payload_too_large`, or what posting a task raises.
    """
    text = rules.checked_prompt(message.prompt)
    send_key = rules.sending_key(
        message.buyer_id, message.key, message.conversation_id or "", text, message.category
    )

    async def effect(unit: Unit) -> Sending:
        await store.wait_for_chat(unit.conn, message.buyer_id)
        if (before := await store_turns.select_sending(unit.conn, send_key)) is not None:
            return before
        return await _send(market, unit, message, text, send_key)

    await grant_if_due(market)
    return await run(market, effect, None)


async def _send(
    market: Market, unit: Unit, message: NewMessage, text: str, send_key: bytes
) -> Sending:
    conn, buyer_id, now = unit.conn, message.buyer_id, unit.now
    if message.conversation_id is not None:
        await service.find(conn, buyer_id, message.conversation_id)
    composed = await service.compose(
        conn, message.conversation_id, text, market.config.payload_limits.task_input
    )
    conversation_id = message.conversation_id or new_id("cnv")
    posted = await post_within(
        market,
        unit,
        _order(
            buyer_id,
            conversation_id,
            composed.messages,
            message.category,
            message.max_price_cents,
        ),
    )
    if message.conversation_id is None:
        title = rules.first_title(text)
        begun = Conversation(conversation_id, title, message.category, None, now, now)
        await store.insert_conversation(conn, buyer_id, begun)
    else:
        await store.touch_conversation(conn, conversation_id, message.category, now)
    sending = Sending(conversation_id, new_id("turn"), posted.task_id)
    seq = composed.turns[-1].seq + 1 if composed.turns else 1
    await store_turns.insert_turn(conn, sending, seq, text, composed.left_out, now)
    await store_turns.insert_answer(conn, sending, 1, send_key)
    await store.delete_draft(conn, buyer_id, message.conversation_id or "")
    unit.tell(buyer_id, "conversation", None, conversation_id=conversation_id)
    return sending


def _order(
    buyer_id: str,
    conversation_id: str | None,
    messages: list[Message],
    category: str,
    max_price_cents: int | None,
) -> TaskOrder:
    return TaskOrder(
        buyer_id=buyer_id,
        prompt=None,
        messages=messages,
        category=category,
        min_tier="bronze",
        max_price_cents=max_price_cents,
        conversation_id=conversation_id,
        metadata=None,
    )
