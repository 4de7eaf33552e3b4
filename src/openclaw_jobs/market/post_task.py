"""A buyer posts a task: price, charge, queue; or only asks what it would cost."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from openclaw_jobs import ledger
from openclaw_jobs.buyers import TotalsChange, refuse_suspended, update_totals
from openclaw_jobs.economy import price_bonus_seconds, price_cents
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.ledger import Account, Split
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.unit import Replay, Unit, run
from openclaw_jobs.tasks import Message, NewTask, store
from openclaw_jobs.tasks.rules import input_chars, queue_rank
from openclaw_jobs.workers import Tier
from openclaw_jobs.workers.rules import tier_rank


class TaskOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer orders; exactly one of `prompt` and `messages` is given."""

    buyer_id: str
    prompt: str | None
    messages: Sequence[Message] | None
    category: str
    min_tier: Tier
    max_price_cents: int | None
    conversation_id: str | None
    metadata: dict[str, Any] | None


class Quote(msgspec.Struct, frozen=True):
    """What a task would cost, and what the buyer has, in cents."""

    category: str
    price_cents: int
    balance_cents: int


class PostedTask(msgspec.Struct, frozen=True):
    """A task in the queue, and the balance after its charge."""

    task_id: str
    category: str
    price_cents: int
    balance_cents: int
    created_at: datetime


def _price(market: Market, order: TaskOrder) -> int:
    """The price of an order.

    Raises:
        Problem: It has no text, or costs more than the buyer would pay.
    """
    if (order.prompt is None) == (order.messages is None):
        raise invalid("prompt", "Give either prompt or messages.")
    if order.prompt is not None and not order.prompt.strip():
        raise invalid("prompt", "The prompt is empty.")
    if order.messages is not None and not any(m.content.strip() for m in order.messages):
        raise invalid("messages", "There is no text in the messages.")
    chars = input_chars(order.prompt, order.messages)
    price = price_cents(market.config.pricing, order.category, chars)
    if order.max_price_cents is not None and order.max_price_cents < price:
        raise Problem(
            "limit_exceeded",
            f"This task costs {format_cents(price)}, more than max_price_cents allows.",
            price_cents=price,
        )
    return price


def _split(price: int, balances: dict[Account, int]) -> Split:
    promo = balances.get(Account.BUYER_PROMO, 0)
    paid = balances.get(Account.BUYER_PAID, 0)
    split = ledger.split_charge(price, promo, paid)
    if split is None:
        raise Problem(
            "insufficient_balance",
            f"This task costs {format_cents(price)} and the balance is"
            f" {format_cents(promo + paid)}. Top up and post it again.",
            balance_cents=promo + paid,
            price_cents=price,
        )
    return split


async def quote_task(market: Market, order: TaskOrder, replay: Replay[Quote] | None) -> Quote:
    """What `post_task` would charge now; nothing is charged.

    Raises:
        Problem: What `post_task` would raise.
    """

    async def effect(unit: Unit) -> Quote:
        price = _price(market, order)
        await refuse_suspended(unit.conn, order.buyer_id)
        balances = await ledger.balances(unit.conn, order.buyer_id)
        _split(price, balances)
        return Quote(order.category, price, ledger.spendable_cents(balances))

    return await run(market, effect, replay)


async def post_task(
    market: Market, order: TaskOrder, replay: Replay[PostedTask] | None
) -> PostedTask:
    """Charge a buyer for a task and queue it, in one transaction.

    Raises:
        Problem: `suspended`, `insufficient_balance`, `limit_exceeded`, or `validation_failed`.
    """
    dispatch = market.config.dispatch

    async def effect(unit: Unit) -> PostedTask:
        price = _price(market, order)
        await refuse_suspended(unit.conn, order.buyer_id)
        balances = await ledger.balances(unit.conn, order.buyer_id, for_update=True)
        split = _split(price, balances)
        bonus_seconds = price_bonus_seconds(dispatch, price)
        task = NewTask(
            task_id=new_id("task"),
            buyer_id=order.buyer_id,
            category=order.category,
            price_cents=price,
            promo_cents=split.promo_cents,
            min_tier=tier_rank(order.min_tier),
            queue_rank=queue_rank(unit.now, bonus_seconds),
            prompt=order.prompt,
            messages=_json(order.messages),
            metadata=_json(order.metadata),
            conversation_id=order.conversation_id,
            created_at=unit.now,
            expires_at=unit.now + timedelta(seconds=dispatch.queue_expiry_seconds),
        )
        charge = ledger.task_charge(
            task.task_id, task.buyer_id, split.promo_cents, split.paid_cents
        )
        await store.insert_task(unit.conn, task)
        await ledger.post(unit.conn, [charge] if charge else [])
        await update_totals(unit.conn, [TotalsChange(task.buyer_id, spent_cents=price)])
        balance = ledger.spendable_cents(balances) - price
        unit.tell(task.buyer_id, "task.queued", task.task_id, status="queued", price_cents=price)
        unit.tell(task.buyer_id, "balance", None, balance_cents=balance)
        unit.queue(task.category)
        return PostedTask(task.task_id, task.category, price, balance, task.created_at)

    return await run(market, effect, replay, pipelined=True)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
