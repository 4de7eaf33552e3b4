"""The buyer's SDK: post tasks, wait for results, follow events, keep an eye on the money.

    with Buyer("https://openclaw.jobs", key) as buyer:
        posted = buyer.post_task("Summarise RFC 9457 in three sentences.")
        print(buyer.wait_for(posted.id).result)

`AsyncBuyer` has the same methods to be awaited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from openclaw_jobs.client import buyer_calls as calls
from openclaw_jobs.client.errors import ClientError
from openclaw_jobs.client.models import (
    ApiKey,
    Balance,
    Checkout,
    Credit,
    Event,
    Message,
    PostedTask,
    Quote,
    Task,
)
from openclaw_jobs.client.retry import RetryPolicy
from openclaw_jobs.client.session import (
    TIMEOUT_S,
    AsyncSession,
    AsyncSessionOwner,
    Session,
    SessionOwner,
)
from openclaw_jobs.client.sse import SILENCE_S, EventCursor
from openclaw_jobs.client.transport import AsyncTransport, Transport

Rating = Literal["up", "down"]
Pack = Literal["starter", "standard", "pro", "business"]

MAX_WAIT_S: Final = 60
"""The longest the server holds a request back."""

_PAGE: Final = 100


def _wait(deadline: float | None) -> int:
    """How long the next long poll may last: whole seconds, at least one while time is left."""
    if deadline is None:
        return MAX_WAIT_S
    return max(1, min(MAX_WAIT_S, int(deadline - time.monotonic())))


def _check(deadline: float | None, task_id: str, status: str) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        message = f"{task_id} is still {status}"
        raise TimeoutError(message)


class Buyer(SessionOwner):
    """A buyer's view of the marketplace at `url`, identified by an API key (`ocb_…`).

    Every method may raise `ApiError` (the server refused), `TransportError` (no answer even after
    the tries that `retry` allows) and `UnexpectedAnswerError`. Calls that move money carry an
    idempotency key, so trying again never charges twice. Safe to share between threads.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: Transport | None = None,
    ) -> None:
        self._session = Session(url, key, retry=retry, timeout_s=timeout_s, transport=transport)

    def post_task(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        category: str | None = None,
        min_tier: str | None = None,
        max_price_cents: int | None = None,
        conversation_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> PostedTask:
        """Pay for a task and queue it.

        Give either `prompt` or `messages`. `max_price_cents` refuses a dearer price
        (`limit_exceeded`). Pass an `idempotency_key` of your own to make the posting count once
        across restarts of your program too; else one is generated for this call.

        Raises:
            ValueError: neither or both of `prompt` and `messages`.
            ApiError: `insufficient_balance`, `limit_exceeded`, `validation_failed`, …
        """
        body = calls.task_body(
            prompt,
            messages=messages,
            category=category,
            min_tier=min_tier,
            max_price_cents=max_price_cents,
            conversation_id=conversation_id,
            metadata=metadata,
        )
        return self._session.run(calls.post_task(body, idempotency_key))

    def quote(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        category: str | None = None,
        min_tier: str | None = None,
        max_price_cents: int | None = None,
    ) -> Quote:
        """Ask what `post_task` would charge; checks everything, charges nothing."""
        body = calls.quote_body(prompt, messages, category, min_tier, max_price_cents)
        return self._session.run(calls.quote(body))

    def get_task(self, task_id: str, *, wait: int = 0) -> Task:
        """Read a task, held back up to `wait` seconds (0-60) until it is finished."""
        return self._session.run(calls.get_task(task_id, wait))

    def wait_for(self, task_id: str, *, timeout_s: float | None = None) -> Task:
        """Wait until a task is finished, for ever unless `timeout_s` is given.

        Raises:
            TimeoutError: the task isn't finished after `timeout_s` seconds; it goes on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            task = self.get_task(task_id, wait=_wait(deadline))
            if task.finished:
                return task
            _check(deadline, task_id, task.status)

    def list_tasks(self, *, status: str | None = None, page: int = _PAGE) -> Iterator[Task]:
        """Iterate over the tasks, newest first, fetching `page` (1-100) at a time as needed."""
        cursor: str | None = None
        while True:
            fetched = self._session.run(calls.list_tasks(page, status, cursor))
            yield from fetched.tasks
            cursor = fetched.next_cursor
            if cursor is None:
                return

    def cancel(self, task_id: str) -> Task:
        """Take a queued task back for a full refund (else `not_cancellable`)."""
        return self._session.run(calls.cancel(task_id))

    def credit(self, task_id: str, *, reason: str | None = None) -> Credit:
        """Ask a bad result's money back, once and within the credit window."""
        return self._session.run(calls.credit(task_id, reason))

    def rate(self, task_id: str, rating: Rating | None) -> Task:
        """Rate a result, or take the rating back with None; moves no money."""
        return self._session.run(calls.rate(task_id, rating))

    def balance(self) -> Balance:
        """Read the account's balance and totals."""
        return self._session.run(calls.balance())

    def deposit(self, pack: Pack) -> Checkout:
        """Start paying for a pack of credit; the checkout's page finishes it."""
        return self._session.run(calls.deposit(pack))

    def list_keys(self) -> tuple[ApiKey, ...]:
        """List the API keys, without their secrets."""
        return self._session.run(calls.list_keys()).keys

    def create_key(self, name: str | None = None) -> ApiKey:
        """Make an API key; this is the only time its secret can be read."""
        return self._session.run(calls.create_key(name))

    def delete_key(self, key_id: str) -> None:
        """Make an API key stop working."""
        self._session.run(calls.delete_key(key_id))

    def events(
        self, task_id: str | None = None, *, last_event_id: str | None = None
    ) -> Generator[Event, None, None]:
        """Follow the events of one task until it is finished, or of all tasks for ever.

        Begins after `last_event_id` (keep an event's `id` to come back to it), else with what
        happens from now on. A broken stream is resumed where it stopped, with nothing lost and
        nothing twice; only what trying again can't mend is raised.
        """
        session = self._session
        cursor = EventCursor(task_id, last_event_id, session.retry, session.rng)
        while True:
            broken: ClientError | None = None
            try:
                with session.stream(cursor.call(), timeout_s=SILENCE_S) as stream:
                    for chunk in stream.chunks:
                        yield from cursor.feed(chunk)
                        if cursor.finished:
                            return
            except ClientError as error:
                broken = error
            time.sleep(cursor.after(broken))


class AsyncBuyer(AsyncSessionOwner):
    """As `Buyer`, to be awaited. One instance serves any number of tasks of one event loop."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retry: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._session = AsyncSession(
            url, key, retry=retry, timeout_s=timeout_s, transport=transport
        )

    async def post_task(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        category: str | None = None,
        min_tier: str | None = None,
        max_price_cents: int | None = None,
        conversation_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> PostedTask:
        """Pay for a task and queue it; see `Buyer.post_task`."""
        body = calls.task_body(
            prompt,
            messages=messages,
            category=category,
            min_tier=min_tier,
            max_price_cents=max_price_cents,
            conversation_id=conversation_id,
            metadata=metadata,
        )
        return await self._session.run(calls.post_task(body, idempotency_key))

    async def quote(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] | None = None,
        category: str | None = None,
        min_tier: str | None = None,
        max_price_cents: int | None = None,
    ) -> Quote:
        """Ask what `post_task` would charge; checks everything, charges nothing."""
        body = calls.quote_body(prompt, messages, category, min_tier, max_price_cents)
        return await self._session.run(calls.quote(body))

    async def get_task(self, task_id: str, *, wait: int = 0) -> Task:
        """Read a task, held back up to `wait` seconds (0-60) until it is finished."""
        return await self._session.run(calls.get_task(task_id, wait))

    async def wait_for(self, task_id: str, *, timeout_s: float | None = None) -> Task:
        """Wait until a task is finished; see `Buyer.wait_for`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            task = await self.get_task(task_id, wait=_wait(deadline))
            if task.finished:
                return task
            _check(deadline, task_id, task.status)

    async def list_tasks(
        self, *, status: str | None = None, page: int = _PAGE
    ) -> AsyncIterator[Task]:
        """Iterate over the tasks, newest first, fetching `page` (1-100) at a time as needed."""
        cursor: str | None = None
        while True:
            fetched = await self._session.run(calls.list_tasks(page, status, cursor))
            for task in fetched.tasks:
                yield task
            cursor = fetched.next_cursor
            if cursor is None:
                return

    async def cancel(self, task_id: str) -> Task:
        """Take a queued task back for a full refund (else `not_cancellable`)."""
        return await self._session.run(calls.cancel(task_id))

    async def credit(self, task_id: str, *, reason: str | None = None) -> Credit:
        """Ask a bad result's money back, once and within the credit window."""
        return await self._session.run(calls.credit(task_id, reason))

    async def rate(self, task_id: str, rating: Rating | None) -> Task:
        """Rate a result, or take the rating back with None; moves no money."""
        return await self._session.run(calls.rate(task_id, rating))

    async def balance(self) -> Balance:
        """Read the account's balance and totals."""
        return await self._session.run(calls.balance())

    async def deposit(self, pack: Pack) -> Checkout:
        """Start paying for a pack of credit; the checkout's page finishes it."""
        return await self._session.run(calls.deposit(pack))

    async def list_keys(self) -> tuple[ApiKey, ...]:
        """List the API keys, without their secrets."""
        return (await self._session.run(calls.list_keys())).keys

    async def create_key(self, name: str | None = None) -> ApiKey:
        """Make an API key; this is the only time its secret can be read."""
        return await self._session.run(calls.create_key(name))

    async def delete_key(self, key_id: str) -> None:
        """Make an API key stop working."""
        await self._session.run(calls.delete_key(key_id))

    async def events(
        self, task_id: str | None = None, *, last_event_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Follow the events of one task, or of all of them; see `Buyer.events`."""
        session = self._session
        cursor = EventCursor(task_id, last_event_id, session.retry, session.rng)
        while True:
            broken: ClientError | None = None
            try:
                async with session.stream(cursor.call(), timeout_s=SILENCE_S) as stream:
                    async for chunk in stream.chunks:
                        for event in cursor.feed(chunk):
                            yield event
                        if cursor.finished:
                            return
            except ClientError as error:
                broken = error
            await asyncio.sleep(cursor.after(broken))
