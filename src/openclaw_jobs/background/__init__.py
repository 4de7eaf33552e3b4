"""The background door: what runs by the clock, without anybody asking."""

from openclaw_jobs.background.lag import watch_lag
from openclaw_jobs.background.loops import Periodic, repeat
from openclaw_jobs.background.schedule import (
    check_budget_job,
    check_jobs,
    deposit_jobs,
    due_checks_job,
    market_jobs,
    networks_job,
    node_job,
    payout_jobs,
    reconcile_job,
    sightings_job,
)

__all__ = [
    "Periodic",
    "check_budget_job",
    "check_jobs",
    "deposit_jobs",
    "due_checks_job",
    "market_jobs",
    "networks_job",
    "node_job",
    "payout_jobs",
    "reconcile_job",
    "repeat",
    "sightings_job",
    "watch_lag",
]
