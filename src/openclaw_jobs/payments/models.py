"""What an earning is; all amounts in US cents, rates in basis points."""

from datetime import datetime
from typing import Literal

import msgspec

EarningStatus = Literal["frozen", "available", "credited"]


class NewEarning(msgspec.Struct, frozen=True):
    """An earning as a settlement writes it; net is gross less commission."""

    task_id: str
    worker_id: str
    gross_cents: int
    commission_cents: int
    rate_bp: int


class Earning(msgspec.Struct, frozen=True):
    """An earning as its worker reads it; frozen until `release_at`."""

    task_id: str
    gross_cents: int
    commission_cents: int
    net_cents: int
    rate_bp: int
    status: EarningStatus
    created_at: datetime
    release_at: datetime


class EarningPage(msgspec.Struct, frozen=True):
    """Some of a worker's earnings, newest first; `resume_after` is the last if there are more."""

    earnings: list[Earning]
    resume_after: Earning | None


class DueEarning(msgspec.Struct, frozen=True):
    """A frozen lot whose time has come."""

    task_id: str
    worker_id: str
    net_cents: int


class Lot(msgspec.Struct, frozen=True):
    """An earning with what has become of it.

    Frozen, nothing has; then available, withdrawn and clawed back add up to the net.
    """

    task_id: str
    worker_id: str
    gross_cents: int
    commission_cents: int
    net_cents: int
    status: EarningStatus
    available_cents: int
    withdrawn_cents: int
    clawed_cents: int


class LotChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction adds to the parts of a lot; `credited` ends it for good."""

    task_id: str
    available_cents: int = 0
    withdrawn_cents: int = 0
    clawed_cents: int = 0
    credited: bool = False
