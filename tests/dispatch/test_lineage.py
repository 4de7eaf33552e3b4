"""A text of which there are several executions is shown to nobody twice, nor to its kin."""

import asyncio
from collections.abc import Sequence

from openclaw_jobs.dispatch import ClaimRequest
from openclaw_jobs.market.claim_tasks import claim_tasks, give_back
from openclaw_jobs.market.explain_empty import explain_empty
from openclaw_jobs.market.note_networks import Networks
from openclaw_jobs.workers import WorkerIdentity
from openclaw_jobs.workers.marks import mark_of, network_of
from tests.dispatch.crowd import hire, queue, run
from tests.dispatch.seekers import Someone, classes_of
from tests.running import Node


async def claims(node: Node, *workers: WorkerIdentity, limit: int = 100) -> list[tuple[str, str]]:
    """Who is handed what in one round in which each takes as many as there are."""
    seekers = [Someone(w, 100, n) for n, w in enumerate(workers)]
    request = ClaimRequest(lanes={None: None}, limit=limit, classes=classes_of(seekers))
    result = await claim_tasks(node.market, request)
    return sorted((a.claim.worker_id, a.claim.task_id) for a in result.assignments)


def twins(dsn: str, count: int = 2, prefix: str = "twin") -> list[str]:
    """Tasks of one lineage."""
    ids = queue(dsn, count, prefix)
    run(dsn, "UPDATE tasks SET lineage = %s WHERE id = ANY(%s)", ids[0], ids)
    return ids


def mark(dsn: str, workers: Sequence[WorkerIdentity], kind: str, value: str) -> None:
    for worker in workers:
        statement = "INSERT INTO worker_marks (worker_id, kind, mark) VALUES (%s, %s, %s)"
        run(dsn, statement, worker.worker_id, kind, mark_of(kind, value))  # type: ignore[arg-type]


async def test_nobody_is_shown_a_text_twice(node: Node, dsn: str) -> None:
    first, second = await hire(node.market, dsn), await hire(node.market, dsn)
    twins(dsn, 3)
    assert len(await claims(node, first)) == 1, "in one round"
    assert await claims(node, first) == [], "and in the next"
    assert [who for who, _ in await claims(node, first, second)] == [second.worker_id]
    assert await claims(node, first, second) == []


async def test_two_rounds_at_once_show_a_text_once(node: Node, dsn: str) -> None:
    worker = await hire(node.market, dsn, max_concurrent=1000)
    for number in range(20):
        twins(dsn, 2, f"pair{number:02}")
    await asyncio.gather(*(claims(node, worker, limit=7) for _ in range(12)))
    for _ in range(5):
        await claims(node, worker)
    held = run(
        dsn,
        "SELECT count(*), count(DISTINCT t.lineage) FROM leases l JOIN tasks t ON t.id = l.task_id",
    )
    assert held == [(20, 20)]


async def test_who_shares_a_mark_is_not_shown_the_other_twin(node: Node, dsn: str) -> None:
    for kind in ("email", "payout", "network"):
        one, kin = await hire(node.market, dsn), await hire(node.market, dsn)
        stranger = await hire(node.market, dsn)
        mark(dsn, [one, kin], kind, "a@example.com")
        mark(dsn, [stranger], kind, "b@example.com")
        twins(dsn, 2, kind)
        assert len(await claims(node, one)) == 1
        assert await claims(node, kin) == [], kind
        assert len(await claims(node, stranger)) == 1
        run(dsn, "DELETE FROM worker_marks")


async def test_networks_count_only_where_the_operator_says_so(node: Node, dsn: str) -> None:
    one, kin = await hire(node.market, dsn), await hire(node.market, dsn)
    mark(dsn, [one, kin], "network", "203.0.113.7")
    twins(dsn)
    assert len(await claims(node, one)) == 1
    assert await claims(node, kin) == []
    settings = node.market.config.quality
    values = {f: getattr(settings, f) for f in settings.__struct_fields__}
    await node.configure("quality", **values | {"separate_by_address": False})
    assert len(await claims(node, kin)) == 1


async def test_no_reason_tells_of_a_text_that_was_shown_before(node: Node, dsn: str) -> None:
    one, kin = await hire(node.market, dsn), await hire(node.market, dsn)
    mark(dsn, [one, kin], "email", "a@example.com")
    twins(dsn)
    await claims(node, one)
    for worker in (one, kin):
        assert (await explain_empty(node.market, worker)).why == {"no task waits": 1}


async def test_a_text_handed_to_a_poll_that_hung_up_was_not_shown(node: Node, dsn: str) -> None:
    worker = await hire(node.market, dsn)
    (task,) = twins(dsn, 1)
    request = ClaimRequest(lanes={None: None}, limit=1, classes=classes_of([Someone(worker, 1, 1)]))
    result = await claim_tasks(node.market, request)
    await give_back(node.market, [a.claim for a in result.assignments])
    assert await claims(node, worker) == [(worker.worker_id, task)]


def test_networks_of_addresses() -> None:
    """Documentation addresses (RFC 5737, RFC 3849) aren't global either, so real ones are named."""
    assert network_of("8.8.8.8") == "8.8.8.8"
    assert network_of("::ffff:8.8.8.8") == "8.8.8.8"
    assert network_of("2606:4700:4700::1111") == network_of("2606:4700:4700::64")
    for silent in ("127.0.0.3", "::1", "10.1.2.3", "192.168.0.9", "fe80::1", "224.0.0.1", "nobody"):
        assert network_of(silent) is None, silent


async def test_a_worker_is_marked_once_by_each_network_it_calls_from(node: Node, dsn: str) -> None:
    worker = await hire(node.market, dsn)
    networks = Networks(node.market)
    for address in ("8.8.8.8", "8.8.8.8", "127.0.0.1", "8.8.4.4", "2606:4700::1", "2606:4700::2"):
        networks.note(worker.worker_id, address)
    assert await networks.write() == 3
    assert await networks.write() == 0
    networks.note(worker.worker_id, "8.8.8.8")
    assert await networks.write() == 0, "known"
    assert run(dsn, "SELECT count(*) FROM worker_marks") == [(3,)]
