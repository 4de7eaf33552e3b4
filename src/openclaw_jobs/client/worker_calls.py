"""The worker's half of the HTTP contract, a function a route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from openclaw_jobs.client.call import Call, Reply, T, decoder, encode, given, nothing, once, path
from openclaw_jobs.client.models import (
    Assignments,
    Connected,
    EarningPage,
    Heartbeat,
    Lease,
    NewToken,
    NextTasks,
    PayoutPage,
    Preferences,
    Receipt,
    Receipts,
    Schedule,
    Submission,
    Withdrawal,
    WorkerProfile,
)

_NO_CONTENT: Final = 204
_EMPTY: Final = Assignments()
_assignments: Final = decoder(Assignments)
_connected: Final = decoder(Connected)
_receipt: Final = decoder(Receipt)
_receipts: Final = decoder(Receipts)
_heartbeat: Final = decoder(Heartbeat)
_profile: Final = decoder(WorkerProfile)
_new_token: Final = decoder(NewToken)
_earnings: Final = decoder(EarningPage)
_payouts: Final = decoder(PayoutPage)
_withdrawal: Final = decoder(Withdrawal)


class _One(msgspec.Struct, omit_defaults=True):
    """The body of a single submit."""

    task_id: str
    lease_token: str
    status: str
    result: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None
    next: NextTasks | None = None


class _Many(msgspec.Struct, omit_defaults=True):
    """The body of a batch submit."""

    submissions: Sequence[Submission]
    next: NextTasks | None = None


class _Progress(msgspec.Struct, omit_defaults=True):
    """The body of a heartbeat."""

    task_id: str
    lease_token: str
    progress: str | None = None


class _Reason(msgspec.Struct, omit_defaults=True):
    """The body of a release."""

    task_id: str
    lease_token: str
    reason: str | None = None


def _read_next(reply: Reply) -> Assignments:
    """Read what a poll brought; 204 is the same as an empty list."""
    return _EMPTY if reply.status == _NO_CONTENT else _assignments(reply)


def connect(
    name: str | None,
    model: str | None,
    capabilities: Sequence[str] | None,
    preferences: Preferences | None,
) -> Call[Connected]:
    """POST /api/worker/connect; not repeatable, because each call makes a worker."""
    body = given(name=name, model=model, capabilities=capabilities, preferences=preferences)
    return Call(method="POST", path="/api/worker/connect", body=encode(body), decode=_connected)


def next_tasks(wait: int, max_tasks: int) -> Call[Assignments]:
    """GET /api/work/next."""
    return Call(
        method="GET",
        path=f"/api/work/next?wait={wait:d}&max={max_tasks:d}",
        repeatable=True,
        wait_s=wait,
        decode=_read_next,
    )


def submit(
    submission: Submission, following: NextTasks | None, traceparent: str | None = None
) -> Call[Receipt]:
    """POST /api/work/submit for one task; a repetition gets the first receipt."""
    body = _One(
        submission.task_id,
        submission.lease_token,
        submission.status,
        submission.result,
        submission.error,
        submission.usage,
        following,
    )
    return _submit(encode(body), following, _receipt, _within(traceparent))


def submit_many(submissions: Sequence[Submission], following: NextTasks | None) -> Call[Receipts]:
    """POST /api/work/submit for a batch, each submission answered on its own."""
    return _submit(encode(_Many(submissions, following)), following, _receipts)


def _within(traceparent: str | None) -> dict[str, str] | None:
    """The header that says which task's trace a call belongs to."""
    return None if traceparent is None else {"traceparent": traceparent}


def _submit(
    body: bytes,
    following: NextTasks | None,
    decode: Callable[[Reply], T],
    headers: dict[str, str] | None = None,
) -> Call[T]:
    return Call(
        headers=headers,
        method="POST",
        path="/api/work/submit",
        body=body,
        repeatable=True,
        wait_s=following.wait if following else 0,
        decode=decode,
    )


def heartbeat(task: Lease, progress: str | None) -> Call[Heartbeat]:
    """POST /api/work/heartbeat."""
    return Call(
        method="POST",
        path="/api/work/heartbeat",
        body=encode(_Progress(task.task_id, task.lease_token, progress)),
        headers=_within(task.traceparent),
        repeatable=True,
        decode=_heartbeat,
    )


def release(task: Lease, reason: str | None) -> Call[None]:
    """POST /api/work/release.

    Not repeatable: the second of two would be told that the lease is lost.
    """
    return Call(
        method="POST",
        path="/api/work/release",
        body=encode(_Reason(task.task_id, task.lease_token, reason)),
        decode=nothing,
    )


def me() -> Call[WorkerProfile]:
    """GET /api/worker/me."""
    return Call(method="GET", path="/api/worker/me", repeatable=True, decode=_profile)


def update_profile(
    name: str | None,
    model: str | None,
    capabilities: Sequence[str] | None,
    preferences: Preferences | None,
    schedule: Schedule | None,
) -> Call[WorkerProfile]:
    """PATCH /api/worker/profile; setting the same values twice does no harm."""
    body = given(
        name=name,
        model=model,
        capabilities=capabilities,
        preferences=preferences,
        schedule=schedule,
    )
    return Call(
        method="PATCH",
        path="/api/worker/profile",
        body=encode(body),
        repeatable=True,
        decode=_profile,
    )


def rotate_token() -> Call[NewToken]:
    """POST /api/worker/rotate-token; not repeatable, because the old token is gone after one."""
    return Call(method="POST", path="/api/worker/rotate-token", decode=_new_token)


def earnings(cursor: str | None) -> Call[EarningPage]:
    """GET /api/worker/earnings, one page."""
    return Call(
        method="GET",
        path=path("api", "worker", "earnings", cursor=cursor),
        repeatable=True,
        decode=_earnings,
    )


def payouts(cursor: str | None) -> Call[PayoutPage]:
    """GET /api/worker/payouts, one page."""
    return Call(
        method="GET",
        path=path("api", "worker", "payouts", cursor=cursor),
        repeatable=True,
        decode=_payouts,
    )


def withdraw(amount_cents: int, idempotency_key: str | None) -> Call[Withdrawal]:
    """POST /api/worker/withdraw; the key makes a repetition harmless."""
    return Call(
        method="POST",
        path="/api/worker/withdraw",
        body=encode({"amount_cents": amount_cents}),
        headers=once(idempotency_key),
        repeatable=True,
        decode=_withdrawal,
    )


def bind_email(email: str) -> Call[None]:
    """POST /api/worker/bind-email; a code is mailed."""
    return Call(
        method="POST",
        path="/api/worker/bind-email",
        body=encode({"email": email}),
        headers=once(None),
        repeatable=True,
        decode=nothing,
    )


def bind_payout(method: str, destination: str) -> Call[WorkerProfile]:
    """POST /api/worker/bind-payout; a PayPal destination is an e-mail address."""
    field = "email" if method == "paypal" else "address"
    return Call(
        method="POST",
        path="/api/worker/bind-payout",
        body=encode({"method": method, field: destination}),
        headers=once(None),
        repeatable=True,
        decode=_profile,
    )


def verify_email(code: str) -> Call[WorkerProfile]:
    """POST /api/worker/verify-email."""
    return Call(
        method="POST",
        path="/api/worker/verify-email",
        body=encode({"code": code}),
        headers=once(None),
        repeatable=True,
        decode=_profile,
    )
