"""The background process dies, comes back, and shares its work with another."""

import asyncio
from collections import Counter
from functools import partial

from openclaw_jobs.dispatch import ClaimRequest
from openclaw_jobs.market.claim_tasks import claim_tasks
from openclaw_jobs.market.open_accounts import create_funded_buyer
from openclaw_jobs.market.post_task import TaskOrder, post_task
from openclaw_jobs.workers import Preferences, WorkerIdentity
from tests.bad_days.programs import Back, background, behind, together, until
from tests.dispatch.crowd import run
from tests.dispatch.seekers import Someone, classes_of

TASKS = 60


async def claimed(back: Back, worker: str, *, count: int, max_each: int = 20) -> set[str]:
    """Let a worker claim what is queued, past the doors, and let the leases run out at once."""
    worker_id = back.rows(
        "SELECT id FROM workers WHERE token_hash = sha256(convert_to(%s, 'UTF8'))", worker
    )[0][0]
    got: set[str] = set()
    while len(got) < count:
        identity = WorkerIdentity(worker_id, "bronze", "active", None, Preferences(), None)
        result = await claim_tasks(
            back.market,
            ClaimRequest(
                lanes={None: None},
                limit=max_each,
                classes=classes_of([Someone(identity, max_each, 1)]),
            ),
        )
        assert result.assignments
        got |= {a.claim.task_id for a in result.assignments}
    return got


def run_out(back: Back) -> None:
    run(back.dsn, "UPDATE leases SET expires_at = now() - interval '1 s'")


def _all_are(back: Back, status: str) -> bool:
    return back.statuses() == {status: TASKS}


async def queue_paid(back: Back, count: int) -> set[str]:
    buyer_id, _ = await create_funded_buyer(
        back.market, f"paid{count}-{id(back)}@example.com", 1_000_000, "test"
    )
    order = TaskOrder(
        buyer_id=buyer_id,
        prompt="x",
        messages=None,
        category="general",
        min_tier="bronze",
        max_price_cents=None,
        conversation_id=None,
        metadata=None,
    )
    return {(await post_task(back.market, order, None)).task_id for _ in range(count)}


async def test_leases_that_ran_out_while_nobody_looked_are_recovered(dsn: str) -> None:
    async with behind(dsn, strikes=100) as back:
        async with background(dsn) as dies:
            dies.kill()
            assert await dies.ended() == -9
        tasks = await queue_paid(back, 5)
        assert await claimed(back, await back.worker(max_concurrent=100), count=5) == tasks
        run_out(back)
        assert back.statuses() == {"claimed": 5}
        async with background(dsn) as again:
            await until(lambda: back.statuses() == {"queued": 5})
            await again.stop()
        await back.prove()


async def test_two_of_them_recover_each_lease_once(dsn: str) -> None:
    """Some tasks go back to the queue; those that failed for the last time are refunded, once."""
    async with behind(dsn, strikes=100, max_attempts=2) as back:
        tasks = await queue_paid(back, TASKS)
        async with together(background(dsn), background(dsn)) as both:
            for status in ("queued", "failed"):
                worker = await back.worker(max_concurrent=100)
                assert await claimed(back, worker, count=TASKS) == tasks
                run_out(back)
                await until(partial(_all_are, back, status))
            await asyncio.gather(*(each.stop() for each in both))
        ended = back.rows("SELECT task_id, attempt, outcome FROM attempts")
        assert Counter(outcome for _, _, outcome in ended) == {"expired": 2 * TASKS}
        assert len({(task, attempt) for task, attempt, _ in ended}) == 2 * TASKS
        counted = back.rows("SELECT expired FROM worker_stats ORDER BY expired DESC LIMIT 2")
        assert counted == [(TASKS,), (TASKS,)]
        moved = back.rows("SELECT kind, count(*) FROM transfers GROUP BY kind")
        assert (dict(moved)["task_charge"], dict(moved)["refund_failed"]) == (TASKS, TASKS)
        assert back.rows("SELECT sum(spent_cents) FROM buyer_totals") == [(0,)]
        kinds = Counter(
            kind for (kind,) in back.rows("SELECT type FROM events WHERE task_id IS NOT NULL")
        )
        assert kinds["task.failed"] == TASKS
        assert kinds["task.queued"] == 2 * TASKS
        await back.prove()
