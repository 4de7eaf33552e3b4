"""A buyer posts a task: price, charge, queue; or only asks what it would cost.

Orders that arrive together share one transaction, and hidden tasks that are due join it. Nobody can
wait for each other in a circle by it: it takes the balances of its buyers first, when nothing that
others wait for is held. Checks and gold tasks come next and are never waited for; others wait for
checks while they hold balances, and for balances while they hold gold tasks. The sums of a buyer
are changed by nobody who does not hold its balances, and the events' sequences come last, in one
order by everybody.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
import structlog

from openclaw_jobs import ledger
from openclaw_jobs.buyers import (
    TotalsChange,
    refuse_suspended,
    suspended_among,
    suspended_problem,
    update_totals,
)
from openclaw_jobs.db import is_unavailable
from openclaw_jobs.economy import price_bonus_seconds, price_cents
from openclaw_jobs.kit.errors import Problem, invalid
from openclaw_jobs.kit.failpoints import failpoint
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.money import format_cents
from openclaw_jobs.kit.traceparent import Trace, looks_random
from openclaw_jobs.ledger import Account, Split
from openclaw_jobs.market import store as store_replays
from openclaw_jobs.market import store_traces
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import draw_shadow
from openclaw_jobs.market.grant_checks import grant_if_due
from openclaw_jobs.market.look_at_texts import note_prompt
from openclaw_jobs.market.take_due import Due, HiddenPost, HiddenPosted, due_task, joined, take_due
from openclaw_jobs.market.unit import Replay, Unit, begin, check_first_time, is_remembered, run
from openclaw_jobs.quality import store_checks, store_due
from openclaw_jobs.quality.checks import NewCheck
from openclaw_jobs.tasks import Message, NewTask, store
from openclaw_jobs.tasks.rules import input_chars, queue_rank
from openclaw_jobs.workers import Tier
from openclaw_jobs.workers.rules import tier_rank

_log = structlog.get_logger(__name__)


class TaskOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer orders; exactly one of `prompt` and `messages` is given.

    With a `lineage` it goes to nobody who has read a task of that lineage before.
    """

    buyer_id: str
    prompt: str | None
    messages: Sequence[Message] | None
    category: str
    min_tier: Tier
    max_price_cents: int | None
    conversation_id: str | None
    metadata: dict[str, Any] | None
    trace: Trace | None = None
    lineage: str | None = None


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


def price_order(market: Market, order: TaskOrder) -> int:
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
        price = price_order(market, order)
        await refuse_suspended(unit.conn, order.buyer_id)
        balances = await ledger.balances(unit.conn, order.buyer_id)
        _split(price, balances)
        return Quote(order.category, price, ledger.spendable_cents(balances))

    return await run(market, effect, replay)


class Post(msgspec.Struct, frozen=True):
    """An order, and how to answer it if it comes again."""

    order: TaskOrder
    replay: Replay[PostedTask] | None


Answer = PostedTask | HiddenPosted
"""What comes of a `Post`, or of a `HiddenPost`."""


async def post_task(
    market: Market, order: TaskOrder, replay: Replay[PostedTask] | None
) -> PostedTask:
    """Charge a buyer for a task and queue it, in one transaction.

    Raises:
        Replayed: The request was answered before.
        Problem: `suspended`, `insufficient_balance`, `limit_exceeded`, `validation_failed`, or
            of its idempotency key.
    """
    (answer,) = await post_tasks(market, [Post(order, replay)])
    return as_posted(answer)


async def post_tasks(
    market: Market, posts: Sequence[Post | HiddenPost]
) -> list[Answer | Exception]:
    """Handle orders of any buyers, and hidden tasks, in one transaction; answers in order.

    A refused order changes nothing and keeps nobody else's from being taken. Should the database
    refuse the whole (it has no reason to), each is tried alone.
    """
    await grant_if_due(market)
    try:
        async with begin(market, pipelined=True) as unit:
            answers = await _Batch(market, unit, posts).run()
    except (psycopg.DatabaseError, ledger.LedgerError) as error:
        if len(posts) == 1 or is_unavailable(error):
            raise
        _log.error("post_batch_refused", error=type(error).__name__, size=len(posts))
        return [await _post_alone(market, post) for post in posts]
    for post, answer in zip(posts, answers, strict=True):
        if isinstance(post, Post):
            _look_at(market, post.order, answer)
    return answers


async def _post_alone(market: Market, post: Post | HiddenPost) -> Answer | Exception:
    try:
        (answer,) = await post_tasks(market, [post])
    except (psycopg.DatabaseError, ledger.LedgerError) as error:
        # Its own answer, and no one else's: the others may be committed by now.
        return error
    return answer


def as_posted(answer: Answer | Exception) -> PostedTask:
    """The answer to a `Post`.

    Raises:
        Replayed: As `post_task`.
        Problem: As `post_task`.
    """
    if isinstance(answer, Exception):
        raise answer
    if not isinstance(answer, PostedTask):
        raise TypeError("an order is answered with its task")
    return answer


def _look_at(market: Market, order: TaskOrder, answer: Answer | Exception) -> None:
    if isinstance(answer, PostedTask):
        note_prompt(market, order.buyer_id, answer.task_id, order.prompt, order.messages)


async def post_within(market: Market, unit: Unit, order: TaskOrder) -> PostedTask:
    """Charge for a task and queue it as a part of a transaction that does more than that.

    Raises:
        Problem: As `post_task`; nothing has been written then.
    """
    (answer,) = await _Batch(market, unit, [Post(order, None)]).run()
    posted = as_posted(answer)
    _look_at(market, order, posted)
    return posted


class _Batch:
    """The state of one transaction."""

    def __init__(self, market: Market, unit: Unit, posts: Sequence[Post | HiddenPost]) -> None:
        self._market = market
        self._unit = unit
        self._posts = posts
        self._answers: dict[int, Answer | Exception] = {}
        self._tasks: list[NewTask] = []
        self._traces: list[tuple[str, Trace]] = []
        self._checks: list[NewCheck] = []
        self._joined: list[store_due.Joined] = []

    async def run(self) -> list[Answer | Exception]:
        """Sort out what was answered before or is refused, and write the rest set by set."""
        conn = self._unit.conn
        await self._check_keys()
        left = [(at, post) for at, post in enumerate(self._posts) if at not in self._answers]
        buyers = [post.order.buyer_id for _, post in left if isinstance(post, Post)]
        balances: dict[str, dict[Account, int]] = {}
        suspended: set[str] = set()
        if buyers:
            asked = await ledger.ask_balances(conn, buyers)
            # Read behind the lock, with one round trip: an account that is being deleted holds it.
            suspended = await suspended_among(conn, buyers)
            balances = await asked()
        wanted = [post.check_id for _, post in left if isinstance(post, HiddenPost)]
        due = await take_due(self._market, self._unit, wanted)
        # In the order in which they came, whatever they are: their ids are made here.
        for at, post in left:
            if isinstance(post, HiddenPost):
                self._answers[at] = self._take_hidden(due.pop(post.check_id, None))
                continue
            order = post.order
            try:
                self._answers[at] = self._take(order, suspended, balances[order.buyer_id])
            except Problem as problem:
                self._answers[at] = problem
        if self._tasks:
            await self._write()
        await self._keep([at for at, _ in left])
        return [self._answers[at] for at in range(len(self._posts))]

    async def _check_keys(self) -> None:
        """Hold the idempotency keys; answer those that were answered, or are being handled."""
        keys: dict[tuple[str, str, str], tuple[int, ReplayKey]] = {}
        for at, post in enumerate(self._posts):
            if isinstance(post, Post) and post.replay is not None:
                key = post.replay.key
                name = (key.caller, key.route, key.key)
                if name in keys:
                    self._judge(at, key, mine=False, stored=None)
                else:
                    keys[name] = (at, key)
        if not keys:
            return
        held = await store_replays.lock_replays(self._unit.conn, [key for _, key in keys.values()])
        for (at, key), (mine, stored) in zip(keys.values(), held, strict=True):
            self._judge(at, key, mine=mine, stored=stored)

    def _judge(
        self, at: int, key: ReplayKey, *, mine: bool, stored: tuple[bytes, StoredAnswer] | None
    ) -> None:
        try:
            check_first_time(key, mine=mine, stored=stored)
        except (Problem, Replayed) as outcome:
            self._answers[at] = outcome

    def _take(
        self, order: TaskOrder, suspended: set[str], balances: dict[Account, int]
    ) -> PostedTask:
        """Price an order and take it off what the buyer has left in this transaction."""
        price = price_order(self._market, order)
        if order.buyer_id in suspended:
            raise suspended_problem()
        split = _split(price, balances)
        balances[Account.BUYER_PROMO] -= split.promo_cents
        balances[Account.BUYER_PAID] -= split.paid_cents
        dispatch = self._market.config.dispatch
        now = self._unit.now
        task_id = new_id("task")
        check = draw_shadow(self._market, self._unit, task_id, order.category, price)
        if check is not None:
            self._checks.append(check)
        task = NewTask(
            task_id=task_id,
            buyer_id=order.buyer_id,
            category=order.category,
            price_cents=price,
            promo_cents=split.promo_cents,
            min_tier=tier_rank(order.min_tier),
            queue_rank=queue_rank(now, price_bonus_seconds(dispatch, price)),
            prompt=order.prompt,
            messages=_json(order.messages),
            metadata=_json(order.metadata),
            conversation_id=order.conversation_id,
            created_at=now,
            expires_at=now + timedelta(seconds=dispatch.queue_expiry_seconds),
            check_id=None if check is None else check.check_id,
            lineage=order.lineage or (None if check is None else task_id),
        )
        self._tasks.append(task)
        if order.trace is not None and looks_random(order.trace.trace_id, now):
            self._traces.append((task.task_id, order.trace))
        balance = ledger.spendable_cents(balances)
        self._unit.tell(order.buyer_id, "task.queued", task_id, status="queued", price_cents=price)
        self._unit.tell(order.buyer_id, "balance", None, balance_cents=balance)
        self._unit.queue(task.category)
        return PostedTask(task_id, task.category, price, balance, now)

    def _take_hidden(self, due: Due | None) -> HiddenPosted:
        """Queue what can be queued; None was not due any more, or has to wait."""
        if due is None:
            return HiddenPosted(None)
        task = due_task(self._market, self._unit, due, new_id("task"))
        self._tasks.append(task)
        self._joined.append(joined(due, task.task_id))
        price = task.price_cents
        self._unit.tell(None, "task.queued", task.task_id, status="queued", price_cents=price)
        self._unit.queue(task.category)
        return HiddenPosted(task.task_id)

    async def _write(self) -> None:
        await store.insert_tasks(self._unit.conn, self._tasks)
        if self._traces:
            await store_traces.insert_traces(self._unit.conn, self._traces)
        if self._checks:
            await store_checks.insert_checks(self._unit.conn, self._checks)
        charges = [_charge(task) for task in self._tasks]
        await ledger.post(self._unit.conn, [charge for charge in charges if charge is not None])
        await update_totals(
            self._unit.conn,
            [
                TotalsChange(task.buyer_id, spent_cents=task.price_cents)
                for task in self._tasks
                if task.buyer_id is not None
            ],
        )
        if self._joined:
            await store_due.set_queued(self._unit.conn, self._joined)
            failpoint("check.queued")

    async def _keep(self, left: Sequence[int]) -> None:
        """Store the answers that a repeated request gets again."""
        kept: list[tuple[ReplayKey, StoredAnswer]] = []
        for at in left:
            post, answer = self._posts[at], self._answers[at]
            if isinstance(post, HiddenPost) or post.replay is None:
                continue
            replay = post.replay
            if isinstance(answer, PostedTask):
                kept.append((replay.key, replay.answer(answer)))
            elif isinstance(answer, Problem) and is_remembered(answer):
                kept.append((replay.key, replay.refusal(answer)))
        if kept:
            await store_replays.insert_replays(self._unit.conn, kept)


def _charge(task: NewTask) -> ledger.Transfer | None:
    """Into escrow: from its buyer, or from what checks cost."""
    if task.buyer_id is None:
        return ledger.check_charge(task.task_id, task.price_cents)
    paid = task.price_cents - task.promo_cents
    return ledger.task_charge(task.task_id, task.buyer_id, task.promo_cents, paid)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
