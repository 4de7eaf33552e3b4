"""`GET /metrics`: what this process counted, and what the database says, for Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from litestar import Response, Router, get
from prometheus_client import GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from openclaw_jobs import __version__
from openclaw_jobs.api.guards import route_options
from openclaw_jobs.market.read_metrics import StoredFigures

__all__ = ["metrics_router"]

_MILLISECONDS: Final = 1000.0


class Figures(Protocol):
    """Reads what the database says."""

    async def read(self) -> tuple[StoredFigures | None, float]:
        """The figures (None while it does not answer), and their age in seconds."""
        ...


class Pool(Protocol):
    """A pool of connections."""

    def stats(self) -> dict[str, int]:
        """Its counters, by psycopg_pool's names."""
        ...


class Parking(Protocol):
    """Where polls wait."""

    @property
    def parked(self) -> int:
        """How many."""
        ...

    def parked_workers(self) -> int:
        """Of how many workers."""
        ...


class _Live(Collector):
    """What is looked at when a scrape comes: it costs nothing in between.

    `stored` and `age_s` are set just before.
    """

    def __init__(self, pool: Pool, parking: Parking) -> None:
        self._pool = pool
        self._parking = parking
        self.stored: StoredFigures | None = None
        self.age_s = 0.0

    def describe(self) -> Iterable[Metric]:
        """Names are not checked against those of others: they are all here or in `kit.metrics`."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield _labelled("openclaw_build_info", "What runs here.", "version", {__version__: 1})
        yield _gauge("openclaw_waiters", "Polls parked here.", self._parking.parked)
        yield _gauge(
            "openclaw_parked_workers", "Workers with a poll parked.", self._parking.parked_workers()
        )
        yield from _of_pool(self._pool.stats())
        stored = self.stored
        yield _gauge(
            "openclaw_database_up", "Whether the database answered.", int(stored is not None)
        )
        if stored is not None:
            yield _gauge("openclaw_figures_age_seconds", "Age of the figures read.", self.age_s)
            yield from _of_market(stored)
            yield from _of_money(stored)


def _of_pool(stats: Mapping[str, int]) -> Iterator[Metric]:
    size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
    by_state = {"idle": idle, "in_use": size - idle}
    yield _labelled("openclaw_db_pool_connections", "Connections held.", "state", by_state)
    yield _gauge("openclaw_db_pool_max", "Connections at most.", stats.get("pool_max", 0))
    waiting = stats.get("requests_waiting", 0)
    yield _gauge("openclaw_db_pool_waiting", "Callers that wait for a connection.", waiting)
    counters = (
        ("openclaw_db_pool_requests", "Connections asked for.", "requests_num", 1.0),
        ("openclaw_db_pool_queued", "Of them, those that had to wait.", "requests_queued", 1.0),
        (
            "openclaw_db_pool_wait_seconds",
            "Time spent waiting for one.",
            "requests_wait_ms",
            _MILLISECONDS,
        ),
        ("openclaw_db_pool_errors", "Connections not got in time.", "requests_errors", 1.0),
        ("openclaw_db_connections_lost", "Connections found broken.", "connections_lost", 1.0),
    )
    for name, text, key, per_unit in counters:
        yield CounterMetricFamily(name, text, value=stats.get(key, 0) / per_unit)


def _of_market(stored: StoredFigures) -> Iterator[Metric]:
    depths = stored.queue.items()
    yield _labelled(
        "openclaw_queue_tasks",
        "Tasks queued, counted up to 20,000 a category.",
        "category",
        {category: depth.queued for category, depth in depths},
    )
    yield _labelled(
        "openclaw_queue_head_age_seconds",
        "Age of the task that is next.",
        "category",
        {category: depth.head_age_s for category, depth in depths},
    )
    yield _gauge("openclaw_leases", "Tasks in workers' hands.", stored.held)
    yield _gauge("openclaw_workers_working", "Workers that hold a task.", stored.holders)
    yield _gauge("openclaw_workers_online", "Workers parked or holding a task.", stored.online)
    yield _labelled(
        "openclaw_checks", "Quality checks, up to 20,000 a stage.", "stage", stored.checks
    )
    verdicts = {"good": stored.good, "bad": stored.bad}
    yield _labelled(
        "openclaw_verdicts_last_day", "Results found good or bad in 24 h.", "verdict", verdicts
    )


def _of_money(stored: StoredFigures) -> Iterator[Metric]:
    payouts = stored.payouts
    for name, text, values in (
        ("", "Payouts, counted up to 20,000 a state.", {s: p.count for s, p in payouts.items()}),
        ("_cents", "Cents of these payouts.", {s: p.cents for s, p in payouts.items()}),
        ("_oldest_seconds", "Age of the oldest.", {s: p.oldest_s for s, p in payouts.items()}),
    ):
        yield _labelled(f"openclaw_payouts{name}", text, "state", values)
    yield _gauge("openclaw_credits_waiting", "Credits that an operator decides.", stored.credits)
    yield _gauge("openclaw_webhooks_waiting", "Providers' events not worked.", stored.webhooks)
    yield _gauge("openclaw_webhooks_oldest_seconds", "Age of the oldest.", stored.webhooks_oldest_s)
    proof = stored.proof
    if proof is not None:
        at = proof.proved_at.timestamp()
        yield _gauge("openclaw_ledger_proof_timestamp_seconds", "When it was last proved.", at)
        yield _gauge("openclaw_ledger_proof_age_seconds", "How long ago that is.", proof.age_s)
        yield _gauge("openclaw_ledger_proof_ok", "Whether it added up.", int(proof.ok))
        yield _gauge("openclaw_ledger_proof_seconds", "How long the proof took.", proof.took_s)
        yield _gauge("openclaw_ledger_violations", "What it listed.", proof.violations)
        yield _gauge("openclaw_ledger_transfers", "Transfers in the ledger.", proof.transactions)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def metrics_router(
    registry: CollectorRegistry, figures: Figures, pool: Pool, parking: Parking
) -> Router:
    """The route, showing what `registry` has and what the others say. Call it once a registry."""
    live = _Live(pool, parking)
    registry.register(live)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)

    @get(
        "/metrics",
        opt=route_options(auth="operator_or_loopback", rate="admin"),
        operation_id="getMetrics",
        summary="What goes on, for Prometheus",
        security=[{"operator": []}, {}],
        tags=["Operations"],
        media_type="text/plain",
    )
    async def metrics() -> Response[bytes]:
        """Metrics in Prometheus' text format; from this machine, or with the operator's token."""
        live.stored, live.age_s = await figures.read()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Router("/", route_handlers=[metrics])
