"""The real process is killed between any two steps of a check; afterwards nothing is amiss."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from openclaw_jobs.kit.failpoints import POINTS
from openclaw_jobs.market.open_accounts import connect_worker, create_funded_buyer
from openclaw_jobs.market.prove_ledger import prove_ledger
from openclaw_jobs.workers import Preferences
from tests.bad_days.programs import Back, background, behind, caller, until, web
from tests.conftest import Postgres
from tests.quality.check_steps import QUIET, RIGHT, WRONG
from tests.running import ADMIN_TOKEN

QUEUED = "check.queued"
JUDGED = ("check.compared", "check.judged", "check.blamed", "check.recorded")
KILLED = -9


def test_every_point_is_died_at() -> None:
    assert {point for point in POINTS if point.startswith("check.")} == {QUEUED, *JUDGED}


@pytest.fixture
async def back(postgres: Postgres) -> AsyncIterator[tuple[str, Back]]:
    with postgres.database() as dsn:
        async with behind(dsn) as opened:
            await opened.configure("quality", **{**QUIET, "spot_check_rate": 1})
            yield dsn, opened


async def test_a_check_survives_a_death_at_any_step(back: tuple[str, Back]) -> None:
    dsn, behind_it = back
    market = behind_it.market
    buyer_id, key = await create_funded_buyer(market, "crash@example.com", 10_000, "test")
    workers = [
        await connect_worker(
            market, name=None, model=None, capabilities=[], preferences=Preferences(), replay=None
        )
        for _ in range(3)
    ]

    async def die(point: str) -> None:
        async with background(dsn, ADMIN_TOKEN=ADMIN_TOKEN, OPENCLAW_FAILPOINT=point) as program:
            assert await program.ended() == KILLED, program.text()

    async def do_next(address: str, number: int, result: str) -> None:
        async with caller(address, workers[number][1]) as http:
            claimed = (await http.get("/api/work/next?wait=20")).json()
            body = {name: claimed[name] for name in ("task_id", "lease_token")}
            # It is drawn, queued and died for as this is answered: the answer may be lost by it.
            with contextlib.suppress(httpx.TransportError):
                answer = await http.post(
                    "/api/work/submit", json={**body, "status": "completed", "result": result}
                )
                assert answer.status_code == 200, answer.text

    async with web(dsn, ADMIN_TOKEN=ADMIN_TOKEN, OPENCLAW_FAILPOINT=QUEUED) as dying:
        async with caller(dying.address, key.key) as http:
            posted = await http.post("/api/task", json={"prompt": "hello"})
            assert posted.status_code == 201
        await do_next(dying.address, 0, WRONG)
        assert await dying.ended() == KILLED, dying.text()
    # The death undoes the copy; the next process makes it.
    assert behind_it.rows("SELECT count(*) FROM tasks WHERE buyer_id IS NULL") == [(0,)]
    assert behind_it.rows("SELECT stage FROM checks") == [("due",)]
    async with web(dsn, ADMIN_TOKEN=ADMIN_TOKEN) as living:
        async with background(dsn, ADMIN_TOKEN=ADMIN_TOKEN) as running:
            await do_next(living.address, 1, RIGHT)
            await until(
                lambda: behind_it.rows("SELECT FROM checks WHERE arbiter_task_id IS NOT NULL") != []
            )
            await running.stop()
        await do_next(living.address, 2, RIGHT)
        for point in JUDGED:
            await die(point)
            assert behind_it.rows("SELECT stage FROM checks") == [("deciding",)], point
            assert behind_it.rows("SELECT FROM outcomes") == []
        async with background(dsn, ADMIN_TOKEN=ADMIN_TOKEN) as running:
            await until(lambda: behind_it.rows("SELECT FROM checks WHERE stage = 'decided'") != [])
            await running.stop()
    assert behind_it.rows("SELECT first_verdict, second_verdict FROM checks") == [("bad", "good")]
    assert sorted(behind_it.rows("SELECT good, bad FROM worker_records")) == [(0, 1), (1, 0)]
    assert behind_it.rows("SELECT count(*) FROM transfers WHERE kind = 'credit'") == [(1,)]
    assert behind_it.rows(
        "SELECT balance_cents FROM balances WHERE owner = %s AND account = 'buyer:promo'", buyer_id
    ) == [(10_000,)]
    proof = await prove_ledger(market)
    assert proof.ok, proof.violations
