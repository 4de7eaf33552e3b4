"""The buyer's half of the HTTP contract, a function a route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_jobs.client.call import Call, decoder, encode, given, nothing, once, path
from openclaw_jobs.client.models import (
    ApiKey,
    Balance,
    Checkout,
    Credit,
    KeyList,
    Message,
    PostedTask,
    Quote,
    Task,
    TaskPage,
)

_posted: Final = decoder(PostedTask)
_quote: Final = decoder(Quote)
_task: Final = decoder(Task)
_page: Final = decoder(TaskPage)
_credit: Final = decoder(Credit)
_balance: Final = decoder(Balance)
_checkout: Final = decoder(Checkout)
_key: Final = decoder(ApiKey)
_keys: Final = decoder(KeyList)


def task_body(
    prompt: str | None,
    *,
    messages: Sequence[Message] | None,
    category: str | None,
    min_tier: str | None,
    max_price_cents: int | None,
    conversation_id: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Build the body of a new task from either a prompt or messages.

    Raises:
        ValueError: neither or both were given.
    """
    if (prompt is None) == (messages is None):
        raise ValueError("give either a prompt or messages")
    return given(
        prompt=prompt,
        messages=messages,
        category=category,
        min_tier=min_tier,
        max_price_cents=max_price_cents,
        conversation_id=conversation_id,
        metadata=metadata,
    )


def quote_body(
    prompt: str | None,
    messages: Sequence[Message] | None,
    category: str | None,
    min_tier: str | None,
    max_price_cents: int | None,
) -> dict[str, Any]:
    """Build the body of a dry run: the fields the price depends on; raises as `task_body`."""
    body = task_body(
        prompt,
        messages=messages,
        category=category,
        min_tier=min_tier,
        max_price_cents=max_price_cents,
        conversation_id=None,
        metadata=None,
    )
    return {**body, "dry_run": True}


def post_task(body: dict[str, Any], idempotency_key: str | None) -> Call[PostedTask]:
    """POST /api/task; the key makes a repetition harmless."""
    return Call(
        method="POST",
        path="/api/task",
        body=encode(body),
        headers=once(idempotency_key),
        repeatable=True,
        decode=_posted,
    )


def quote(body: dict[str, Any]) -> Call[Quote]:
    """POST /api/task as a dry run: price and checks, no charge."""
    return Call(
        method="POST",
        path="/api/task",
        body=encode(body),
        repeatable=True,
        decode=_quote,
    )


def get_task(task_id: str, wait: int) -> Call[Task]:
    """GET /api/task/{id}, held up to `wait` seconds until the task is finished."""
    return Call(
        method="GET",
        path=path("api", "task", task_id, wait=wait or None),
        repeatable=True,
        wait_s=wait,
        decode=_task,
    )


def list_tasks(limit: int, status: str | None, cursor: str | None) -> Call[TaskPage]:
    """GET /api/tasks, one page."""
    return Call(
        method="GET",
        path=path("api", "tasks", limit=limit, status=status, cursor=cursor),
        repeatable=True,
        decode=_page,
    )


def cancel(task_id: str) -> Call[Task]:
    """POST /api/task/{id}/cancel."""
    return Call(
        method="POST",
        path=path("api", "task", task_id, "cancel"),
        headers=once(None),
        repeatable=True,
        decode=_task,
    )


def credit(task_id: str, reason: str | None) -> Call[Credit]:
    """POST /api/task/{id}/credit."""
    return Call(
        method="POST",
        path=path("api", "task", task_id, "credit"),
        body=encode(given(reason=reason)),
        headers=once(None),
        repeatable=True,
        decode=_credit,
    )


def rate(task_id: str, rating: str | None) -> Call[Task]:
    """POST /api/task/{id}/rating; None takes a rating back."""
    return Call(
        method="POST",
        path=path("api", "task", task_id, "rating"),
        body=encode({"rating": rating}),
        repeatable=True,
        decode=_task,
    )


def balance() -> Call[Balance]:
    """GET /api/balance."""
    return Call(method="GET", path="/api/balance", repeatable=True, decode=_balance)


def deposit(pack: str) -> Call[Checkout]:
    """POST /api/deposit."""
    return Call(
        method="POST",
        path="/api/deposit",
        body=encode({"pack": pack}),
        headers=once(None),
        repeatable=True,
        decode=_checkout,
    )


def list_keys() -> Call[KeyList]:
    """GET /api/keys."""
    return Call(method="GET", path="/api/keys", repeatable=True, decode=_keys)


def create_key(name: str | None) -> Call[ApiKey]:
    """POST /api/keys; not repeatable, because a lost secret can't be shown again."""
    return Call(method="POST", path="/api/keys", body=encode(given(name=name)), decode=_key)


def delete_key(key_id: str) -> Call[None]:
    """DELETE /api/keys/{id}."""
    return Call(method="DELETE", path=path("api", "keys", key_id), decode=nothing)


def events(task_id: str | None, last_event_id: str | None) -> Call[None]:
    """GET /api/events or /api/task/{id}/events, to be read as a stream."""
    return Call(
        method="GET",
        path=path("api", "task", task_id, "events") if task_id else "/api/events",
        headers={"Accept": "text/event-stream", **given_id(last_event_id)},
        repeatable=True,
        decode=nothing,
    )


def given_id(last_event_id: str | None) -> dict[str, str]:
    """Build the header that resumes a stream, if there is a place to resume from."""
    return {} if last_event_id is None else {"Last-Event-ID": last_event_id}
