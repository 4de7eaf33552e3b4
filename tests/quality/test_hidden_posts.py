"""Hidden tasks join the queue in the transactions of buyers' posts, each at its own moment."""

import asyncio
from typing import Any

import psycopg
import pytest

from openclaw_jobs.market.post_task import Post, PostedTask, TaskOrder, post_tasks
from openclaw_jobs.market.queue_checks import DueChecks, queue_checks
from openclaw_jobs.market.take_due import HiddenPost, HiddenPosted
from openclaw_jobs.quality import store_due
from tests.market.steps import claim_many, post, until
from tests.quality.check_steps import RIGHT, checks, do_next, quality, rows
from tests.running import Node, Party, running_node


async def drawn(node: Node, count: int, **fields: object) -> list[str]:
    """So many results, each with a check whose copy is due; the ids of the checks."""
    await quality(node, spot_check_rate=1, **fields)
    buyer, worker = await node.buyer(), await node.worker()
    for _ in range(count):
        await post(buyer)
        await do_next(worker, RIGHT)
    await quality(node)
    return [str(row[0]) for row in await rows(node, "SELECT id FROM checks ORDER BY id")]


def paid(buyer: Party, prompt: str = "hello") -> Post:
    order = TaskOrder(
        buyer_id=buyer.id,
        prompt=prompt,
        messages=None,
        category="general",
        min_tier="bronze",
        max_price_cents=None,
        conversation_id=None,
        metadata=None,
    )
    return Post(order, None)


def ids_of(answers: list[Any]) -> list[str | None]:
    for answer in answers:
        assert isinstance(answer, PostedTask | HiddenPosted), answer
    return [answer.task_id for answer in answers]


async def test_hidden_and_paid_ones_are_one_transaction(node: Node) -> None:
    first, second = await drawn(node, 2)
    buyer, other = await node.buyer(), await node.buyer()

    answers = await post_tasks(
        node.market,
        [paid(buyer), HiddenPost(second), paid(other), HiddenPost(first), paid(buyer)],
    )

    ids = ids_of(answers)
    assert None not in ids
    assert ids == sorted(ids, key=str), "the ids are made in the order in which they came"
    same = await rows(
        node,
        "SELECT count(*), count(DISTINCT xmin::text), count(DISTINCT created_at),"
        " count(DISTINCT expires_at), count(*) FILTER (WHERE buyer_id IS NULL)"
        " FROM tasks WHERE id = ANY(%s)",
        ids,
    )
    assert same == [(5, 1, 1, 1, 2)]
    assert await rows(node, "SELECT id, copy_task_id, stage FROM checks ORDER BY id") == [
        (first, ids[3], "copying"),
        (second, ids[1], "copying"),
    ]
    assert len(await claim_many(await node.worker())) == 5
    await node.prove()


async def test_one_is_queued_once_and_only_when_it_is_due(node: Node) -> None:
    due, later = await drawn(node, 2)
    await rows(node, "UPDATE checks SET due_at = now() + interval '9 s' WHERE id = %s", later)
    wanted = [HiddenPost(due), HiddenPost(due), HiddenPost(later), HiddenPost("chk_none")]
    for expected in (1, 0):
        ids = ids_of(await post_tasks(node.market, wanted))
        assert len([one for one in ids if one is not None]) == expected
    assert await rows(node, "SELECT stage FROM checks ORDER BY id") == [("copying",), ("due",)]
    await node.prove()


async def test_what_the_database_refuses_spoils_nothing_else(node: Node) -> None:
    (due,) = await drawn(node, 1)
    buyer = await node.buyer()
    answers = await post_tasks(
        node.market, [paid(buyer), paid(buyer, "a\x00b"), HiddenPost(due), paid(buyer)]
    )
    assert isinstance(answers[1], Exception)
    del answers[1]
    assert None not in ids_of(answers)
    await node.prove()


async def test_a_hidden_one_alone_is_written_as_a_paid_one_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    (due,) = await drawn(node, 1)
    buyer = await node.buyer()
    said: list[str] = []
    execute = psycopg.AsyncConnection.execute

    async def recording(self: Any, query: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        said.append(str(query))
        return await execute(self, query, *args, **named)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", recording)

    async def written(one: Post | HiddenPost) -> int:
        """How many statements there are from the one that writes the new id."""
        said.clear()
        await post_tasks(node.market, [one])
        ((at,),) = [[n for n, query in enumerate(said) if "INSERT INTO tasks " in query]]
        return len(said) - at

    assert await written(paid(buyer)) == await written(HiddenPost(due))


async def stays_due(node: Node, check_id: str) -> bool:
    return await rows(node, "SELECT stage FROM checks WHERE id = %s", check_id) == [("due",)]


async def prices_of(node: Node, check_id: str) -> tuple[object, ...]:
    ((price, reserved, spent, task),) = await rows(
        node,
        "SELECT c.price_cents, reserved_cents, spent_cents, t.price_cents FROM checks c"
        " JOIN tasks t ON t.id = coalesce(c.arbiter_task_id, c.copy_task_id) WHERE c.id = %s",
        check_id,
    )
    return price, reserved, spent, task


@pytest.mark.parametrize("base", [7, 40])
async def test_it_costs_what_a_paid_one_costs_now(node: Node, base: int) -> None:
    (due,) = await drawn(node, 1)
    bases = node.market.config.pricing.base_cents
    await node.configure("pricing", base_cents=dict.fromkeys(bases, base))
    posted = await post(await node.buyer())
    price = posted["price_cents"]
    assert price != 12

    assert await queue_checks(node.market) == 1

    # What is reserved is for an arbiter, at this price too.
    assert await prices_of(node, due) == (price, price, price, price)
    await node.prove()


async def test_without_budget_for_a_higher_price_there_is_none(node: Node) -> None:
    await drawn(node, 1)
    await quality(node, budget_floor_cents=24)
    bases = node.market.config.pricing.base_cents
    await node.configure("pricing", base_cents=dict.fromkeys(bases, 40))
    assert await queue_checks(node.market) == 0
    assert await rows(node, "SELECT stage, reason, reserved_cents FROM checks") == [
        ("void", "the budget does not cover its price", 0)
    ]
    assert await rows(node, "SELECT count(*) FROM tasks WHERE buyer_id IS NULL") == [(0,)]
    await node.prove()


async def test_a_gold_task_that_somebody_holds_waits(node: Node) -> None:
    await quality(node, benchmark_rate=1)
    body = {"prompt": "hello", "answers": [RIGHT]}
    await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)
    await node.worker()
    await node.operator().ok("POST", "/api/cron/benchmark-inject")
    await rows(
        node,
        "UPDATE checks SET stage = 'due', copy_task_id = NULL, reserved_cents = spent_cents,"
        " spent_cents = 0",
    )
    await rows(node, "UPDATE golds SET exposures = 4")
    async with node.market.db.transaction() as conn:
        await conn.execute("SELECT FROM golds FOR UPDATE")
        # Nothing is waited for while checks are held.
        async with asyncio.timeout(5):
            assert await queue_checks(node.market) == 0
    assert await checks(node) == [("gold", "due", None, None)]
    await rows(node, "UPDATE checks SET due_at = now()")
    assert await queue_checks(node.market) == 1
    assert await rows(node, "SELECT exposures, retired_at IS NULL FROM golds") == [(5, False)]


async def test_two_processes_queue_each_once_at_its_moment(node: Node, dsn: str) -> None:
    await drawn(node, 12)
    await rows(node, "UPDATE checks SET due_at = now() + random() * interval '0.4 s'")
    async with running_node(dsn, background=False) as other:
        both = [DueChecks(where.market, where.services.posts.submit) for where in (node, other)]
        await asyncio.gather(*(one.look() for one in both * 2))
        async with asyncio.timeout(10):
            while await rows(node, "SELECT 1 FROM checks WHERE stage = 'due'"):
                await asyncio.gather(*(one.look() for one in both))
        await asyncio.gather(*(one.finish() for one in both))
    assert await rows(
        node,
        "SELECT count(*), count(DISTINCT check_id), count(DISTINCT xmin::text) > 6 FROM tasks"
        " WHERE buyer_id IS NULL",
    ) == [(12, 12, True)]
    # No earlier than they were due, and not long after it.
    assert await rows(
        node,
        "SELECT max(t.created_at - c.due_at) < interval '2 s', min(t.created_at) >= min(c.due_at)"
        " FROM tasks t JOIN checks c ON c.copy_task_id = t.id",
    ) == [(True, True)]
    await node.prove()


async def test_one_process_tries_each_once(node: Node) -> None:
    (due,) = await drawn(node, 1)
    tried: list[str] = []
    may_end = asyncio.Event()

    async def queue(one: HiddenPost) -> None:
        tried.append(one.check_id)
        await may_end.wait()

    clock = DueChecks(node.market, queue)
    for _ in range(3):
        await clock.look()
    await until(lambda: tried != [])
    await clock.look()
    assert tried == [due]
    may_end.set()
    await clock.finish()


async def test_what_is_due_as_a_process_stops_stays_due(node: Node) -> None:
    under_way, soon = await drawn(node, 2)
    await rows(node, "UPDATE checks SET due_at = now() + interval '0.6 s' WHERE id = %s", soon)
    began, may_go_on = asyncio.Event(), asyncio.Event()

    async def queue(one: HiddenPost) -> object:
        began.set()
        await may_go_on.wait()
        return await node.services.posts.submit(one)

    clock = DueChecks(node.market, queue)
    await clock.look()
    await began.wait()
    clock.stop()
    stopping = asyncio.create_task(clock.finish())
    await asyncio.sleep(0.7)
    await clock.look()
    assert not stopping.done()
    may_go_on.set()
    await stopping

    # What had begun was brought to its end, and the other is another's.
    assert await stays_due(node, soon)
    assert not await stays_due(node, under_way)
    assert await queue_checks(node.market) == 1
    await node.prove()


async def test_one_that_cannot_be_queued_is_left_alone_for_a_while(node: Node) -> None:
    await drawn(node, 1)
    tried = 0

    async def queue(_: HiddenPost) -> None:
        nonlocal tried
        tried += 1
        raise RuntimeError("a fault")

    clock = DueChecks(node.market, queue)
    for _ in range(3):
        await clock.look()
        await asyncio.sleep(0.05)
    await clock.finish()
    assert tried == 1


async def test_what_is_overdue_is_spread(node: Node) -> None:
    await drawn(node, 20)
    await rows(node, "UPDATE checks SET due_at = now() - interval '50 s'")
    moments: list[float] = []

    async def queue(_: HiddenPost) -> None:
        moments.append(asyncio.get_running_loop().time())

    clock = DueChecks(node.market, queue)
    began = asyncio.get_running_loop().time()
    await clock.look()
    await until(lambda: len(moments) == 20)
    await clock.finish()
    assert moments[-1] - moments[0] > 0.3
    assert moments[-1] - began < 5
    async with node.market.db.read() as conn:
        assert len(await store_due.select_soon(conn, 0.0, 100)) == 20
