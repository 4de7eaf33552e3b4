"""The real process is killed while it judges several checks: all of each is done, or nothing."""

from collections.abc import AsyncIterator

import pytest

from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.market.queue_checks import queue_checks
from openclaw_jobs.workers import Preferences
from tests.bad_days.programs import Back, background, behind, caller, until, web
from tests.conftest import Postgres
from tests.quality.check_steps import QUIET, RIGHT
from tests.quality.test_check_crashes import JUDGED, KILLED
from tests.running import ADMIN_TOKEN

COUNT = 3


@pytest.fixture
async def back(postgres: Postgres) -> AsyncIterator[tuple[str, Back]]:
    with postgres.database() as dsn:
        async with behind(dsn) as opened:
            await opened.configure("quality", **{**QUIET, "spot_check_rate": 1})
            yield dsn, opened


async def complete_all(back: Back, address: str) -> None:
    """Have a new worker do what is in the queue."""
    _, token = await connect_worker(
        back.market, name=None, model=None, capabilities=[], preferences=Preferences(), replay=None
    )
    async with caller(address, token) as http:
        for _ in range(COUNT):
            claimed = (await http.get("/api/work/next?wait=20")).json()
            body = {name: claimed[name] for name in ("task_id", "lease_token")}
            answer = await http.post(
                "/api/work/submit", json={**body, "status": "completed", "result": RIGHT}
            )
            assert answer.status_code == 200, answer.text


async def test_checks_that_are_judged_together_survive_it_together(back: tuple[str, Back]) -> None:
    dsn, behind_it = back
    market = behind_it.market
    _, key = await create_funded_buyer(market, "crash@example.com", 10_000, "test")
    async with web(dsn, ADMIN_TOKEN=ADMIN_TOKEN) as living:
        async with caller(living.address, key.key) as http:
            for _ in range(COUNT):
                assert (await http.post("/api/task", json={"prompt": "hello"})).status_code == 201
        await complete_all(behind_it, living.address)
        await queue_checks(market)
        await complete_all(behind_it, living.address)
    for point in JUDGED:
        async with background(dsn, ADMIN_TOKEN=ADMIN_TOKEN, OPENCLAW_FAILPOINT=point) as program:
            assert await program.ended() == KILLED, program.text()
        stages = behind_it.rows("SELECT stage, agree FROM checks")
        assert stages == [("comparing", None)] * COUNT, point
        assert behind_it.rows("SELECT FROM outcomes") == []
        assert behind_it.rows("SELECT FROM worker_records WHERE good > 0") == []
    async with background(dsn, ADMIN_TOKEN=ADMIN_TOKEN) as running:
        decided = "SELECT FROM checks WHERE stage = 'decided'"
        await until(lambda: len(behind_it.rows(decided)) == COUNT)
        await running.stop()
    assert behind_it.rows("SELECT good, bad, streak FROM worker_records") == [(3, 0, 3)] * 2
    assert behind_it.rows("SELECT count(*) FROM outcomes WHERE NOT bad") == [(2 * COUNT,)]
    proof = await prove_ledger(market)
    assert proof.ok, proof.violations
