"""An operator looks through checks."""

import msgspec

from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.kit.ids import is_id
from openclaw_jobs.market.context import Market
from openclaw_jobs.quality import store_reading as store
from openclaw_jobs.quality.checks import CheckKind, CheckRow, CheckStage


class CheckPage(msgspec.Struct, frozen=True):
    """Some checks, newest first; `resume_after` is the last id if there are more."""

    checks: list[CheckRow]
    resume_after: str | None


async def list_checks(
    market: Market,
    before: str | None,
    stage: CheckStage | None,
    kind: CheckKind | None,
    worker_id: str | None,
    limit: int,
) -> CheckPage:
    """A page of checks; `before` is the last id of the page before."""
    async with market.db.read() as conn:
        found = await store.select_page(
            conn, before, limit + 1, stage=stage, kind=kind, worker_id=worker_id
        )
    page = found[:limit]
    return CheckPage(page, page[-1].check_id if len(found) > limit else None)


async def get_check(market: Market, check_id: str) -> CheckRow:
    """One check.

    Raises:
        Problem: `not_found`.
    """
    if is_id("chk", check_id):
        async with market.db.read() as conn:
            found = await store.select_one(conn, check_id)
        if found is not None:
            return found
    raise not_found("check")
