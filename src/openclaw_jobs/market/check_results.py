"""What a submission means for checks: it is a part of one, or one may be made of it."""

from collections import Counter
from collections.abc import Sequence

from openclaw_jobs.dispatch.models import Lease
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.draw_checks import draw_spot
from openclaw_jobs.market.unit import Unit
from openclaw_jobs.quality import store_checks as store
from openclaw_jobs.quality.checks import NewCheck, Part


async def check_results(market: Market, unit: Unit, done: Sequence[Lease]) -> None:
    """Bring results, which are written, to the checks that they are of, and draw new ones.

    One statement, sent with the others of the transaction, whether there is anything to do or not:
    a result that has nothing to do with checks must not be settled sooner than others.
    """
    parts = [
        Part(lease.check_id, lease.task_id, lease.worker_id)
        for lease in done
        if lease.check_id is not None
    ]
    drawn: Counter[str] = Counter()
    fresh: list[NewCheck] = []
    for lease in done:
        if lease.buyer_id is not None:
            unit.paid_cents += lease.price_cents
        check = draw_spot(market, unit, lease, drawn[lease.worker_id])
        if check is not None:
            drawn[lease.worker_id] += 1
            fresh.append(check)
    unit.checks_ready = bool(parts)
    quality = market.config.quality
    if parts or (done and quality.enabled):
        delay = float(quality.check_delay_seconds)
        await store.note_results(unit.conn, parts, fresh, delay)
