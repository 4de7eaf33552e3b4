"""What the demo knows of its tasks while they live: fed with events, read by the views."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from openclaw_jobs.client import Event, PostedTask, Task
from openclaw_jobs.demo.work import DemoTask

__all__ = ["Board", "Row", "WorkerNews"]

_UNFINISHED: Final = frozenset({"posting", "queued", "claimed"})


class WorkerNews(msgspec.Struct, frozen=True):
    """A line of a worker program's JSON log; of a finished task if its `event` is `task`."""

    event: str
    message: str = ""
    task_id: str = ""
    outcome: str = ""
    label: str = ""
    earned_cents: int = 0


@dataclass
class Row:
    """One task's life so far. Times are the server's; money is cents.

    Attributes:
        earned_cents: What its worker got, told by the worker.
        given_up: What its worker says of it when it did not do it.
        found: After the end, the task as the buyer reads it.
        wrong: After the end, what is wrong with it; None before, and if nothing is.
    """

    number: int
    task: DemoTask
    task_id: str | None = None
    status: str = "posting"
    price_cents: int | None = None
    earned_cents: int | None = None
    progress: str | None = None
    queued_at: datetime | None = None
    claimed_at: datetime | None = None
    ended_at: datetime | None = None
    given_up: str | None = None
    found: Task | None = None
    wrong: str | None = None

    @property
    def finished(self) -> bool:
        """Whether its life is over; also when there is no other worker that could do it."""
        return self.status not in _UNFINISHED or self.given_up is not None

    def queued_s(self, now: datetime) -> float | None:
        """Seconds between the posting and the (last) claim."""
        return _seconds(self.queued_at, self.claimed_at or self.ended_at or now)

    def working_s(self, now: datetime) -> float | None:
        """Seconds between the claim and the end."""
        return _seconds(self.claimed_at, self.ended_at or now)

    def apply(self, event: Event) -> None:
        """Let an event of this task happen."""
        self.status = event.status or self.status
        match event.type:
            case "task.queued":
                self.queued_at, self.claimed_at = self.queued_at or event.at, None
            case "task.claimed":
                self.claimed_at = event.at
            case "task.progress":
                self.progress = event.progress
            case _ if self.finished:
                self.ended_at = event.at

    def settle(self, found: Task, wrong: str | None) -> None:
        """Take the task as it was read at the end, which counts more than what was told of it."""
        self.found, self.status = found, found.status
        self.wrong = f"{wrong}: {self.given_up}" if wrong and self.given_up else wrong
        self.queued_at = found.created_at
        self.claimed_at, self.ended_at = found.claimed_at, found.completed_at


class Board:
    """All rows. An event may come before the answer that says whose task it is: it is kept.

    Attributes:
        over: Set once every task's life is over.
        balance_cents: What the buyer has, as far as the events tell.
    """

    def __init__(self, tasks: Sequence[DemoTask]) -> None:
        self.rows: Final = [Row(number, task) for number, task in enumerate(tasks, 1)]
        self.over: Final = asyncio.Event()
        self.balance_cents: int | None = None
        self._by_id: dict[str, Row] = {}
        self._early: dict[str, list[Event]] = {}
        self._early_news: dict[str, WorkerNews] = {}

    def posted(self, row: Row, answer: PostedTask) -> list[Event]:
        """Take the answer to a posting; the events that came before it, now applied."""
        row.task_id, row.price_cents = answer.id, answer.price_cents
        row.status, row.queued_at = answer.status, answer.created_at
        self._by_id[answer.id] = row
        if news := self._early_news.pop(answer.id, None):
            self.heard(news)
        early = self._early.pop(answer.id, [])
        for event in early:
            row.apply(event)
        self._look()
        return early

    def apply(self, event: Event) -> Row | None:
        """Let an event happen; the row of a known task."""
        if event.balance_cents is not None:
            self.balance_cents = event.balance_cents
        if event.task_id is None:
            return None
        row = self._by_id.get(event.task_id)
        if row is None:
            self._early.setdefault(event.task_id, []).append(event)
            return None
        row.apply(event)
        self._look()
        return row

    def heard(self, news: WorkerNews) -> None:
        """Note what a worker says about a task that it had."""
        row = self._by_id.get(news.task_id)
        if row is None:
            self._early_news[news.task_id] = news
            return
        row.earned_cents = news.earned_cents
        if news.outcome != "done":
            row.given_up = f"its worker says {news.outcome}, {news.label}"
            self._look()

    def _look(self) -> None:
        if all(row.finished for row in self.rows):
            self.over.set()


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())
