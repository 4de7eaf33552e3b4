"""Pure rules of the configuration: what a section may hold, and what follows from its numbers."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import islice, pairwise
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import msgspec

from openclaw_jobs.economy.models import (
    DEFAULT_CATEGORY,
    SECTIONS,
    Commissions,
    Dispatch,
    FieldChange,
    Pricing,
    Quality,
    Section,
    Tier,
    Tiers,
)
from openclaw_jobs.kit.errors import FieldError, Problem

MAX_REPORTED_ERRORS: Final = 50
"""A refusal lists this many faults; more would help nobody."""

BASIS_POINTS: Final = 10_000
"""Parts of a whole in which a commission rate is stamped on an earning."""

_CHARS_PER_STEP: Final = 1_000
_MAX_SHOWN_NAME: Final = 100

T = TypeVar("T")


# ---------------------------------------------------------------- what follows from the numbers


def price_cents(pricing: Pricing, category: str, chars: int) -> int:
    """The price of a task in cents.

    The category's base (or the default's) plus `per_1000_chars_cents` for each 1,000 characters
    begun, kept between `min_cents` and `max_cents`.
    """
    if chars < 0:
        raise ValueError("a text has no negative length")
    steps = -(-chars // _CHARS_PER_STEP)
    raw = by_category(pricing.base_cents, category) + pricing.per_1000_chars_cents * steps
    return max(pricing.min_cents, min(pricing.max_cents, raw))


def by_category(table: Mapping[str, T], category: str) -> T:
    """The category's own entry of a table such as `base_cents`, or the default's."""
    return table[category] if category in table else table[DEFAULT_CATEGORY]


def commission_bp(commissions: Commissions, tier: Tier) -> int:
    """The platform's share for a worker of this tier, in basis points (1/10,000)."""
    return _basis_points(getattr(commissions.rate_by_tier, tier.value))


def freeze_window(commissions: Commissions) -> timedelta:
    """How long an earning stays frozen after its task was settled."""
    return timedelta(hours=commissions.freeze_window_hours)


def credit_window(quality: Quality) -> timedelta:
    """How long after completion a buyer may ask for credit."""
    return timedelta(hours=quality.credit_window_hours)


def price_bonus_seconds(dispatch: Dispatch, task_price_cents: int) -> float:
    """How many seconds of waiting a task's price is worth in the order of its queue."""
    worth = float(task_price_cents * dispatch.cents_to_seconds)
    return min(worth, float(dispatch.max_price_bonus_seconds))


# ------------------------------------------------------------------------ what a section may hold


def merge(present: Section, value: object) -> object:
    """What a write means: its fields replace the present ones whole, and the rest stay.

    Only the fields of the section itself are merged; what is inside a field is replaced. A value
    that is no object is returned as it is, for `parse` to refuse.
    """
    if not isinstance(value, Mapping):
        return value
    return {**msgspec.to_builtins(present), **value}


def complete(stored: Mapping[str, Any], seeded: Section) -> dict[str, Any]:
    """A stored section in today's shape.

    Releases overlap while nodes are replaced: a field that the stored value doesn't have yet comes
    from the seed, and one that this release doesn't know is left out.
    """
    defaults: dict[str, Any] = msgspec.to_builtins(seeded)
    return {name: stored.get(name, default) for name, default in defaults.items()}


def parse(key: str, value: object) -> Section:
    """Check a whole section and return it typed.

    Raises:
        Problem: `validation_failed`, with every fault by field.
    """
    section_type = SECTIONS[key]
    errors = list(islice(_faults("value", section_type, value), MAX_REPORTED_ERRORS))
    if not errors:
        section = msgspec.convert(value, section_type)
        errors = list(_CROSS_CHECKS[key](section)) if key in _CROSS_CHECKS else []
        if not errors:
            return section
    first = errors[0]
    raise Problem(
        "validation_failed",
        f"Not a valid {key} configuration: {first.field}: {first.message}.",
        errors=errors,
    )


def _faults(path: str, wanted: object, value: object) -> Iterator[FieldError]:
    """Every fault of a value by its exact path; msgspec alone stops at the first."""
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        yield from _struct_faults(path, wanted, value)
        return
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    if get_origin(bare) is dict and isinstance(value, Mapping):
        inner = [fault for item in value.items() for fault in _entry_faults(path, bare, *item)]
        yield from inner
        if inner:
            return
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        yield FieldError(field=path, message=str(error))


def _struct_faults(path: str, wanted: type[msgspec.Struct], value: object) -> Iterator[FieldError]:
    if not isinstance(value, Mapping):
        yield FieldError(field=path, message="Expected `object`")
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
    for name in value:
        if name not in fields:
            yield FieldError(field=f"{path}.{_shown(name)}", message="Unknown field")
    for name, field_type in fields.items():
        if name in value:
            yield from _faults(f"{path}.{name}", field_type, value[name])
        else:
            yield FieldError(field=f"{path}.{name}", message="Required field is missing")


def _entry_faults(path: str, table: object, name: object, value: object) -> Iterator[FieldError]:
    key_type, value_type = get_args(table)
    here = f"{path}.{_shown(name)}"
    yield from _faults(here, key_type, name)
    yield from _faults(here, value_type, value)


def _shown(name: object) -> str:
    """A name from outside, short and encodable, so that it may stand in an answer."""
    text = str(name)[:_MAX_SHOWN_NAME]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _basis_points(rate: float) -> int:
    return round(rate * BASIS_POINTS)


def _check_pricing(section: Section) -> Iterator[FieldError]:
    pricing = _as(Pricing, section)
    if DEFAULT_CATEGORY not in pricing.base_cents:
        yield FieldError(field="value.base_cents", message="Must have an entry `default`")
    if pricing.min_cents > pricing.max_cents:
        yield FieldError(field="value.min_cents", message="Must not exceed `max_cents`")


def _check_commissions(section: Section) -> Iterator[FieldError]:
    commissions = _as(Commissions, section)
    for tier in Tier:
        rate = getattr(commissions.rate_by_tier, tier.value)
        # A rate is stamped in basis points; a finer one would be charged as another.
        if abs(rate * BASIS_POINTS - _basis_points(rate)) > 1e-6:  # noqa: PLR2004 - float noise
            yield FieldError(field=f"value.rate_by_tier.{tier.value}", message="At most 4 decimals")


def _check_tiers(section: Section) -> Iterator[FieldError]:
    tiers = _as(Tiers, section)
    ladder = [("silver", tiers.silver), ("gold", tiers.gold), ("platinum", tiers.platinum)]
    for (below, lower), (name, upper) in pairwise(ladder):
        for field in ("completed", "completion_rate", "quality"):
            if getattr(upper, field) < getattr(lower, field):
                yield FieldError(
                    field=f"value.{name}.{field}", message=f"Must not be less than {below}'s"
                )
        if upper.credit_rate > lower.credit_rate:
            yield FieldError(
                field=f"value.{name}.credit_rate", message=f"Must not be more than {below}'s"
            )


def _check_quality(section: Section) -> Iterator[FieldError]:
    if DEFAULT_CATEGORY not in _as(Quality, section).thresholds:
        yield FieldError(field="value.thresholds", message="Must have an entry `default`")


S = TypeVar("S", bound=Section)


def _as(section_type: type[S], section: Section) -> S:
    if not isinstance(section, section_type):
        raise TypeError(f"{type(section).__name__} is no {section_type.__name__}")
    return section


_CROSS_CHECKS: Final[Mapping[str, Callable[[Section], Iterator[FieldError]]]] = {
    "pricing": _check_pricing,
    "commissions": _check_commissions,
    "tiers": _check_tiers,
    "quality": _check_quality,
}


# ------------------------------------------------------------------------------- what has changed


def diff(old: Section, new: Section) -> list[FieldChange]:
    """The fields that differ between two values of one section, in the new one's order."""
    return list(_changes("", msgspec.to_builtins(old), msgspec.to_builtins(new)))


def _changes(path: str, old: object, new: object) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*new, *(name for name in old if name not in new)]:
            below = f"{path}.{name}" if path else str(name)
            yield from _changes(below, old.get(name), new.get(name))
    elif old != new:
        yield FieldChange(path, old, new)
