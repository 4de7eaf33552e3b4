"""Earnings: what a worker got for each task, frozen first and then its to keep."""

from openclaw_jobs.payments.models import DueEarning, Earning, EarningPage, NewEarning

__all__ = ["DueEarning", "Earning", "EarningPage", "NewEarning"]
