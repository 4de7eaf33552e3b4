"""What the doors know of a request; see `kit.visit`."""

from openclaw_jobs.kit.visit import CLIENT_GONE, Visit, visit_of

__all__ = ["CLIENT_GONE", "Visit", "visit_of"]
