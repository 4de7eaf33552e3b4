"""Workers submit results: tasks complete, money settles, receipts are answered again.

Submissions that arrive together share one transaction. It locks their tasks in id order, sorts
out the refusals, and writes set by set; should the database refuse the whole (it has no reason
to), each submission is tried alone, so that one can never spoil another.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec
import psycopg
import structlog

from openclaw_jobs import ledger
from openclaw_jobs.db import is_unavailable
from openclaw_jobs.dispatch.models import EndedLease, Lease, PastAttempt
from openclaw_jobs.dispatch.store import leases as store
from openclaw_jobs.economy.rules import freeze_window
from openclaw_jobs.kit.errors import Problem, not_found
from openclaw_jobs.kit.timefmt import rfc3339_or_none
from openclaw_jobs.kit.tokens import hash_token, same_hash
from openclaw_jobs.market.check_results import check_results
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.end_tasks import refund_tasks
from openclaw_jobs.market.grant_checks import grant_if_due
from openclaw_jobs.market.look_at_texts import note_result
from openclaw_jobs.market.unit import Unit, begin
from openclaw_jobs.payments import NewEarning
from openclaw_jobs.payments import store as earnings_store
from openclaw_jobs.quality import store_checks
from openclaw_jobs.quality.checks import LINGER_S, MAX_READERS
from openclaw_jobs.tasks import QueuedTask
from openclaw_jobs.workers import StatsChange
from openclaw_jobs.workers import service as workers
from openclaw_jobs.workers.rules import effective_standing, suspension_detail

_log = structlog.get_logger(__name__)

_MOST_FAILURES: Final = 32_767
"""The most that a task's counter of failures holds, whatever `max_attempts` says."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker hands in; `usage` is JSON text."""

    worker_id: str
    task_id: str
    lease_token: str
    status: Literal["completed", "failed"]
    result: str | None
    error: str | None
    usage: str | None


class Receipt(msgspec.Struct, frozen=True):
    """What a submission came to. A repeated one gets the first one's receipt, `duplicate` set."""

    task_id: str
    earned_cents: int
    frozen_until: datetime | None
    duplicate: bool = False


Answer = Receipt | Problem


def lease_lost() -> Problem:
    """The refusal to a worker that held the task once."""
    return Problem(
        "lease_lost", "This lease is over, and the task may be another worker's now. Drop it."
    )


async def submit_work(market: Market, submissions: Sequence[Submission]) -> list[Answer]:
    """Handle submissions of any workers together; answers in order, each on its own."""
    await grant_if_due(market)
    try:
        async with begin(market, pipelined=True) as unit:
            batch = _Batch(market, unit, submissions)
            answers = await batch.run()
    except (psycopg.DatabaseError, ledger.LedgerError) as error:
        if len(submissions) == 1 or is_unavailable(error):
            raise
        _log.error("submit_batch_refused", error=type(error).__name__, size=len(submissions))
        return [(await submit_work(market, [submission]))[0] for submission in submissions]
    _count(market, batch.completed)
    for lease in batch.completed:
        market.durations.observe(lease.category, (lease.now - lease.claimed_at).total_seconds())
    results = {(s.worker_id, s.task_id): s.result or "" for s in reversed(submissions)}
    for lease in batch.completed:
        result = results[lease.worker_id, lease.task_id]
        note_result(market, lease.worker_id, lease.task_id, result)
    return answers


def _count(market: Market, completed: Sequence[Lease]) -> None:
    """Count what was settled, once it is committed."""
    commission = sum(ledger.commission_cents(x.price_cents, x.rate_bp) for x in completed)
    metrics = market.metrics
    metrics.settled.inc(len(completed))
    metrics.settled_cents.labels("platform").inc(commission)
    metrics.settled_cents.labels("worker").inc(sum(x.price_cents for x in completed) - commission)


class _Batch:
    """The state of one transaction."""

    def __init__(self, market: Market, unit: Unit, submissions: Sequence[Submission]) -> None:
        self._market = market
        self._config = market.config
        self._unit = unit
        self._submissions = submissions
        self._hashes = [hash_token(s.lease_token) for s in submissions]
        self._accepted: dict[str, tuple[Lease, Submission]] = {}
        self._receipts: dict[str, Receipt] = {}
        self.completed: list[Lease] = []

    async def run(self) -> list[Answer]:
        """Sort the submissions out, write the good ones, and answer all."""
        held = {
            lease.task_id: lease
            for lease in await store.lock_leases(
                self._unit.conn, [s.task_id for s in self._submissions]
            )
        }
        answers: dict[int, Answer] = {}
        past: list[int] = []
        repeated: list[int] = []
        for at, submission in enumerate(self._submissions):
            lease = held.get(submission.task_id)
            if lease is None or not self._holds(lease, at):
                past.append(at)
            elif submission.task_id in self._accepted:
                repeated.append(at)
            elif (refusal := self._refusal(lease)) is not None:
                answers[at] = refusal
            else:
                self._accepted[submission.task_id] = (lease, submission)
        if past:
            answers.update(await self._answer_past(past, held))
        if self._accepted:
            await self._write()
        for at, submission in enumerate(self._submissions):
            if at not in answers:
                receipt = self._receipts[submission.task_id]
                answers[at] = _repeat(receipt) if at in repeated else receipt
        return [answers[at] for at in range(len(self._submissions))]

    def _holds(self, lease: Lease, at: int) -> bool:
        return lease.worker_id == self._submissions[at].worker_id and same_hash(
            lease.token_hash, self._hashes[at]
        )

    def _refusal(self, lease: Lease) -> Problem | None:
        standing = effective_standing(lease.standing, lease.suspended_until, lease.now)
        if standing != "active":
            until = rfc3339_or_none(lease.suspended_until)
            return Problem("suspended", suspension_detail(until), suspended_until=until)
        return None if lease.live else lease_lost()

    async def _answer_past(
        self, places: Sequence[int], held: dict[str, Lease]
    ) -> dict[int, Answer]:
        """Answer those whose lease is not (any more) theirs: with a receipt, a 409 or a 404."""
        ids = sorted({self._submissions[at].task_id for at in places})
        attempts = await store.select_past_attempts(self._unit.conn, ids)
        receipts = await earnings_store.select_receipts(self._unit.conn, ids)
        return {at: self._past_answer(at, attempts, receipts, held) for at in places}

    def _past_answer(
        self,
        at: int,
        attempts: Sequence[PastAttempt],
        receipts: dict[str, tuple[int, datetime]],
        held: dict[str, Lease],
    ) -> Answer:
        submission = self._submissions[at]
        task_id, worker_id = submission.task_id, submission.worker_id
        mine = [a for a in attempts if a.task_id == task_id and a.worker_id == worker_id]
        for attempt in mine:
            if same_hash(attempt.token_hash, self._hashes[at]):
                if attempt.outcome == "completed":
                    return Receipt(task_id, *receipts[task_id], duplicate=True)
                if attempt.outcome == "failed":
                    return Receipt(task_id, 0, None, duplicate=True)
        lease = held.get(task_id)
        if mine or (lease is not None and lease.worker_id == worker_id):
            return lease_lost()
        return not_found("task")

    async def _write(self) -> None:
        accepted = [self._accepted[task_id] for task_id in sorted(self._accepted)]
        done = [(lease, s) for lease, s in accepted if s.status == "completed"]
        not_done = [(lease, s) for lease, s in accepted if s.status == "failed"]
        if done:
            await self._complete(done)
        if not_done:
            await self._fail(not_done)
        await store.end_leases(
            self._unit.conn,
            [EndedLease(lease, s.status, s.error, s.usage) for lease, s in accepted],
        )
        await workers.add_stats(
            self._unit.conn,
            [
                StatsChange(
                    lease.worker_id,
                    completed=int(s.status == "completed"),
                    failed=int(s.status == "failed"),
                    earned_cents=self._receipts[lease.task_id].earned_cents,
                )
                for lease, s in accepted
            ],
            accepted[0][0].now,
        )
        await workers.clear_strikes(self._unit.conn, [lease.worker_id for lease, _ in done])
        await check_results(self._market, self._unit, [lease for lease, _ in done])

    async def _complete(self, done: Sequence[tuple[Lease, Submission]]) -> None:
        now = done[0][0].now
        release_at = now + freeze_window(self._config.commissions)
        earnings: list[NewEarning] = []
        transfers: list[ledger.Transfer] = []
        for lease, _ in done:
            commission = ledger.commission_cents(lease.price_cents, lease.rate_bp)
            earnings.append(
                NewEarning(
                    lease.task_id, lease.worker_id, lease.price_cents, commission, lease.rate_bp
                )
            )
            transfer = ledger.settle(lease.task_id, lease.worker_id, lease.price_cents, commission)
            if transfer is not None:
                transfers.append(transfer)
            self._receipts[lease.task_id] = Receipt(
                lease.task_id, lease.price_cents - commission, release_at
            )
            self._unit.tell(lease.buyer_id, "task.completed", lease.task_id, status="completed")
        await store.complete_tasks(
            self._unit.conn,
            [lease.task_id for lease, _ in done],
            [s.result or "" for _, s in done],
        )
        await earnings_store.insert_earnings(self._unit.conn, earnings, now, release_at)
        await ledger.post(self._unit.conn, transfers)
        self.completed = [lease for lease, _ in done]

    async def _fail(self, not_done: Sequence[tuple[Lease, Submission]]) -> None:
        for lease, _ in not_done:
            self._receipts[lease.task_id] = Receipt(lease.task_id, 0, None)
        await put_back(
            self._unit,
            [lease for lease, _ in not_done],
            max_attempts=self._config.dispatch.max_attempts,
        )


async def put_back(unit: Unit, ended: Sequence[Lease], *, max_attempts: int | None) -> int:
    """Queue tasks again whose lease has ended; give up those that had enough chances.

    Args:
        unit: The transaction, in which the tasks are locked.
        ended: The leases.
        max_attempts: How many lost or failed leases end a task; None if these were neither, and
            count against none.

    Returns:
        How many were given up.
    """
    counted = max_attempts is not None
    most = None if max_attempts is None else min(max_attempts, _MOST_FAILURES)
    last = [x for x in ended if most is not None and x.failures + 1 >= most]
    again = [lease for lease in ended if lease not in last]
    if again:
        ids = [lease.task_id for lease in again]
        await store.requeue_tasks(unit.conn, ids, [int(counted)] * len(again))
        for lease in again:
            unit.tell(lease.buyer_id, "task.queued", lease.task_id, status="queued")
            unit.queue(lease.category)
    hidden = [lease.task_id for lease in again if lease.buyer_id is None]
    if hidden:
        await store_checks.expire_crowded(unit.conn, hidden, MAX_READERS, LINGER_S)
    if last:
        await store.fail_tasks(unit.conn, [lease.task_id for lease in last])
        await refund_tasks(
            unit,
            [
                QueuedTask(
                    x.task_id, x.buyer_id, x.price_cents, x.promo_cents, x.category, x.check_id
                )
                for x in last
            ],
            "failed",
        )
    return len(last)


def _repeat(receipt: Receipt) -> Receipt:
    return msgspec.structs.replace(receipt, duplicate=True)
