"""What comes over the wire in requests, strictly.

A field that may be left out may be null as well, which says the same; but null takes back what a
profile or a rating had.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw_jobs.tasks.models import Category, Message
from openclaw_jobs.workers import PreferencesChange, Schedule, Tier

Name = Annotated[str, Meta(max_length=100)]
ShortText = Annotated[str, Meta(max_length=2000)]
Capability = Annotated[str, Meta(min_length=1, max_length=64)]
Capabilities = Annotated[list[Capability], Meta(max_length=50)]
TaskId = Annotated[str, Meta(max_length=64)]
LeaseToken = Annotated[str, Meta(max_length=128)]
ErrorText = Annotated[str, Meta(max_length=65_536)]
Wait = Annotated[float, Meta(ge=0, le=60)]
Count = Annotated[int, Meta(ge=1, le=100)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body: unknown fields are refused."""


class TaskBody(Body, frozen=True, kw_only=True):
    """What a buyer posts: `prompt` or `messages`, and how."""

    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=1000)] | None = None
    category: Category | None = "general"
    min_tier: Tier | None = "bronze"
    max_price_cents: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    conversation_id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    metadata: dict[str, Any] | None = None
    dry_run: bool | None = False


class RatingBody(Body, frozen=True, kw_only=True):
    """`up`, `down`, or null to take a rating back."""

    rating: Literal["up", "down"] | None


class KeyBody(Body, frozen=True, kw_only=True):
    """What to call a new API key."""

    name: Name | None = None


class ConnectBody(Body, frozen=True, kw_only=True):
    """What a worker says of itself."""

    name: Name | None = None
    model: Name | None = None
    capabilities: Capabilities | None = None
    preferences: PreferencesChange | None = None


class ProfileBody(Body, frozen=True, kw_only=True):
    """What a worker changes of itself; what is absent stays.

    Null clears `name`, `model` and `schedule`; elsewhere it is as absent.
    """

    name: Name | UnsetType | None = UNSET
    model: Name | UnsetType | None = UNSET
    capabilities: Capabilities | UnsetType | None = UNSET
    preferences: PreferencesChange | UnsetType | None = UNSET
    schedule: Schedule | UnsetType | None = UNSET


class NextBody(Body, frozen=True, kw_only=True):
    """Ask for the next tasks with a submission, as `GET /api/work/next` would."""

    wait: Wait | None = 0
    max: Count | None = 1


class SubmissionItem(Body, frozen=True, kw_only=True):
    """One submission."""

    task_id: TaskId
    lease_token: LeaseToken
    status: Literal["completed", "failed"]
    result: str | None = None
    error: ErrorText | None = None
    usage: dict[str, Any] | None = None


class SubmitBody(Body, frozen=True, kw_only=True):
    """One submission, or several as `submissions`; and perhaps `next`."""

    task_id: TaskId | None = None
    lease_token: LeaseToken | None = None
    status: Literal["completed", "failed"] | None = None
    result: str | None = None
    error: ErrorText | None = None
    usage: dict[str, Any] | None = None
    submissions: Annotated[list[SubmissionItem], Meta(min_length=1, max_length=100)] | None = None
    next: NextBody | None = None


class HeartbeatBody(Body, frozen=True, kw_only=True):
    """Extend a lease; `progress` is shown to the buyer."""

    task_id: TaskId
    lease_token: LeaseToken
    progress: ShortText | None = None


class ReleaseBody(Body, frozen=True, kw_only=True):
    """Give a task back."""

    task_id: TaskId
    lease_token: LeaseToken
    reason: ShortText | None = None


class ConfigBody(Body, frozen=True, kw_only=True):
    """A section's new value; with `version`, only if that one is in force."""

    value: dict[str, Any]
    version: int | None = None
