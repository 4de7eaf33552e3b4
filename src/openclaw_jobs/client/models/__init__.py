"""Everything a buyer or a worker gets from the marketplace, as frozen structs.

Unknown fields are ignored and most known ones have a default, so a newer server doesn't break an
older client. Money is an integer of US cents in fields that end in `_cents`; times are aware UTC.
Statuses, tiers and categories are plain strings, because a later server may know more of them.
"""

from __future__ import annotations

from openclaw_jobs.client.models.buyer import (
    UNFINISHED,
    ApiKey,
    Balance,
    Checkout,
    Credit,
    Event,
    KeyList,
    Lifetime,
    PostedTask,
    QueuePlace,
    Quote,
    Task,
    TaskPage,
)
from openclaw_jobs.client.models.common import (
    Message,
)
from openclaw_jobs.client.models.worker import (
    Assignment,
    Assignments,
    Connected,
    Earning,
    EarningPage,
    Heartbeat,
    Lease,
    NewToken,
    NextTasks,
    Payout,
    PayoutPage,
    Preferences,
    Receipt,
    Receipts,
    Requirement,
    Schedule,
    Submission,
    TierProgress,
    Withdrawal,
    WorkerBalance,
    WorkerProfile,
    WorkerStats,
)

__all__ = [
    "UNFINISHED",
    "ApiKey",
    "Assignment",
    "Assignments",
    "Balance",
    "Checkout",
    "Connected",
    "Credit",
    "Earning",
    "EarningPage",
    "Event",
    "Heartbeat",
    "KeyList",
    "Lease",
    "Lifetime",
    "Message",
    "NewToken",
    "NextTasks",
    "Payout",
    "PayoutPage",
    "PostedTask",
    "Preferences",
    "QueuePlace",
    "Quote",
    "Receipt",
    "Receipts",
    "Requirement",
    "Schedule",
    "Submission",
    "Task",
    "TaskPage",
    "TierProgress",
    "Withdrawal",
    "WorkerBalance",
    "WorkerProfile",
    "WorkerStats",
]
