"""Bad workers among honest ones, all in processes of their own, against a server's process."""

from bench.stage import SETTINGS
from bench.town import BAD, Size, live
from openclaw_jobs.app import prepare_database


async def test_every_bad_worker_is_stopped_and_no_honest_one(dsn: str) -> None:
    """`live` proves the buyers' money and the ledger; `python -m bench --only town` is larger."""
    await prepare_database(SETTINGS, dsn)
    found = await live(dsn, Size(honest=7, task_s=0.2, most_tasks=3_000, golds=30, at_once=True))
    assert set(found.stopped) == set(BAD)
    assert found.blamed == 0
    assert found.stopped["turncoat"] > 25
    assert found.hidden > 0
