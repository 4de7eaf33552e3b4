"""Checks that are judged in one transaction come to what they come to one by one, and cost less."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from openclaw_jobs.market import judge_checks as judging
from openclaw_jobs.market.judge_checks import follow_ready, judge_checks
from openclaw_jobs.market.queue_checks import queue_checks
from openclaw_jobs.quality.checks import Finding, Texts
from openclaw_jobs.quality.judging import Compare, judge
from tests.conftest import Postgres
from tests.dispatch.crowd import run
from tests.market.steps import claim, claim_many, complete, post
from tests.quality.check_steps import (
    OTHER,
    RIGHT,
    WRONG,
    checks,
    do_next,
    quality,
    record_of,
    rows,
    settle,
)
from tests.running import Node, Party, running_node

COUNT = 30
DIFFER, SILENT, ERASED, REVIEWED, KIN, MOVED = (1, 2), (3,), (4, 5), (6, 7), 25, 9
BLAMED, UNKNOWN = 10, 11
FIRST = {3: "", BLAMED: WRONG}
SECOND = {1: WRONG, 2: WRONG, 3: "", UNKNOWN: WRONG}
THIRD = {BLAMED: RIGHT, UNKNOWN: OTHER}
LIMITED = {"auto_credit_rate": 0, "auto_credit_min_tasks": 0}
KIN_REASON = "two of its workers may be one person"


@dataclass
class Scene:
    """A market with checks that can be judged, before anybody has."""

    dsn: str
    checks: dict[int, str] = field(default_factory=dict)


def number_of(claimed: dict[str, Any]) -> int:
    return int(claimed["prompt"].split()[-1])


async def spot_checks(
    node: Node,
    count: int,
    first: Mapping[int, str] = MappingProxyType({}),
    second: Mapping[int, str] = MappingProxyType({}),
    reviewed: Sequence[int] = (),
) -> list[str]:
    """So many tasks done, and done again by others, so that all can be compared; their ids."""
    await quality(node, spot_check_rate=1, **LIMITED)
    buyer = await node.buyer()
    tasks = [(await post(buyer, f"Question {n}"))["id"] for n in range(count)]
    await do_all(node, count, first)
    for number in reviewed:
        answer = await buyer.post(f"/api/task/{tasks[number]}/credit", {"reason": "bad"})
        assert answer.status_code == 202
    await quality(node)
    await queue_checks(node.market)
    await do_all(node, count, second)
    return tasks


async def do_all(node: Node, count: int, results: Mapping[int, str]) -> None:
    """Have three new workers do what is in the queue."""
    for _ in range(3):
        worker = await node.worker(max_concurrent=100)
        for claimed in await claim_many(worker, -(-count // 3)):
            await complete(worker, claimed, results.get(number_of(claimed), RIGHT))


async def gold(node: Node, number: int, result: str) -> None:
    body = {"prompt": f"What is the capital of Australia, {number}?", "answers": [RIGHT]}
    await node.operator().ok("POST", "/api/admin/benchmarks", body, 201)
    worker = await node.worker()
    injected = await node.operator().ok("POST", "/api/cron/benchmark-inject")
    assert injected["injected"] == 1
    await queue_checks(node.market)
    await do_next(worker, result)


async def lay_out(dsn: str) -> Scene:
    """Checks of every kind and in every state in which they can be judged."""
    scene = Scene(dsn)
    async with running_node(dsn, background=False) as node:
        await quality(node, benchmark_rate=1)
        await gold(node, 1, RIGHT)
        await gold(node, 2, WRONG)
        tasks = await spot_checks(node, COUNT, FIRST, SECOND, REVIEWED)
        found = await rows(node, "SELECT original_task_id, id FROM checks")
        of = {task: str(check_id) for task, check_id in found}
        scene.checks = {number: of[task] for number, task in enumerate(tasks)}
        # Of two a third has its word before anybody looks at the others.
        await rows(
            node,
            "UPDATE checks SET stage = 'copying' WHERE id <> ALL(%s)",
            [scene.checks[number] for number in THIRD],
        )
        await settle(node)
        await do_all(node, len(THIRD), THIRD)
        await rows(node, "UPDATE checks SET stage = 'comparing' WHERE stage = 'copying'")
        for number in ERASED:
            await rows(node, "DELETE FROM task_results WHERE task_id = %s", tasks[number])
        await rows(
            node,
            "INSERT INTO worker_marks (worker_id, kind, mark) SELECT w, 'payout', sha256('x')"
            " FROM checks c, unnest(ARRAY[c.first_worker_id, c.second_worker_id]) w"
            " WHERE c.id = %s",
            scene.checks[KIN],
        )
        ready = await rows(node, "SELECT stage, count(*) FROM checks GROUP BY 1 ORDER BY 1")
        assert ready == [("comparing", COUNT), ("deciding", 2)]
    return scene


@asynccontextmanager
async def copy_of(scene: Scene, postgres: Postgres) -> AsyncIterator[tuple[Node, str]]:
    with postgres.database(template=str(conninfo_to_dict(scene.dsn)["dbname"])) as dsn:
        async with running_node(dsn, background=False) as node:
            yield node, dsn


AFTERMATH: dict[str, LiteralString] = {
    "checks": """SELECT to_jsonb(c) - 'due_at' - 'decided_at', decided_at IS NULL
        FROM checks c ORDER BY id""",
    "outcomes": "SELECT to_jsonb(o) - 'created_at' FROM outcomes o ORDER BY task_id",
    "records": "SELECT to_jsonb(r) FROM worker_records r ORDER BY worker_id",
    "credits": "SELECT to_jsonb(c) - 'decided_at' FROM credits c ORDER BY task_id",
    "tasks": "SELECT id, status, credited_cents FROM tasks ORDER BY id",
    "balances": "SELECT owner, account, balance_cents FROM balances ORDER BY owner, account",
    "events": """SELECT buyer_id, type, task_id FROM events WHERE buyer_id NOT LIKE 'nobody%%'
        ORDER BY 1, 2, 3""",
    "golds": "SELECT prompt, answers, exposures FROM golds ORDER BY prompt",
}


async def judge_copy(
    scene: Scene, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, judges: int = 1
) -> tuple[int, dict[str, list[Any]]]:
    """Judge a copy of the scene, one check of which is ended by somebody while it is compared."""
    async with copy_of(scene, postgres) as (node, dsn):

        def ended_meanwhile(texts: Texts, compare: Compare) -> Finding | None:
            if texts.check_id == scene.checks[MOVED]:
                run(
                    dsn,
                    "UPDATE checks SET stage = 'void', reason = 'ended', decided_at = now(),"
                    " reserved_cents = 0 WHERE id = %s AND stage = 'comparing'",
                    texts.check_id,
                )
            return judge(texts, compare)

        monkeypatch.setattr(judging, "judge", ended_meanwhile)
        # No third joins the queue while it is judged.
        await quality(node, check_delay_seconds=3600)
        async with asyncio.timeout(30):
            if judges == 1:
                moved = await judge_checks(node.market)
            else:
                async with running_node(dsn, background=False) as other:
                    moved = sum(
                        await asyncio.gather(
                            *(judge_checks(where.market) for where in (node, other))
                        )
                    )
        found: dict[str, list[Any]] = {
            name: await rows(node, query) for name, query in AFTERMATH.items()
        }
        await node.prove()
    return moved, found


async def test_together_they_come_to_what_they_come_to_alone(
    dsn: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await lay_out(dsn)
    together = await judge_copy(scene, postgres, monkeypatch)
    by_two = await judge_copy(scene, postgres, monkeypatch, judges=2)
    monkeypatch.setattr(judging, "_BATCH", 1)
    monkeypatch.setattr(judging, "_MAX_BATCHES", 100)
    alone = await judge_copy(scene, postgres, monkeypatch)

    for name in AFTERMATH:
        assert together[1][name] == alone[1][name]
        assert by_two[1][name] == alone[1][name]
    assert together[0] == by_two[0] == alone[0]
    moved, found = together
    assert moved == COUNT + 2 - 1
    by_id = {str(check["id"]): check for check, _ in found["checks"]}
    of = {number: by_id[check_id] for number, check_id in scene.checks.items()}
    kin = {of[KIN]["first_worker_id"], of[KIN]["second_worker_id"]}
    for number, check in of.items():
        came_to = (check["stage"], check["reason"])
        if number == MOVED:
            assert came_to == ("void", "ended")
        elif number in ERASED:
            assert (came_to, check["agree"]) == (("void", "a text was erased"), None)
        elif kin == {check["first_worker_id"], check["second_worker_id"]}:
            assert (came_to, check["decided_by"]) == (("void", KIN_REASON), None)
            assert check["agree"] is not None
        elif number in (*DIFFER, *SILENT):
            assert came_to == ("arbitrating", None)
            assert (check["agree"], check["reserved_cents"]) == (number in SILENT, 12)
        elif number == BLAMED:
            assert (check["first_verdict"], check["second_verdict"]) == ("bad", "good")
        elif number == UNKNOWN:
            assert (check["first_verdict"], check["second_verdict"]) == ("inconclusive",) * 2
        else:
            assert came_to == ("decided", "they agree")
            assert (check["first_verdict"], check["second_verdict"]) == ("good", "good")
            assert (check["decided_by"], check["reserved_cents"]) == ("checks", 0)
            assert check["evidence"]["copy"]["agree"] is True
    golds = [c for check_id, c in by_id.items() if check_id not in scene.checks.values()]
    assert [(c["kind"], c["second_verdict"]) for c in golds] == [("gold", "good"), ("gold", "bad")]
    # Several results of one worker count one after the other.
    judged = [o for (o,) in found["outcomes"]]
    for (record,) in found["records"]:
        mine = [o["bad"] for o in judged if o["worker_id"] == record["worker_id"]]
        assert (record["good"], record["bad"]) == (mine.count(False), mine.count(True))
    assert max(record["streak"] for (record,) in found["records"]) > 3
    assert [c["status"] for (c,) in found["credits"]].count("rejected") >= 1


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Every statement that this process sends from now on, with its connection."""
    sent: list[tuple[int, str]] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        sent.append((id(self.connection), str(query)))
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    return sent


def cost_of(statements: Sequence[tuple[int, str]], first: str) -> int:
    """How many statements a connection sent from the one on that has these words."""
    at, using = next(
        (at, using) for at, (using, statement) in enumerate(statements) if first in statement
    )
    return sum(one == using for one, _ in statements[at:])


async def test_many_cost_the_statements_of_one(
    node: Node, statements: list[tuple[int, str]]
) -> None:
    cost = []
    for count in (1, 30):
        await spot_checks(node, count)
        statements.clear()
        assert await judge_checks(node.market) == count
        cost.append(cost_of(statements, "FOR UPDATE"))
    # Tasks, checks, kin, verdicts, outcomes, three for the records, demands.
    assert cost == [9, 9]
    assert {(stage, first) for _, stage, first, _ in await checks(node)} == {("decided", "good")}
    await node.prove()


async def test_one_that_the_database_refuses_stands_in_nobodys_way(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spot_checks(node, 6)
    poison = (await rows(node, "SELECT id FROM checks ORDER BY id OFFSET 2 LIMIT 1"))[0][0]

    def poisoned(texts: Texts, compare: Compare) -> Finding | None:
        found = judge(texts, compare)
        if found is not None and texts.check_id == poison:
            # What JSON can say and no column can hold.
            found.evidence["copy"]["why"] = "\x00"
        return found

    monkeypatch.setattr(judging, "judge", poisoned)
    assert await judge_checks(node.market) == 5

    assert await rows(
        node, "SELECT stage, reason, count(*) FROM checks GROUP BY 1, 2 ORDER BY 1"
    ) == [
        ("decided", "they agree", 5),
        ("void", "it could not be judged", 1),
    ]
    assert await rows(node, "SELECT count(*), count(DISTINCT check_id) FROM outcomes") == [(10, 5)]
    await node.prove()


async def test_comparing_leaves_the_event_loop_free(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spot_checks(node, 6)
    threads: set[int] = set()
    turns: list[int] = []
    loop, done = asyncio.get_running_loop(), threading.Event()

    def compared(texts: Texts, compare: Compare) -> Finding | None:
        threads.add(threading.get_ident())
        done.clear()
        loop.call_soon_threadsafe(turns.append, 1)
        loop.call_soon_threadsafe(done.set)
        assert done.wait(10)
        return judge(texts, compare)

    monkeypatch.setattr(judging, "judge", compared)
    assert await judge_checks(node.market) == 6
    assert (len(turns), len(threads)) == (6, 1)
    assert threading.get_ident() not in threads


async def test_who_is_woken_pauses_and_who_looks_by_itself_does_not(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_SPACING_S", 3600)
    await spot_checks(node, 3)
    node.market.checks_ready.set()
    pausing = asyncio.create_task(follow_ready(node.market))
    async with asyncio.timeout(10):
        while {stage for _, stage, *_ in await checks(node)} != {"decided"}:
            assert not pausing.done()
        assert not node.market.checks_ready.is_set()
        await follow_ready(node.market)
    assert not pausing.done()
    pausing.cancel()
    await asyncio.wait([pausing])


async def test_a_result_that_two_checks_look_at_counts_once(node: Node) -> None:
    await spot_checks(node, 3)
    await rows(
        node,
        "UPDATE checks SET original_task_id = (SELECT min(original_task_id) FROM checks),"
        " first_worker_id = (SELECT first_worker_id FROM checks ORDER BY original_task_id LIMIT 1)",
    )
    assert await judge_checks(node.market) == 3
    assert await rows(
        node,
        "SELECT count(*), count(*) FILTER (WHERE c.original_task_id = o.task_id),"
        " min(o.check_id) = (SELECT min(id) FROM checks)"
        " FROM outcomes o JOIN checks c ON c.id = o.check_id",
    ) == [(4, 1, True)]
    assert await rows(node, "SELECT sum(good), sum(bad) FROM worker_records") == [(4, 0)]


async def test_a_submission_costs_the_same_statements_whatever_it_is_of(
    node: Node, statements: list[tuple[int, str]]
) -> None:
    buyer = await node.buyer()
    workers = [await node.worker() for _ in range(8)]

    async def least(some: Sequence[Party]) -> int:
        """Of several, as the node itself may use that connection afterwards."""
        costs = []
        for worker in some:
            claimed = await claim(worker)
            statements.clear()
            await complete(worker, claimed, RIGHT)
            costs.append(cost_of(statements, "JOIN leases"))
        return min(costs)

    costs = []
    for rate in (0, 1):
        await quality(node, spot_check_rate=rate)
        for _ in range(4):
            await post(buyer)
        costs.append(await least(workers[:4]))
    await quality(node)
    await queue_checks(node.market)
    costs.append(await least(workers[4:]))

    # Neither drawn nor part of one; drawn; a part of one.
    assert costs[0] <= min(costs[1:]) <= max(costs) <= costs[0] + 1
    await settle(node)
    assert {stage for _, stage, *_ in await checks(node)} == {"decided"}
    assert [await record_of(node, worker) for worker in workers] == [(1, 0, 1)] * 8
