"""Claims on their way into the log: the next round need not wait for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from openclaw_jobs.dispatch.models import ClaimRequest, ClaimResult
from openclaw_jobs.dispatch.waiters import Waiter, waiter_of

Written: TypeAlias = Callable[[ClaimResult], None]
"""Called with what a claim has written, before that is committed; not if there is nothing."""

ClaimTasks: TypeAlias = Callable[[ClaimRequest, Written], Awaitable[ClaimResult]]
"""Matches and claims in a transaction of its own."""

_MOST: Final = 3
"""So many transactions at once; each holds a connection."""


class Commits:
    """Claims tasks; whom they are for is answered once they are committed.

    Until then those polls count as served, so that the next round passes them by.

    Args:
        claim: See `ClaimTasks`.
        done: Called with what was committed.
        failed: Called with the error of a commit and the polls that had not been looked for
            before; all that it was to serve are to be looked for again.
        ended: Called after each commit, when it is counted no more.
    """

    def __init__(
        self,
        claim: ClaimTasks,
        done: Callable[[ClaimResult], None],
        failed: Callable[[Exception, Sequence[Waiter]], None],
        ended: Callable[[], None],
    ) -> None:
        """See the class."""
        self._claim = claim
        self._done = done
        self._failed = failed
        self._ended = ended
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many commits are under way."""
        return len(self._running)

    async def claim(self, request: ClaimRequest) -> ClaimResult:
        """Claim; returns as soon as the tasks are written, while their commit goes on.

        Raises:
            Exception: What `ClaimTasks` raised before it had written any.
        """
        while len(self._running) >= _MOST:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        written: asyncio.Future[ClaimResult] = asyncio.get_running_loop().create_future()
        claiming = asyncio.ensure_future(self._claim(request, written.set_result))
        await asyncio.wait((claiming, written), return_when=asyncio.FIRST_COMPLETED)
        if claiming.done():
            result = claiming.result()
            self._done(result)
            return result
        result = written.result()
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        served = [waiter_of(assignment.seeker) for assignment in result.assignments]
        first = [waiter for waiter in served if not waiter.looked_for]
        for waiter in served:
            waiter.promise = committed
        running = asyncio.create_task(self._finish(claiming, committed, served, first))
        self._running.add(running)
        running.add_done_callback(self._count_off)
        return result

    def _count_off(self, ended: asyncio.Task[None]) -> None:
        self._running.discard(ended)
        self._ended()

    async def _finish(
        self,
        claiming: asyncio.Future[ClaimResult],
        committed: asyncio.Future[None],
        served: Sequence[Waiter],
        first: Sequence[Waiter],
    ) -> None:
        try:
            result = await claiming
        except Exception as error:  # noqa: BLE001 - handed on
            for waiter in served:
                waiter.promise = None
            self._failed(error, first)
        else:
            self._done(result)
            for waiter in served:
                waiter.promise = None
        finally:
            committed.set_result(None)

    async def all_done(self) -> None:
        """Wait until no commit is under way."""
        while self._running:
            await asyncio.wait(self._running)
