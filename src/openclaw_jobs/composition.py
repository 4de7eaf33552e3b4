"""The one place that knows every door and every loop: what the parts of a process are.

A new door is a module of `api/` or `web/` with its HANDLERS, listed in `_DOORS`; a new periodic job
is an entry in `compose`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from openclaw_jobs.api import (
    account,
    benchmarks,
    checks,
    contacts,
    flags,
    operator,
    operator_parties,
    pairs,
    payout_decisions,
    payouts,
    standing,
    tasks,
    work,
    worker,
)
from openclaw_jobs.api import credits as credit_routes
from openclaw_jobs.api.authentication import DatabaseAuthenticator
from openclaw_jobs.api.deposits import deposit_routes
from openclaw_jobs.api.health import health_router
from openclaw_jobs.api.metrics import metrics_router
from openclaw_jobs.api.operator_money import operator_money_routes
from openclaw_jobs.api.services import Services, open_services
from openclaw_jobs.api.stats import stats_routes
from openclaw_jobs.api.streams import streams_router
from openclaw_jobs.background import (
    Periodic,
    check_budget_job,
    check_jobs,
    deposit_jobs,
    due_checks_job,
    market_jobs,
    networks_job,
    node_job,
    payout_jobs,
    reconcile_job,
    repeat,
    sightings_job,
    watch_lag,
)
from openclaw_jobs.dispatch import Matcher
from openclaw_jobs.identity.mail.smtp import Mailer
from openclaw_jobs.kit.csrf import Signer
from openclaw_jobs.market.claim_tasks import any_queued, claim_tasks, give_back
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.grant_checks import stop_spending
from openclaw_jobs.market.note_networks import Networks
from openclaw_jobs.market.queue_checks import DueChecks
from openclaw_jobs.market.read_metrics import MetricsReader
from openclaw_jobs.market.read_stats import StatsReader
from openclaw_jobs.market.report_node import forget_node
from openclaw_jobs.market.watch_abuse import write_sightings
from openclaw_jobs.outside import make_providers
from openclaw_jobs.payments.deposits import DepositDesk
from openclaw_jobs.payments.reconciliation import RailRecords
from openclaw_jobs.payments.reconciliation.setup import reconciled_rails
from openclaw_jobs.settings import IDEMPOTENCY_RETENTION_HOURS, Settings
from openclaw_jobs.web.office import Office
from openclaw_jobs.web.routes import page_router
from openclaw_jobs.web.site import Site, open_site

__all__ = ["Parts", "Runtime", "compose"]


_DOORS: Final = (
    tasks,
    account,
    credit_routes,
    work,
    worker,
    contacts,
    payouts,
    operator,
    operator_parties,
    pairs,
    payout_decisions,
    checks,
    benchmarks,
    standing,
    flags,
)

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""A periodic job: runs until the event is set, then ends what it has begun and returns."""


@dataclass(frozen=True)
class Runtime:
    """The parts of a process that stays.

    Attributes:
        settings: Its environment.
        market: What the use cases work with.
        desk: Where deposits are taken.
        providers: Who pays workers, as far as the environment says how.
        mailer: Who takes letters; None where `SMTP_URL` is not set.
        node_id: What this process is called among the running ones.
        signer: Makes the tokens of the pages' forms.
        draining: Set when the process is about to stop.
    """

    settings: Settings
    market: Market
    desk: DepositDesk
    providers: Providers
    mailer: Mailer | None
    node_id: str
    signer: Signer
    draining: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Parts:
    """What the doors and loops of a runtime are.

    Attributes:
        authenticator: Who a token belongs to.
        route_handlers: All routes.
        services: What the handlers of the API work with.
        site: What those of the pages work with.
        drain: Lets parked requests go, before the server stops to listen.
        web_loops: What runs in a `web` process beside the server.
        due_checks: The one of them that queues hidden tasks.
        loops: The periodic jobs of a `background` process.
    """

    authenticator: DatabaseAuthenticator
    route_handlers: Sequence[Any]
    services: Services
    site: Site
    drain: Callable[[], Awaitable[None]]
    web_loops: Sequence[Loop]
    due_checks: Loop
    loops: Sequence[Loop]


def open_pages(runtime: Runtime, matcher: Matcher, rails: Sequence[RailRecords]) -> Site:
    """What the pages work with."""
    settings = runtime.settings
    return open_site(
        runtime.market,
        desk=runtime.desk,
        payouts=runtime.providers,
        can_mail=runtime.mailer is not None,
        office=Office(
            stats=StatsReader(runtime.market, settings.coverage_alert_percent),
            rails=rails,
            dismiss=matcher.dismiss,
        ),
        signer=runtime.signer,
        public_url=settings.public_url,
        production=settings.is_production,
        providers=make_providers(settings, runtime.market.clock),
        # Where deposits lead in tests; Stripe's own is allowed anyway.
        form_targets=() if settings.stripe_api_base is None else (settings.stripe_api_base,),
    )


def compose(runtime: Runtime) -> Parts:
    """Every door and every loop of this marketplace."""
    market = runtime.market
    matcher = Matcher(
        claim=partial(claim_tasks, market),
        give_back=partial(give_back, market),
        any_queued=partial(any_queued, market),
        rng=market.rng,
        metrics=market.metrics,
    )
    market.bus.on_queue(matcher.wake)

    async def drain() -> None:
        runtime.draining.set()
        due.stop()
        await matcher.stop()
        market.bus.close()

    networks = Networks(market)
    services = open_services(
        market,
        matcher,
        providers=runtime.providers,
        can_mail=runtime.mailer is not None,
        networks=networks,
    )
    due = DueChecks(market, services.posts.submit)

    async def queue_due(stop: asyncio.Event) -> None:
        await _periodic(market, due_checks_job(due))(stop)
        await due.finish()

    rails = reconciled_rails(runtime.desk.gateway, runtime.providers)
    return Parts(
        authenticator=DatabaseAuthenticator(market),
        services=services,
        route_handlers=[
            health_router(market.db),
            page_router(),
            metrics_router(market.metrics.registry, MetricsReader(market), market.db, matcher),
            streams_router(market.db, market.bus),
            *(handler for door in _DOORS for handler in door.HANDLERS),
            *deposit_routes(market, runtime.desk),
            *operator_money_routes(market, rails),
            *stats_routes(market, runtime.desk, runtime.settings.coverage_alert_percent),
        ],
        site=open_pages(runtime, matcher, rails),
        drain=drain,
        web_loops=[*_web_loops(runtime, matcher, networks), queue_due],
        due_checks=queue_due,
        loops=[_periodic(market, job) for job in _jobs(runtime, rails)],
    )


def _periodic(market: Market, job: Periodic) -> Loop:
    return partial(repeat, job, market.rng, metrics=market.metrics, tracing=market.tracing)


def _web_loops(runtime: Runtime, matcher: Matcher, networks: Networks) -> list[Loop]:
    """What each web process does for itself."""
    market = runtime.market

    async def match(stop: asyncio.Event) -> None:
        matcher.start()
        await stop.wait()
        await matcher.stop()

    async def report(stop: asyncio.Event) -> None:
        await _periodic(market, node_job(market, matcher, runtime.node_id))(stop)
        await forget_node(market, runtime.node_id)

    async def spend(stop: asyncio.Event) -> None:
        await _periodic(market, check_budget_job(market))(stop)
        await stop_spending(market)

    async def sight(stop: asyncio.Event) -> None:
        await _periodic(market, sightings_job(market))(stop)
        await write_sightings(market)

    return [
        match,
        report,
        spend,
        _periodic(market, networks_job(networks)),
        sight,
        partial(watch_lag, market.metrics),
    ]


def _jobs(runtime: Runtime, rails: Sequence[RailRecords]) -> list[Periodic]:
    """The periodic jobs of the whole marketplace."""
    market = runtime.market
    jobs = market_jobs(
        market,
        replays_for=timedelta(hours=IDEMPOTENCY_RETENTION_HOURS),
        events_for=timedelta(hours=runtime.settings.events_retention_hours),
    )
    jobs += check_jobs(market)
    jobs += deposit_jobs(market, runtime.desk)
    jobs += payout_jobs(market, runtime.providers, runtime.mailer)
    jobs.append(reconcile_job(market, rails))
    return jobs
