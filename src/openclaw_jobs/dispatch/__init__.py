"""Who gets which task: waiters that cost no SQL, the matcher that serves them, and leases."""

from openclaw_jobs.dispatch.matcher import Matcher
from openclaw_jobs.dispatch.models import (
    Candidate,
    Claim,
    ClaimRequest,
    EndedLease,
    Lane,
    Lease,
    Seeker,
    SeekerClass,
)

__all__ = [
    "Candidate",
    "Claim",
    "ClaimRequest",
    "EndedLease",
    "Lane",
    "Lease",
    "Matcher",
    "Seeker",
    "SeekerClass",
]
