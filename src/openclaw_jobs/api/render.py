"""From what use cases return to what goes over the wire: pure functions."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from openclaw_jobs.api import schemas
from openclaw_jobs.dispatch import Claim
from openclaw_jobs.economy import ConfigEntry
from openclaw_jobs.kit.timefmt import rfc3339, rfc3339_or_none
from openclaw_jobs.market.post_task import PostedTask, Quote
from openclaw_jobs.market.read_tasks import QueuePlace
from openclaw_jobs.market.submit_work import Answer
from openclaw_jobs.market.submit_work import Receipt as MarketReceipt
from openclaw_jobs.market.worker_account import WorkerAccount
from openclaw_jobs.payments import Earning
from openclaw_jobs.tasks import Message, TaskView
from openclaw_jobs.workers import Contact
from openclaw_jobs.workers.rules import completion_rate, credit_rate

_BASIS_POINTS = 10_000


def posted_task(posted: PostedTask) -> schemas.PostedTask:
    """A task that was just queued."""
    return schemas.PostedTask(
        id=posted.task_id,
        status="queued",
        category=posted.category,
        price_cents=posted.price_cents,
        balance_cents=posted.balance_cents,
        created_at=rfc3339(posted.created_at),
    )


def task_quote(quote: Quote) -> schemas.TaskQuote:
    """What a task would cost."""
    return schemas.TaskQuote(
        dry_run=True,
        category=quote.category,
        price_cents=quote.price_cents,
        balance_cents=quote.balance_cents,
    )


def task(
    view: TaskView, place: QueuePlace | None = None, warnings: Sequence[str] = ()
) -> schemas.Task:
    """A task as its buyer sees it."""
    return schemas.Task(
        id=view.task_id,
        status=view.status,
        category=view.category,
        price_cents=view.price_cents,
        prompt=UNSET if view.prompt is None else view.prompt,
        messages=UNSET if view.messages is None else Raw(view.messages.encode()),
        metadata=UNSET if view.metadata is None else Raw(view.metadata.encode()),
        result=view.result,
        progress=view.progress,
        created_at=rfc3339(view.created_at),
        claimed_at=rfc3339_or_none(view.claimed_at),
        completed_at=rfc3339_or_none(view.completed_at),
        credited_cents=view.credited_cents,
        rating=view.rating,
        confidence=view.confidence,
        queue=None
        if place is None
        else schemas.Queue(place.position, place.workers_online, place.estimated_wait_s),
        erased=view.erased or UNSET,
        warnings=list(warnings) or UNSET,
    )


def assigned(claim: Claim, warnings: Sequence[str] = ()) -> schemas.Assigned:
    """A task in a worker's hands; one posted as a prompt is given as messages too."""
    if claim.prompt is None:
        messages = (claim.messages or "[]").encode()
    else:
        messages = msgspec.json.encode([Message("user", claim.prompt)])
    return schemas.Assigned(
        task_id=claim.task_id,
        lease_token=claim.lease_token,
        lease_expires_at=rfc3339(claim.lease_expires_at),
        lease_seconds=claim.lease_seconds,
        category=claim.category,
        messages=Raw(messages),
        prompt=UNSET if claim.prompt is None else claim.prompt,
        earning_cents=claim.earning_cents,
        attempt=claim.attempt,
        traceparent=UNSET if claim.traceparent is None else claim.traceparent,
        warnings=list(warnings) or UNSET,
    )


def receipt(found: MarketReceipt, tasks: list[schemas.Assigned] | UnsetType) -> schemas.Receipt:
    """What an accepted submission earned, and the next tasks if it asked for them."""
    return schemas.Receipt(
        task_id=found.task_id,
        accepted=True,
        earned_cents=found.earned_cents,
        frozen_until=rfc3339_or_none(found.frozen_until),
        duplicate=True if found.duplicate else UNSET,
        tasks=tasks,
    )


def submission_answer(task_id: str, answer: Answer) -> schemas.SubmissionAnswer:
    """The answer to one of several submissions."""
    if isinstance(answer, MarketReceipt):
        return schemas.SubmissionAnswer(
            task_id=answer.task_id,
            accepted=True,
            earned_cents=answer.earned_cents,
            frozen_until=rfc3339_or_none(answer.frozen_until),
            duplicate=True if answer.duplicate else UNSET,
        )
    return schemas.SubmissionAnswer(
        task_id=task_id,
        accepted=False,
        status=answer.status,
        code=answer.code,
        detail=answer.detail,
    )


def me(account: WorkerAccount, standing: str) -> schemas.Me:
    """A worker's own account; `standing` is the one that counts now."""
    profile, stats = account.profile, account.stats
    active = standing == "active"
    return schemas.Me(
        worker_id=profile.worker_id,
        name=profile.name,
        model=profile.model,
        capabilities=profile.capabilities,
        tier=profile.tier,
        status=standing,
        suspended_until=None if active else rfc3339_or_none(profile.suspended_until),
        suspended_reason=None if active else profile.suspended_reason,
        strikes=profile.strikes,
        email=account.contact.email,
        email_verified=account.contact.email_verified,
        payout=_payout_binding(account.contact),
        preferences=profile.preferences,
        schedule=profile.schedule,
        stats=schemas.WorkerStats(
            completed=stats.completed,
            failed=stats.failed,
            expired=stats.expired,
            credited=stats.credited,
            completion_rate=round(completion_rate(stats), 4),
            credit_rate=round(credit_rate(stats), 4),
            today=stats.today_completed,
        ),
        tier_progress=schemas.TierProgress(
            next_tier=account.next_tier,
            requirements=[
                schemas.TierRequirement(r.name, round(r.current, 4), r.required)
                for r in account.requirements
            ],
        ),
        balance=schemas.WorkerBalance(
            available_cents=account.available_cents,
            frozen_cents=account.frozen_cents,
            today_cents=stats.today_cents,
            lifetime_cents=stats.lifetime_cents,
        ),
    )


def _payout_binding(contact: Contact) -> schemas.PayoutBinding | None:
    if contact.payout_method is None or contact.payout_address is None:
        return None
    until = contact.payout_blocked_until
    return schemas.PayoutBinding(
        method=contact.payout_method,
        address=contact.payout_address,
        withdrawals_from=rfc3339(until) if until is not None and until > contact.now else None,
    )


def earning(found: Earning) -> schemas.Earning:
    """One line of a worker's earnings statement."""
    return schemas.Earning(
        task_id=found.task_id,
        gross_cents=found.gross_cents,
        commission_cents=found.commission_cents,
        net_cents=found.net_cents,
        rate=found.rate_bp / _BASIS_POINTS,
        status=found.status,
        frozen_until=rfc3339(found.release_at),
        created_at=rfc3339(found.created_at),
    )


def config_section(entry: ConfigEntry) -> schemas.ConfigSection:
    """A section of the runtime configuration."""
    value: dict[str, Any] = msgspec.to_builtins(entry.value)
    return schemas.ConfigSection(entry.key, value, entry.version, rfc3339(entry.updated_at))
