"""Each rail's own records are compared with the ledger, and what is stuck here is looked for."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from openclaw_jobs import audit
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.store import begin_snapshot, plan_for_whole_tables, try_job_lock
from openclaw_jobs.market.unit import begin
from openclaw_jobs.payments.providers import ProviderUnavailable, RailRecord
from openclaw_jobs.payments.reconciliation import RailRecords, Reconciliation, rules, store
from openclaw_jobs.payments.reconciliation.models import OWN_BOOKS, Finding

_log = structlog.get_logger(__name__)

LOOK_BACK: Final = timedelta(days=7)
"""What is compared each day, so that a finding stays in the report until it is a week old."""
SETTLING: Final = timedelta(hours=4)
"""What is younger may still be on its way from one side to the other.

PayPal's report has a transaction after three hours at the latest:
https://developer.paypal.com/docs/api/transaction-search/v1/
"""
SLACK: Final = timedelta(days=3)
"""How far apart in time the two sides of one movement may be."""
AGED: Final = timedelta(hours=24)
"""A payout that is not paid so long after its approval wants looking at."""

_EVERY: Final = timedelta(days=1)
_RAIL_TIMEOUT_S: Final = 120.0
_MAX_FINDINGS: Final = 500


class Reconciled(msgspec.Struct, frozen=True):
    """What a run did, over all rails.

    Attributes:
        rails: How many were compared.
        matched: How many movements agree.
        findings: How many things want looking at, our own books' included.
        errors: How many rails could not be compared.
    """

    rails: int = 0
    matched: int = 0
    findings: int = 0
    errors: int = 0


async def reconcile(
    market: Market, rails: Sequence[RailRecords], *, actor: str | None = None
) -> Reconciled:
    """Compare every rail, each on its own, and keep a report on each.

    A rail that can't be reached is an error in its report; the others are compared all the same.
    If an `actor` had it done, the audit log says so.
    """
    reports = await _reports(market, rails)
    counts = _counts(reports)
    async with begin(market) as unit:
        for report in reports:
            await store.insert_report(unit.conn, report)
        if actor is not None:
            detail = {"findings": counts.findings, "errors": counts.errors}
            await audit.record(unit.conn, actor, "reconcile.run", "rails", detail)
    return counts


async def reconcile_daily(market: Market, rails: Sequence[RailRecords]) -> Reconciled:
    """Do so if nobody has for a day.

    Any number of processes may call this. The rails' answers can't be waited for with a lock, so
    two may ask at the same moment; then the reports of one are kept.
    """
    async with market.db.read() as conn:
        if not _is_due(market, rails, await store.select_latest(conn)):
            return Reconciled()
    reports = await _reports(market, rails)
    async with begin(market) as unit:
        if not await try_job_lock(unit.conn, "reconcile") or not _is_due(
            market, rails, await store.select_latest(unit.conn)
        ):
            return Reconciled()
        for report in reports:
            await store.insert_report(unit.conn, report)
    return _counts(reports)


def _is_due(market: Market, rails: Sequence[RailRecords], latest: list[Reconciliation]) -> bool:
    due = market.clock.now() - _EVERY
    fresh = {report.rail for report in latest if report.created_at > due}
    return not fresh.issuperset([OWN_BOOKS, *(rail.rail for rail in rails)])


async def _reports(market: Market, rails: Sequence[RailRecords]) -> list[Reconciliation]:
    compared = await asyncio.gather(*(_compare(market, rail) for rail in rails))
    return [*compared, await _own_books(market)]


def _counts(reports: Sequence[Reconciliation]) -> Reconciled:
    rails = [report for report in reports if report.rail != OWN_BOOKS]
    return Reconciled(
        rails=sum(report.error is None for report in rails),
        matched=sum(report.matched for report in reports),
        findings=sum(report.found for report in reports),
        errors=sum(report.error is not None for report in rails),
    )


async def list_reconciliations(
    market: Market, rail: str | None, limit: int
) -> list[Reconciliation]:
    """The latest report on each rail, or the latest on one, newest first."""
    async with market.db.read() as conn:
        if rail is None:
            return await store.select_latest(conn)
        return await store.select_history(conn, rail, limit)


async def _compare(market: Market, rail: RailRecords) -> Reconciliation:
    now = market.clock.now()
    since, until = now - LOOK_BACK, now - SETTLING
    records: list[RailRecord] = []
    error: str | None = None
    try:
        async with asyncio.timeout(_RAIL_TIMEOUT_S):
            records = await rail.records(since - SLACK, now)
    except TimeoutError:
        error = f"no answer within {_RAIL_TIMEOUT_S:.0f} s"
    except ProviderUnavailable as unavailable:
        error = str(unavailable) or "not available"
    except Exception as failure:  # noqa: BLE001 - logged, and told in the report
        # What is wrong with one rail must not keep the others from being compared.
        _log.exception("reconciliation_failed", rail=rail.rail)
        error = type(failure).__name__
    if error is not None:
        return _report(market, rail.rail, since, until, 0, [], error)
    async with market.db.transaction() as conn:
        await begin_snapshot(conn)
        posted = await store.select_posted(conn, rail.rail, since - SLACK, now + SLACK)
        names = await store.select_names(conn, [rules.subject_of(p.key) for p in posted])
        movements = [rules.movement_of(p, names) for p in posted]
        compared = rules.compare(records, movements, since, until)
        missing = [f for f in compared.findings if f.kind == "missing_in_ledger"]
        unpaid = await store.select_unpaid_deposits(
            conn, [name for f in missing for name in (f.reference, f.detail) if name is not None]
        )
    findings = [_with_deposit(finding, unpaid) for finding in compared.findings]
    return _report(market, rail.rail, since, until, compared.matched, findings, None)


def _with_deposit(finding: Finding, unpaid: dict[str, str]) -> Finding:
    """Say which deposit it is, when a rail has been paid for one that was not credited."""
    if finding.kind != "missing_in_ledger":
        return finding
    deposit_id = unpaid.get(finding.reference) or unpaid.get(finding.detail or "")
    if deposit_id is None:
        return finding
    return msgspec.structs.replace(finding, kind="deposit_unpaid", detail=deposit_id)


async def _own_books(market: Market) -> Reconciliation:
    now = market.clock.now()
    async with market.db.transaction() as conn:
        await begin_snapshot(conn)
        await plan_for_whole_tables(conn)
        findings = [
            *await store.select_aged_payouts(conn, now - AGED, _MAX_FINDINGS),
            *await store.select_stuck(conn, _MAX_FINDINGS),
            *await store.select_bad_events(conn, now - SETTLING, _MAX_FINDINGS),
        ]
    return _report(market, OWN_BOOKS, now - LOOK_BACK, now, 0, findings, None)


def _report(
    market: Market,
    rail: str,
    since: datetime,
    until: datetime,
    matched: int,
    findings: list[Finding],
    error: str | None,
) -> Reconciliation:
    if findings or error:
        kinds = dict(Counter(finding.kind for finding in findings))
        _log.warning("reconciliation_findings", rail=rail, error=error, kinds=kinds)
    return Reconciliation(
        rail=rail,
        since=since,
        until=until,
        matched=matched,
        found=len(findings),
        findings=findings[:_MAX_FINDINGS],
        error=error,
        created_at=market.clock.now(),
    )
