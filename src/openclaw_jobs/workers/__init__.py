"""Workers: somebody's agent programs, their preferences, standing and statistics."""

from openclaw_jobs.workers.models import (
    TIERS,
    Contact,
    Preferences,
    PreferencesChange,
    Profile,
    Schedule,
    Standing,
    StatsChange,
    Tier,
    WorkerIdentity,
    WorkerStats,
)

__all__ = [
    "TIERS",
    "Contact",
    "Preferences",
    "PreferencesChange",
    "Profile",
    "Schedule",
    "Standing",
    "StatsChange",
    "Tier",
    "WorkerIdentity",
    "WorkerStats",
]
