"""Which jobs there are, and how often each runs."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from openclaw_jobs.background.loops import Periodic
from openclaw_jobs.dispatch import Matcher
from openclaw_jobs.identity.mail.smtp import Mailer
from openclaw_jobs.market.account import tend_accounts
from openclaw_jobs.market.clean_up import clean_up
from openclaw_jobs.market.context import Market
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.market.draw_checks import LOOK_EVERY_S
from openclaw_jobs.market.erase_old_texts import erase_old_texts
from openclaw_jobs.market.inject_gold import spend_on_checks
from openclaw_jobs.market.judge_checks import follow_ready
from openclaw_jobs.market.note_networks import Networks
from openclaw_jobs.market.open_deposit import end_unborn_deposits
from openclaw_jobs.market.post_fees import post_fees
from openclaw_jobs.market.prove_regularly import prove_regularly
from openclaw_jobs.market.queue_checks import DueChecks
from openclaw_jobs.market.reconcile import reconcile_daily
from openclaw_jobs.market.recover_leases import recover
from openclaw_jobs.market.release_earnings import release_earnings
from openclaw_jobs.market.report_node import report_node
from openclaw_jobs.market.review_standing import review_tiers, stop_suspects
from openclaw_jobs.market.send_mails import send_mails
from openclaw_jobs.market.watch_abuse import stop_hoarders, watch_abuse, write_sightings
from openclaw_jobs.market.work_payouts import work_payouts
from openclaw_jobs.market.work_webhooks import work_webhooks
from openclaw_jobs.payments.deposits import DepositDesk
from openclaw_jobs.payments.reconciliation import RailRecords


def market_jobs(market: Market, *, replays_for: timedelta, events_for: timedelta) -> list[Periodic]:
    """The jobs of the whole marketplace; any number of processes may run them.

    Args:
        market: What they work on.
        replays_for: How long an answer can be repeated.
        events_for: How long a stream can be resumed.
    """
    return [
        Periodic("recover", 1.0, partial(recover, market)),
        Periodic("release-earnings", 10.0, partial(release_earnings, market)),
        Periodic("accounts", 60.0, partial(tend_accounts, market)),
        Periodic("retention", 300.0, partial(erase_old_texts, market)),
        Periodic("stop-hoarders", 30.0, partial(stop_hoarders, market)),
        Periodic("watch-abuse", 300.0, partial(watch_abuse, market)),
        Periodic("prove-ledger", 60.0, partial(prove_regularly, market)),
        Periodic(
            "clean-up",
            60.0,
            partial(clean_up, market, replays_for=replays_for, events_for=events_for),
        ),
    ]


def check_jobs(market: Market) -> list[Periodic]:
    """The jobs of checks; any number of processes may run them.

    What is ready is judged a moment after this process made it so, and within about a second when
    another has.
    """
    return [
        Periodic("judge-checks", LOOK_EVERY_S, partial(follow_ready, market), market.checks_ready),
        Periodic("stop-suspects", 3.0, partial(stop_suspects, market)),
        Periodic("review-tiers", 10.0, partial(review_tiers, market)),
    ]


def due_checks_job(due: DueChecks) -> Periodic:
    """What each web process does for itself: put hidden tasks among its buyers' posts."""
    return Periodic("due-checks", LOOK_EVERY_S, due.look, due.wake)


def check_budget_job(market: Market) -> Periodic:
    """What each web process does for itself: have its budget of checks granted, slip gold in."""
    return Periodic("check-budget", 5.0, partial(spend_on_checks, market))


def deposit_jobs(market: Market, desk: DepositDesk) -> list[Periodic]:
    """The jobs of deposits; any number of processes may run them.

    The first begins at once when this process has taken an event, and within a second when
    another has.
    """
    return [
        Periodic("webhooks", 1.0, partial(work_webhooks, market, desk), desk.arrived),
        Periodic("deposit-fees", 2.0, partial(post_fees, market, desk)),
        Periodic("unborn-deposits", 600.0, partial(end_unborn_deposits, market)),
    ]


def payout_jobs(market: Market, providers: Providers, mailer: Mailer | None) -> list[Periodic]:
    """The jobs of payouts and of mail; any number of processes may run them.

    A letter is waited for by a person, so mail is looked for more often than payouts.
    """
    return [
        Periodic("payouts", 5.0, partial(work_payouts, market, providers)),
        Periodic("mails", 2.0, partial(send_mails, market, mailer)),
    ]


def reconcile_job(market: Market, rails: Sequence[RailRecords]) -> Periodic:
    """Looks now and then whether the daily comparison is due; any number of processes may."""
    return Periodic("reconcile", 600.0, partial(reconcile_daily, market, rails))


def node_job(market: Market, matcher: Matcher, node_id: str) -> Periodic:
    """What each web process does for itself: tell how many workers are parked with it."""

    async def report() -> None:
        await report_node(market, node_id, matcher.parked_workers())

    return Periodic("report-node", 2.0, report)


def networks_job(networks: Networks) -> Periodic:
    """What each web process does for itself: write down from where its workers call."""
    return Periodic("note-networks", 60.0, networks.write, wake=networks.pending)


def sightings_job(market: Market) -> Periodic:
    """What each web process does for itself: write down what looked like abuse."""
    return Periodic("sightings", 5.0, partial(write_sightings, market))
