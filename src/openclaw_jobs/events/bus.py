"""Wake-ups within this process, after a commit."""

import asyncio
import enum
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeAlias

import structlog

from openclaw_jobs.events.models import Wake

QueueListener: TypeAlias = Callable[[frozenset[str] | None], None]
"""Called with the categories in which tasks can be claimed now; None when it may be any."""

# Streams that may read at once; each read is a millisecond, and the pool has other users.
_STREAM_READS: Final = 4

_log = structlog.get_logger(__name__)


class Signal(enum.Enum):
    """Why a wait ended."""

    WOKEN = "woken"
    """There may be something new: read the database."""
    TIMEOUT = "timeout"
    """Nothing came in the given time."""
    CLOSED = "closed"
    """This process is draining: finish."""


class Subscription:
    """One waiting party's interest in one buyer's events; use it as a context manager.

    It is level-triggered: a wake-up that comes while nobody waits is kept, and the next `wait`
    returns at once. So subscribe, read, wait, read, wait …: nothing that is committed between a
    read and the wait is missed. One task may wait at a time.
    """

    __slots__ = ("_bus", "_buyer_id", "_due", "_waiter", "task_id")

    def __init__(self, bus: "Bus", buyer_id: str, task_id: str | None) -> None:
        """See the class; made by `Bus.subscribe`."""
        self._bus = bus
        self._buyer_id = buyer_id
        self.task_id = task_id
        self._due = False
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._bus._add(self._buyer_id, self)  # noqa: SLF001 - two halves of one mechanism
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bus._remove(self._buyer_id, self)  # noqa: SLF001 - two halves of one mechanism

    async def wait(self, timeout_s: float) -> Signal:
        """Wait for the next wake-up, for at most `timeout_s` seconds.

        A wake-up takes effect once, and before the caller's next read, so that one which comes
        during that read leads to another.
        """
        if not self._due and not self._bus.closed and timeout_s > 0:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = loop.call_later(timeout_s, _release, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._bus.closed:
            return Signal.CLOSED
        if self._due:
            self._due = False
            return Signal.WOKEN
        return Signal.TIMEOUT

    def wake(self) -> None:
        """Let the present or else the next `wait` return."""
        self._due = True
        if self._waiter is not None:
            _release(self._waiter)


class Bus:
    """Tells this process's waiting parties, and through a relay other nodes, what was committed.

    All of it runs on the event loop's thread. It knows no data and no database.
    """

    def __init__(self) -> None:
        """A bus that nobody listens to yet."""
        self.closed = False
        self.reading = asyncio.Semaphore(_STREAM_READS)
        """Held by a stream while it reads."""
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._queue_listeners: list[QueueListener] = []
        self._relay: Callable[[Wake], None] | None = None

    def publish(self, wake: Wake) -> None:
        """Tell of a commit, on this node and by the relay on all others.

        Call it after COMMIT was acknowledged: before that the woken would find nothing. Cheap
        enough for every transaction; it never raises and never waits.
        """
        self.deliver(wake)
        if self._relay is not None:
            self._relay(wake)

    def deliver(self, wake: Wake) -> None:
        """Tell of a commit on this node only; for what another node has told."""
        concerned = None if wake.tasks is None else {None, *wake.tasks}
        for buyer_id in wake.buyers:
            for subscription in self._subscriptions.get(buyer_id, ()):
                if concerned is None or subscription.task_id in concerned:
                    subscription.wake()
        if wake.queue:
            self._notify_queue(wake.queue)

    def wake_all(self) -> None:
        """Wake everybody, after wake-ups may have been lost."""
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.wake()
        self._notify_queue(None)

    def subscribe(self, buyer_id: str, task_id: str | None = None) -> Subscription:
        """Wait for one buyer's events; in force from entering it as a context manager.

        With `task_id`, wake-ups that are known to be about other tasks only are passed by.
        """
        return Subscription(self, buyer_id, task_id)

    def subscribed_buyers(self) -> list[str]:
        """The buyers for whose events somebody waits here."""
        return list(self._subscriptions)

    def on_queue(self, listener: QueueListener) -> None:
        """Have `listener` called, soon and synchronously, when tasks can be claimed."""
        self._queue_listeners.append(listener)

    def attach_relay(self, relay: Callable[[Wake], None]) -> None:
        """Have every published wake handed to `relay`, which passes it to the other nodes."""
        self._relay = relay

    def detach_relay(self) -> None:
        """Publish on this node only from now on."""
        self._relay = None

    def close(self) -> None:
        """Drain: every wait, present and future, returns `Signal.CLOSED` at once."""
        self.closed = True
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.wake()

    def _add(self, buyer_id: str, subscription: Subscription) -> None:
        self._subscriptions.setdefault(buyer_id, set()).add(subscription)

    def _remove(self, buyer_id: str, subscription: Subscription) -> None:
        subscriptions = self._subscriptions[buyer_id]
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._subscriptions[buyer_id]

    def _notify_queue(self, categories: frozenset[str] | None) -> None:
        for listener in self._queue_listeners:
            try:
                listener(categories)
            except Exception:  # noqa: BLE001 - logged with its trace
                # The commit is done; a listener's fault must not make it look undone to the
                # caller, nor keep the wake-up from the others.
                _log.exception("queue_listener_failed", listener=repr(listener))


def _release(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
