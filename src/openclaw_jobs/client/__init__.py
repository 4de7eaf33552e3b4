"""The SDK for buyers and workers, and the worker program behind `openclaw-jobs worker`.

Works with the base install alone and knows nothing of the server's code: everything it knows of
the marketplace is the HTTP contract. Start with `Buyer` or `Worker`; `AsyncBuyer` and
`AsyncWorker` have the same methods to be awaited. See `docs/reference/sdk.md`.
"""

from openclaw_jobs.client.buyer import AsyncBuyer, Buyer
from openclaw_jobs.client.errors import (
    ApiError,
    ClientError,
    FieldError,
    TransportError,
    UnexpectedAnswerError,
)
from openclaw_jobs.client.models import (
    ApiKey,
    Assignment,
    Assignments,
    Balance,
    Checkout,
    Connected,
    Credit,
    Earning,
    Event,
    Heartbeat,
    Lease,
    Message,
    NextTasks,
    Payout,
    PostedTask,
    Preferences,
    Quote,
    Receipt,
    Receipts,
    Schedule,
    Submission,
    Task,
    Withdrawal,
    WorkerProfile,
)
from openclaw_jobs.client.retry import NO_RETRY, RetryPolicy
from openclaw_jobs.client.worker import AsyncWorker, Worker

__all__ = [
    "NO_RETRY",
    "ApiError",
    "ApiKey",
    "Assignment",
    "Assignments",
    "AsyncBuyer",
    "AsyncWorker",
    "Balance",
    "Buyer",
    "Checkout",
    "ClientError",
    "Connected",
    "Credit",
    "Earning",
    "Event",
    "FieldError",
    "Heartbeat",
    "Lease",
    "Message",
    "NextTasks",
    "Payout",
    "PostedTask",
    "Preferences",
    "Quote",
    "Receipt",
    "Receipts",
    "RetryPolicy",
    "Schedule",
    "Submission",
    "Task",
    "TransportError",
    "UnexpectedAnswerError",
    "Withdrawal",
    "Worker",
    "WorkerProfile",
]
