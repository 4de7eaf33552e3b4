"""Flags: what looked like abuse, for operators to look at. A flag by itself changes nothing."""

from openclaw_jobs.flags.models import Flag, FlagKind, FlagPage, Sighting
from openclaw_jobs.flags.service import dismiss_flag, list_flags, raise_flags

__all__ = [
    "Flag",
    "FlagKind",
    "FlagPage",
    "Sighting",
    "dismiss_flag",
    "list_flags",
    "raise_flags",
]
