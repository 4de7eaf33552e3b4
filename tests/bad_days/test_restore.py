"""The drill of `docs/how-to/back-up.md`: a dump of a running marketplace, restored elsewhere."""

import asyncio
import os
from pathlib import Path

import httpx
import psycopg

from openclaw_jobs.db.dump import dump_schema
from openclaw_jobs.db.embedded import EmbeddedServer
from tests.bad_days.load import Load
from tests.bad_days.programs import Back, background, behind, caller, program, together, until, web
from tests.conftest import TEST_SETTINGS
from tests.parts import postgres_program

DONE = 12
WAITING = 5
PATIENCE_S = 90.0
COUNTED = ("tasks", "task_results", "earnings", "transfers", "postings", "events", "leases")


async def run(name: str, *arguments: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(
        postgres_program(name),
        *arguments,
        env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert (process.returncode, said.decode()) == (0, ""), name


async def restore(dump: Path, server: EmbeddedServer) -> str:
    """Into a server that has never heard of this marketplace, but for the two roles."""
    dsn = server.dsn("restored")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE openclaw_app NOLOGIN")
        admin.execute("GRANT openclaw_app TO postgres")
        admin.execute("CREATE DATABASE restored")
    await run("pg_restore", "--exit-on-error", "--no-owner", "--dbname", dsn, dump)
    return dsn


async def trade(back: Back, load: Load, key: str) -> None:
    """Have tasks posted and done."""
    working = [asyncio.create_task(load.work(await back.worker())) for _ in range(3)]
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        for number in range(DONE):
            await load.buy(client, key, f"task {number}")
    await load.all_done(back, PATIENCE_S)
    load.stop.set()
    await asyncio.gather(*working)


def counts(dsn: str) -> list[tuple[int, ...] | None]:
    with psycopg.connect(dsn) as conn:
        return [conn.execute(f"SELECT count(*) FROM {table}").fetchone() for table in COUNTED]  # noqa: S608


async def test_a_dump_of_a_running_marketplace_serves_from_an_empty_server(
    dsn: str, data_dir: Path, tmp_path: Path
) -> None:
    dump = tmp_path / "openclaw.dump"
    async with behind(dsn) as back, web(dsn) as source:
        load = Load([source.address])
        key = await back.buyer()
        await trade(back, load, key)
        # One task is being worked on and some are waiting, as at any moment.
        token = await back.worker()
        async with caller(source.address, key) as buyer, caller(source.address, token) as worker:
            for number in range(WAITING + 1):
                posted = await buyer.post("/api/task", json={"prompt": f"late {number}"})
                assert posted.status_code == 201
            held = (await worker.get("/api/work/next")).json()
            await run("pg_dump", "--format=custom", "--file", dump, "--dbname", dsn)
            balance = (await buyer.get("/api/balance")).json()
        before, schema = counts(dsn), dump_schema(dsn)
        await source.stop()

    with EmbeddedServer.start(data_dir, settings=TEST_SETTINGS) as server:
        restored = await restore(dump, server)
        assert dump_schema(restored) == schema
        async with program("migrate", ready="is at revision", DATABASE_URL=restored) as migrate:
            assert await migrate.ended() == 0, migrate.text()
        async with program("ledger", "verify", ready="adds up", DATABASE_URL=restored) as verify:
            assert await verify.ended() == 0, verify.text()
        assert counts(restored) == before
        async with (
            behind(restored) as back,
            together(web(restored), background(restored)) as (node, jobs),
        ):
            await back.prove()
            load.addresses = [node.address]
            # Who had a receipt has it still, and who held a task hands it in.
            await load.check_receipts(back)
            async with caller(node.address, key) as buyer, caller(node.address, token) as worker:
                assert (await buyer.get("/api/balance")).json() == balance
                body = {**held, "status": "completed", "result": "did it elsewhere"}
                fields = ("task_id", "lease_token", "status", "result")
                answer = await worker.post(
                    "/api/work/submit", json={field: body[field] for field in fields}
                )
                assert answer.status_code == 200, answer.text
            await finish(back, node.address, key)
            await node.stop()
            await jobs.stop()
            await back.prove()


async def finish(back: Back, address: str, key: str) -> None:
    """What waited gets done, and so does what is posted now."""
    load = Load([address])
    working = [asyncio.create_task(load.work(await back.worker())) for _ in range(2)]
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
        await load.buy(client, key, "posted after the restore")
    await until(lambda: back.statuses() == {"completed": DONE + WAITING + 2}, PATIENCE_S)
    load.stop.set()
    await asyncio.gather(*working)
