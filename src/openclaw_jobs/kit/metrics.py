"""What one process counts of itself, for `GET /metrics`.

All counters of a process hang on one `Metrics` that is handed around; there is nothing global, so
that two nodes in one process (as in tests) count apart. What only the database knows is not here:
`market.read_metrics` reads it, and `api.metrics` puts both together.

No label ever holds what a caller chose: routes are templates, categories those that have a price,
methods and limits those that exist. So the number of series is bounded.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

__all__ = ["OTHER", "Metrics", "bounded"]

OTHER: Final = "other"
"""The label of whatever has none of its own."""

_NO_ANSWER: Final = 500
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0)
_WAKE_UP_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_WAIT_S: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_LAG_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_JOB_S: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0)

# When each counter began is a series of its own for every counter, and of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library's


class _Route:
    """What was seen of one route by one method."""

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * (len(_REQUEST_S) + 1)
        self.seconds = 0.0


class _Requests(Collector):
    """The HTTP requests of a process.

    Counted by hand, since it stands on the path of every request: the library's counter and
    histogram, each under a lock, take eight times as long.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Route] = {}
        self._shown: dict[tuple[str, str], _Route] = {}

    def count(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """Count one request.

        Args:
            method: Its method.
            route: The template of its route, never its path.
            status: Of the answer; None counts as 500.
            seconds: How long it took.
        """
        seen = self._seen.get((method, route))
        if seen is None:
            named = method if method in _METHODS else OTHER
            seen = self._shown.setdefault((named, route), _Route())
            self._seen[method, route] = seen
        status = status or _NO_ANSWER
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        seen.buckets[bisect_left(_REQUEST_S, seconds)] += 1
        seen.seconds += seconds

    def describe(self) -> Iterable[Metric]:
        """Names are not checked against those of others: they are all in this file."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Both metrics."""
        requests = CounterMetricFamily(
            "openclaw_http_requests",
            "HTTP requests answered, by route template and status (499: the client hung up).",
            labels=["method", "route", "status"],
        )
        seconds = HistogramMetricFamily(
            "openclaw_http_request_seconds",
            "How long HTTP requests took, their parking included.",
            labels=["method", "route"],
        )
        for (method, route), seen in self._shown.items():
            for status, number in seen.statuses.items():
                requests.add_metric([method, route, str(status)], number)
            ends = [*(str(end) for end in _REQUEST_S), "+Inf"]
            below = list(zip(ends, accumulate(seen.buckets), strict=True))
            seconds.add_metric([method, route], below, seen.seconds)
        yield requests
        yield seconds


class Metrics:
    """The counters of one process, each registered with `registry`.

    They are written by one event loop, and read there.

    Attributes:
        registry: Where `/metrics` finds them.
        request: Counts an HTTP request, as `_Requests.count`.
        rate_limited: Calls refused with 429, by the limit they were over.
        claims: Tasks put into a worker's hands here, by category.
        given_back: Claims undone because the poll had hung up before its answer.
        wake_up: Seconds from a task's being queued to a poll's being given it that was already
            parked: what the marketplace adds, none of which is a wait for workers.
        queue_wait: Seconds from a task's being queued to its first claim, workers or not.
        settled: Tasks settled by submissions here.
        settled_cents: Their prices in cents, by whose share it is.
        loop_lag: Seconds by which a timer of the event loop fired too late.
        job_runs: Runs of periodic jobs here, by name (Prometheus has its own use for a label
            `job`) and outcome.
        job_seconds: How long they took.
        job_last_success: When a job last ended well, as seconds of the epoch.
    """

    def __init__(self) -> None:
        """Everything at zero."""
        self.registry = registry = CollectorRegistry()
        self._requests = _Requests()
        registry.register(self._requests)
        self.request = self._requests.count
        self.rate_limited = Counter(
            "openclaw_rate_limited",
            "Calls refused with 429, by the limit they were over.",
            ["limit"],
            registry=registry,
        )
        self._define_dispatch(registry)
        self.settled = Counter(
            "openclaw_settled_tasks", "Tasks settled by submissions here.", registry=registry
        )
        self.settled_cents = Counter(
            "openclaw_settled_cents",
            "Cents settled by submissions here, by whose share they are.",
            ["share"],
            registry=registry,
        )
        for share in ("worker", "platform"):
            self.settled_cents.labels(share)
        self.loop_lag = Histogram(
            "openclaw_event_loop_lag_seconds",
            "By how much timers of the event loop fire too late.",
            buckets=_LAG_S,
            registry=registry,
        )
        self._define_jobs(registry)

    def _define_dispatch(self, registry: CollectorRegistry) -> None:
        self.claims = Counter(
            "openclaw_claims",
            "Tasks put into a worker's hands here, by category.",
            ["category"],
            registry=registry,
        )
        self.given_back = Counter(
            "openclaw_claims_given_back",
            "Claims undone because the poll had hung up before its answer.",
            registry=registry,
        )
        self.wake_up = Histogram(
            "openclaw_wake_up_seconds",
            "From queued to handed out here, of tasks for which a poll was already parked.",
            buckets=_WAKE_UP_S,
            registry=registry,
        )
        self.queue_wait = Histogram(
            "openclaw_queue_wait_seconds",
            "From queued to the first claim, of all tasks handed out here.",
            buckets=_WAIT_S,
            registry=registry,
        )

    def _define_jobs(self, registry: CollectorRegistry) -> None:
        self.job_runs = Counter(
            "openclaw_job_runs",
            "Runs of periodic jobs here, by outcome (ok, failed).",
            ["name", "outcome"],
            registry=registry,
        )
        self.job_seconds = Histogram(
            "openclaw_job_seconds",
            "How long runs of periodic jobs took.",
            ["name"],
            buckets=_JOB_S,
            registry=registry,
        )
        self.job_last_success = Gauge(
            "openclaw_job_last_success_timestamp_seconds",
            "When a periodic job last ended well in this process.",
            ["name"],
            registry=registry,
        )

    def job(self, name: str, *, ok: bool, seconds: float, at: float) -> None:
        """Count one run of a periodic job that ended `at` (seconds of the epoch)."""
        self.job_runs.labels(name, "ok" if ok else "failed").inc()
        self.job_seconds.labels(name).observe(seconds)
        if ok:
            self.job_last_success.labels(name).set(at)


def bounded(category: str, known: Collection[str]) -> str:
    """The label of a category: itself if it is one of the `known`, since buyers may name any."""
    return category if category in known else OTHER
