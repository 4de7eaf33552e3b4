"""Orders that share a transaction: each is answered on its own."""

from typing import Any

from openclaw_jobs.buyers import suspend
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.kit.idempotency import Replayed, ReplayKey, StoredAnswer
from openclaw_jobs.market.post_task import Answer, Post, PostedTask, TaskOrder, post_tasks
from openclaw_jobs.market.unit import Replay, begin
from tests.running import Node, Party


def order(buyer: Party, **changes: object) -> TaskOrder:
    fields: dict[str, Any] = {
        "buyer_id": buyer.id,
        "prompt": "hello",
        "messages": None,
        "category": "general",
        "min_tier": "bronze",
        "max_price_cents": None,
        "conversation_id": None,
        "metadata": None,
    }
    return TaskOrder(**fields | changes)


def keyed(buyer: Party, key: str, body: bytes = b"a" * 32) -> Replay[PostedTask]:
    return Replay(
        ReplayKey(caller=buyer.id, route="POST /api/task", key=key, body_hash=body),
        lambda posted: StoredAnswer(status=201, headers={}, content=posted.task_id),
        lambda problem: StoredAnswer(status=problem.status, headers={}, content=problem.code),
    )


def codes(answers: list[Answer | Exception]) -> list[str]:
    return [
        answer.code if isinstance(answer, Problem) else type(answer).__name__ for answer in answers
    ]


async def test_each_order_of_a_batch_is_answered_on_its_own(node: Node) -> None:
    rich, poor, bad = await node.buyer(100), await node.buyer(13), await node.buyer(100)
    async with begin(node.market) as unit:
        await suspend(unit.conn, bad.id, "dispute")
    texts = "a \"quoted\" {text},\\ with 'all' that\nan array\tmight trip over: NULL, é"
    answers = await post_tasks(
        node.market,
        [
            Post(order(rich, prompt=texts, metadata={"a": [1, '"']}), None),
            Post(order(poor), None),
            Post(order(poor), None),
            Post(order(bad), None),
            Post(order(rich, max_price_cents=1), None),
            Post(order(rich, prompt=" "), None),
            Post(order(rich), None),
        ],
    )
    assert codes(answers) == [
        "PostedTask",
        "PostedTask",
        "insufficient_balance",
        "suspended",
        "limit_exceeded",
        "validation_failed",
        "PostedTask",
    ]
    first, last = answers[0], answers[-1]
    assert isinstance(first, PostedTask)
    assert isinstance(last, PostedTask)
    assert (await rich.ok("GET", f"/api/task/{first.task_id}"))["prompt"] == texts
    balance = await rich.ok("GET", "/api/balance")
    assert balance["balance_cents"] == last.balance_cents
    assert balance["lifetime"]["spent_cents"] == first.price_cents + last.price_cents
    assert (await bad.ok("GET", "/api/balance"))["balance_cents"] == 100
    await node.prove()


async def test_keys_are_held_within_a_batch_as_between_batches(node: Node) -> None:
    buyer, other = await node.buyer(1_000), await node.buyer(5)
    first = await post_tasks(
        node.market,
        [
            Post(order(buyer), keyed(buyer, "one")),
            Post(order(buyer), keyed(buyer, "one")),
            Post(order(other), keyed(other, "one")),
            Post(order(buyer), keyed(buyer, "two")),
        ],
    )
    assert codes(first) == [
        "PostedTask",
        "idempotency_in_progress",
        "insufficient_balance",
        "PostedTask",
    ]
    again = await post_tasks(
        node.market,
        [
            Post(order(buyer), keyed(buyer, "one")),
            Post(order(buyer), keyed(buyer, "two", b"b" * 32)),
            Post(order(other), keyed(other, "one")),
            Post(order(buyer), keyed(buyer, "three")),
        ],
    )
    assert codes(again) == ["Replayed", "idempotency_conflict", "Replayed", "PostedTask"]
    posted, replayed, refused = first[0], again[0], again[2]
    assert isinstance(posted, PostedTask)
    assert isinstance(replayed, Replayed)
    assert isinstance(refused, Replayed)
    assert (replayed.answer.status, replayed.answer.content) == (201, posted.task_id)
    assert (refused.answer.status, refused.answer.content) == (402, "insufficient_balance")
    assert len((await buyer.ok("GET", "/api/tasks"))["tasks"]) == 3
    await node.prove()
