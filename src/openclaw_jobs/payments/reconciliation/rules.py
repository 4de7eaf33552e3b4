"""Comparing two lists of movements: pure functions, in US cents.

Both sides are grouped by the object that a movement is about and by its direction, since one
posting may cover several refunds of a charge, and a fee is posted apart from its payment. A group
agrees if its amounts and its fees do.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from openclaw_jobs.payments.providers import RailRecord
from openclaw_jobs.payments.reconciliation.models import Finding, LedgerMovement, PostedOnRail

_FEES_OF_INFLOWS = frozenset({"deposit_fee"})


class _Group:
    """Movements of one object in one direction, on both sides."""

    def __init__(self) -> None:
        """Nothing on either."""
        self.records: list[RailRecord] = []
        self.movements: list[LedgerMovement] = []

    def is_within(self, since: datetime, until: datetime) -> bool:
        """Whether any of it is to be judged; the rest is there to be found as its counterpart."""
        return any(since <= at < until for at in self.times())

    def times(self) -> list[datetime]:
        """When each of it was."""
        return [*(record.at for record in self.records), *(m.at for m in self.movements)]


class Comparison(msgspec.Struct, frozen=True):
    """How many objects agree, and what does not."""

    matched: int
    findings: list[Finding]


def compare(
    records: Sequence[RailRecord],
    movements: Sequence[LedgerMovement],
    since: datetime,
    until: datetime,
) -> Comparison:
    """Compare a rail's records with the ledger's movements.

    Args:
        records: The rail's, from some time before `since` to some time after `until`.
        movements: The ledger's, of the same time: a counterpart may be somewhat earlier or later.
        since: From when on what has no counterpart is a finding.
        until: Up to when; what is younger may still be on its way.
    """
    matched = 0
    findings: list[Finding] = []
    for group in _groups(records, movements):
        if not group.is_within(since, until):
            continue
        finding = _judge(group, since, until)
        if finding is None:
            matched += 1
        else:
            findings.append(finding)
    return Comparison(matched, sorted(findings, key=lambda f: (f.at, f.reference)))


def _judge(group: _Group, since: datetime, until: datetime) -> Finding | None:
    records, movements = group.records, group.movements
    rail, ledger = sum(r.amount_cents for r in records), sum(m.amount_cents for m in movements)
    if not records:
        first = movements[0]
        return Finding(
            kind="missing_on_rail",
            reference=first.names[0],
            key=first.key,
            ledger_cents=ledger,
            at=first.at,
        )
    first_record = records[0]
    if not movements:
        return Finding(
            kind="missing_in_ledger",
            reference=first_record.reference,
            rail_cents=rail,
            at=first_record.at,
            detail=first_record.key,
        )
    fees = sum(r.fee_cents for r in records), sum(m.fee_cents for m in movements)
    if rail == ledger and fees[0] == fees[1]:
        return None
    # One side's youngest part may be on its way yet.
    if max(group.times()) >= until and not _differs_without(group, until):
        return None
    differs = rail != ledger
    return Finding(
        kind="amount_differs" if differs else "fee_differs",
        reference=first_record.reference,
        key=movements[0].key,
        rail_cents=rail if differs else fees[0],
        ledger_cents=ledger if differs else fees[1],
        at=max(since, first_record.at),
        detail=first_record.key,
    )


def _differs_without(group: _Group, until: datetime) -> bool:
    """Whether a difference is there already without what is younger than `until`."""
    rail = sum(r.amount_cents for r in group.records if r.at < until)
    return rail != sum(m.amount_cents for m in group.movements)


def _groups(records: Iterable[RailRecord], movements: Iterable[LedgerMovement]) -> list[_Group]:
    """Gather what is about the same object in the same direction."""
    groups: list[_Group] = []
    by_name: dict[tuple[str, bool], _Group] = {}

    def of(names: Iterable[str], *, inflow: bool) -> _Group:
        keys = [(name, inflow) for name in names]
        group = next((by_name[key] for key in keys if key in by_name), None)
        if group is None:
            group = _Group()
            groups.append(group)
        for key in keys:
            by_name.setdefault(key, group)
        return group

    for movement in movements:
        of(movement.names, inflow=movement.inflow).movements.append(movement)
    for record in records:
        names = [name for name in (record.key, record.reference) if name is not None]
        of(names, inflow=record.amount_cents > 0).records.append(record)
    return groups


def movement_of(posted: PostedOnRail, names: Mapping[str, tuple[str, ...]]) -> LedgerMovement:
    """A posting on a rail's account as the movement that the rail should know.

    Args:
        posted: The posting.
        names: Other names of the objects that keys are about.
    """
    cents, subject = posted.amount_cents, subject_of(posted.key)
    inflow = posted.kind in _FEES_OF_INFLOWS or cents > 0
    fee = 0
    if posted.kind in _FEES_OF_INFLOWS or posted.kind == "payout_fee":
        cents, fee = 0, -cents
    elif posted.disputed_cents is not None:
        # A dispute's fee is in the same posting: taken when it is opened, given back if it is won.
        amount = posted.disputed_cents if inflow else -posted.disputed_cents
        cents, fee = amount, amount - cents
    all_names = (subject, *(n for n in names.get(subject, ()) if n != subject))
    return LedgerMovement(all_names, inflow, cents, fee, posted.at, posted.key)


def subject_of(key: str) -> str:
    """The object that a transfer's key is about: the word behind the first colon."""
    return key.split(":")[1]
