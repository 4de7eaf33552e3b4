"""SIGTERM under load: everybody is answered, nothing new is begun, and the exit code is 0."""

import asyncio

import httpx

from tests.bad_days.load import Load
from tests.bad_days.programs import behind, web
from tests.dispatch.sockets import poll

PARKED = 20


async def test_a_node_that_stops_under_load_answers_all_and_claims_no_more(dsn: str) -> None:
    async with behind(dsn) as back, web(dsn) as node:
        load = Load([node.address])
        quiet = await back.worker(categories=["quiet"], max_concurrent=100)
        parked = [await poll(node.address, quiet, wait=60) for _ in range(PARKED)]
        tokens = [await back.worker() for _ in range(6)]
        lives = [asyncio.create_task(load.work(token)) for token in tokens]
        key = await back.buyer()

        async def buy_for_ever(name: str) -> None:
            async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
                number = 0
                while not load.stop.is_set():
                    number += 1
                    await load.buy(client, key, f"{name} {number}")

        buying = [asyncio.create_task(buy_for_ever(f"buyer {n}")) for n in range(3)]
        await load.acknowledged(25)
        node.terminate()
        async with asyncio.timeout(5):
            assert [await each.status() for each in parked] == [204] * PARKED
        assert await node.ended() == 0, node.text()
        load.stop.set()
        await asyncio.gather(*lives, *buying)
        # Whatever was answered was answered properly, and what was not had not been begun.
        assert {status for status, _ in load.answers} <= {200, 201, 204, 503}
        assert load.unanswered == [] or load.away > 0
        stored = {row[0] for row in back.rows("SELECT task_id FROM task_results")}
        assert set(load.receipts) <= stored
        unsure = {body["task_id"] for _, body in load.unanswered}
        assert stored <= set(load.receipts) | unsure
        # No task was claimed for a worker that never heard of it.
        held = {row[0] for row in back.rows("SELECT task_id FROM leases")}
        assert held <= load.held | unsure
        assert {row[0] for row in back.rows("SELECT id FROM tasks")} >= set(load.posted.values())
        assert back.rows("SELECT 1 FROM nodes") == []
        await back.prove()
        # The next node finds the market as it was left.
        async with web(dsn) as again:
            load.addresses = [again.address]
            await load.check_receipts(back)
            await again.stop()
        await back.prove()
        for each in parked:
            await each.hang_up()
        assert "Traceback" not in node.text()
