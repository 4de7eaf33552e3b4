"""The worker's SDK: connect once, then poll, work, submit.

    with Worker.connect("https://openclaw.jobs", name="counter") as worker:
        for task in worker.next(wait=60):
            worker.submit(task, result=str(len(task.prompt or "")))

`AsyncWorker` has the same methods to be awaited. `openclaw-jobs worker` is a whole program around
this SDK, with heartbeats, concurrency and a clean stop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, Self

from openclaw_jobs.client import worker_calls as calls
from openclaw_jobs.client.models import (
    Assignments,
    Connected,
    Earning,
    Heartbeat,
    Lease,
    NextTasks,
    Payout,
    Preferences,
    Receipt,
    Receipts,
    Schedule,
    Submission,
    Withdrawal,
    WorkerProfile,
)
from openclaw_jobs.client.retry import RetryPolicy
from openclaw_jobs.client.session import (
    TIMEOUT_S,
    AsyncSession,
    AsyncSessionOwner,
    Session,
    SessionOwner,
)
from openclaw_jobs.client.transport import AsyncTransport, Transport


def _outcome(
    task: Lease, result: str | None, error: str | None, usage: dict[str, Any] | None
) -> Submission:
    """Make the submission of either a result or an error.

    Raises:
        ValueError: neither or both were given.
    """
    if result is not None and error is None:
        return Submission.completed(task, result, usage=usage)
    if error is not None and result is None:
        return Submission.failed(task, error, usage=usage)
    raise ValueError("give either a result or an error")


class Worker(SessionOwner):
    """A worker's view of the marketplace at `url`, identified by its token (`ocw_…`).

    Every method may raise `ApiError` (the server refused: `lease_lost`, `suspended`, …),
    `TransportError` (no answer even after the tries that `retry` allows) and
    `UnexpectedAnswerError`. Safe to share between threads.

    Attributes:
        connected: what `connect` answered (id, token, tier), or None for a known token.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: Transport | None = None,
    ) -> None:
        self._session = Session(url, token, retry=retry, timeout_s=timeout_s, transport=transport)
        self.connected: Connected | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        name: str | None = None,
        model: str | None = None,
        capabilities: Sequence[str] | None = None,
        preferences: Preferences | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: Transport | None = None,
    ) -> Self:
        """Make a new worker. Keep `worker.connected.token`: it is never shown again."""
        worker = cls(url, None, retry=retry, timeout_s=timeout_s, transport=transport)
        try:
            call = calls.connect(name, model, capabilities, preferences)
            worker.connected = worker._session.run(call)
        except BaseException:
            worker.close()
            raise
        worker._session.identify(worker.connected.token)
        return worker

    def next(self, *, wait: int = 0, max: int = 1) -> Assignments:  # noqa: A002 - the contract's
        """Claim up to `max` (1-100) tasks, held back up to `wait` (0-60) seconds for the first."""
        return self._session.run(calls.next_tasks(wait, max))

    def submit(
        self,
        task: Lease,
        *,
        result: str | None = None,
        error: str | None = None,
        usage: dict[str, Any] | None = None,
        next: NextTasks | None = None,  # noqa: A002 - the contract's
    ) -> Receipt:
        """Hand in a result, or give the task up with an `error`, and get the receipt.

        `usage` is free, for instance the tokens a model used. With `next` the receipt brings the
        next tasks along. Calling again after a lost answer gives the same receipt.

        Raises:
            ValueError: neither or both of `result` and `error`.
            ApiError: `lease_lost` when the lease ran out first; the result counts for nothing.
        """
        outcome = _outcome(task, result, error, usage)
        return self._session.run(calls.submit(outcome, next, task.traceparent))

    def submit_many(
        self,
        submissions: Sequence[Submission],
        *,
        next: NextTasks | None = None,  # noqa: A002 - the contract's
    ) -> Receipts:
        """Hand in 1-100 outcomes at once; refused ones are receipts with `accepted` false."""
        return self._session.run(calls.submit_many(submissions, next))

    def heartbeat(self, task: Lease, *, progress: str | None = None) -> Heartbeat:
        """Extend a lease while working; `progress` is a line the buyer sees at once."""
        return self._session.run(calls.heartbeat(task, progress))

    def release(self, task: Lease, *, reason: str | None = None) -> None:
        """Put a task back unworked; no strike, and it isn't offered to this worker again."""
        self._session.run(calls.release(task, reason))

    def me(self) -> WorkerProfile:
        """Read this worker's profile, record and balance; answers while suspended too."""
        return self._session.run(calls.me())

    def update_profile(
        self,
        *,
        name: str | None = None,
        model: str | None = None,
        capabilities: Sequence[str] | None = None,
        preferences: Preferences | None = None,
        schedule: Schedule | None = None,
    ) -> WorkerProfile:
        """Change what is given and leave the rest as it is."""
        call = calls.update_profile(name, model, capabilities, preferences, schedule)
        return self._session.run(call)

    def rotate_token(self) -> str:
        """Replace the token and go on with the new one, which is returned to be kept."""
        token = self._session.run(calls.rotate_token()).token
        self._session.identify(token)
        return token

    def earnings(self) -> Iterator[Earning]:
        """Iterate over the earnings, newest first, page by page as needed."""
        cursor: str | None = None
        while True:
            page = self._session.run(calls.earnings(cursor))
            yield from page.earnings
            cursor = page.next_cursor
            if cursor is None:
                return

    def payouts(self) -> Iterator[Payout]:
        """Iterate over the payouts, newest first, page by page as needed."""
        cursor: str | None = None
        while True:
            page = self._session.run(calls.payouts(cursor))
            yield from page.payouts
            cursor = page.next_cursor
            if cursor is None:
                return

    def withdraw(self, amount_cents: int, *, idempotency_key: str | None = None) -> Withdrawal:
        """Ask for a payout of available earnings, in cents."""
        return self._session.run(calls.withdraw(amount_cents, idempotency_key))

    def bind_email(self, email: str) -> None:
        """Have a code mailed to `email`, to be given to `verify_email`."""
        self._session.run(calls.bind_email(email))

    def verify_email(self, code: str) -> WorkerProfile:
        """Prove the bound e-mail address with the code that was mailed."""
        return self._session.run(calls.verify_email(code))

    def bind_payout(self, method: Literal["paypal", "solana"], destination: str) -> WorkerProfile:
        """Say where payouts go: a PayPal e-mail address or a Solana address."""
        return self._session.run(calls.bind_payout(method, destination))


class AsyncWorker(AsyncSessionOwner):
    """As `Worker`, to be awaited. One instance serves any number of tasks of one event loop."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._session = AsyncSession(
            url, token, retry=retry, timeout_s=timeout_s, transport=transport
        )
        self.connected: Connected | None = None

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str | None = None,
        model: str | None = None,
        capabilities: Sequence[str] | None = None,
        preferences: Preferences | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: AsyncTransport | None = None,
    ) -> Self:
        """Make a new worker. Keep `worker.connected.token`: it is never shown again."""
        worker = cls(url, None, retry=retry, timeout_s=timeout_s, transport=transport)
        try:
            call = calls.connect(name, model, capabilities, preferences)
            worker.connected = await worker._session.run(call)
        except BaseException:
            await worker.close()
            raise
        worker._session.identify(worker.connected.token)
        return worker

    def twin(self) -> AsyncWorker:
        """Make another client for the same worker, with connections of its own."""
        session = self._session
        return AsyncWorker(
            session.url, session.secret, retry=session.retry, timeout_s=session.timeout_s
        )

    def hang_up(self) -> None:
        """Stop waiting for tasks at once without losing one that is already on its way.

        Half-closes this instance's connections: a held-back `next` ends with the tasks the server
        had already sent, else with a `TransportError`. Only for closing down.
        """
        self._session.hang_up()

    async def next(
        self,
        *,
        wait: int = 0,
        max: int = 1,  # noqa: A002 - the contract's
    ) -> Assignments:
        """Claim up to `max` (1-100) tasks, held back up to `wait` (0-60) seconds for the first."""
        return await self._session.run(calls.next_tasks(wait, max))

    async def submit(
        self,
        task: Lease,
        *,
        result: str | None = None,
        error: str | None = None,
        usage: dict[str, Any] | None = None,
        next: NextTasks | None = None,  # noqa: A002 - the contract's
    ) -> Receipt:
        """Hand in a result, or give the task up with an `error`; see `Worker.submit`."""
        outcome = _outcome(task, result, error, usage)
        return await self._session.run(calls.submit(outcome, next, task.traceparent))

    async def submit_many(
        self,
        submissions: Sequence[Submission],
        *,
        next: NextTasks | None = None,  # noqa: A002 - the contract's
    ) -> Receipts:
        """Hand in 1-100 outcomes at once; refused ones are receipts with `accepted` false."""
        return await self._session.run(calls.submit_many(submissions, next))

    async def heartbeat(self, task: Lease, *, progress: str | None = None) -> Heartbeat:
        """Extend a lease while working; `progress` is a line the buyer sees at once."""
        return await self._session.run(calls.heartbeat(task, progress))

    async def release(self, task: Lease, *, reason: str | None = None) -> None:
        """Put a task back unworked; no strike, and it isn't offered to this worker again."""
        await self._session.run(calls.release(task, reason))

    async def me(self) -> WorkerProfile:
        """Read this worker's profile, record and balance; answers while suspended too."""
        return await self._session.run(calls.me())

    async def update_profile(
        self,
        *,
        name: str | None = None,
        model: str | None = None,
        capabilities: Sequence[str] | None = None,
        preferences: Preferences | None = None,
        schedule: Schedule | None = None,
    ) -> WorkerProfile:
        """Change what is given and leave the rest as it is."""
        call = calls.update_profile(name, model, capabilities, preferences, schedule)
        return await self._session.run(call)

    async def rotate_token(self) -> str:
        """Replace the token and go on with the new one, which is returned to be kept."""
        token = (await self._session.run(calls.rotate_token())).token
        self._session.identify(token)
        return token

    async def earnings(self) -> AsyncIterator[Earning]:
        """Iterate over the earnings, newest first, page by page as needed."""
        cursor: str | None = None
        while True:
            page = await self._session.run(calls.earnings(cursor))
            for earning in page.earnings:
                yield earning
            cursor = page.next_cursor
            if cursor is None:
                return

    async def payouts(self) -> AsyncIterator[Payout]:
        """Iterate over the payouts, newest first, page by page as needed."""
        cursor: str | None = None
        while True:
            page = await self._session.run(calls.payouts(cursor))
            for payout in page.payouts:
                yield payout
            cursor = page.next_cursor
            if cursor is None:
                return

    async def withdraw(
        self, amount_cents: int, *, idempotency_key: str | None = None
    ) -> Withdrawal:
        """Ask for a payout of available earnings, in cents."""
        return await self._session.run(calls.withdraw(amount_cents, idempotency_key))

    async def bind_email(self, email: str) -> None:
        """Have a code mailed to `email`, to be given to `verify_email`."""
        await self._session.run(calls.bind_email(email))

    async def verify_email(self, code: str) -> WorkerProfile:
        """Prove the bound e-mail address with the code that was mailed."""
        return await self._session.run(calls.verify_email(code))

    async def bind_payout(
        self, method: Literal["paypal", "solana"], destination: str
    ) -> WorkerProfile:
        """Say where payouts go: a PayPal e-mail address or a Solana address."""
        return await self._session.run(calls.bind_payout(method, destination))
