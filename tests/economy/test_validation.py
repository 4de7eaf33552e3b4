"""What a section may hold, and how a refusal names every fault."""

import json
from typing import Any

import msgspec
import pytest

from openclaw_jobs.economy import DEFAULT_CONFIG, SECTIONS, Section, rules
from openclaw_jobs.kit.errors import FieldError, Problem

INVALID: list[tuple[str, dict[str, Any], str]] = [
    # money
    ("pricing", {"min_cents": 0}, "value.min_cents"),
    ("pricing", {"min_cents": 5.0}, "value.min_cents"),
    ("pricing", {"min_cents": 101, "max_cents": 100}, "value.min_cents"),
    ("pricing", {"max_cents": 100_000_001}, "value.max_cents"),
    ("pricing", {"max_cents": 10**40}, "value.max_cents"),
    ("pricing", {"max_cents": "100"}, "value.max_cents"),
    ("pricing", {"max_cents": True}, "value.max_cents"),
    ("pricing", {"max_cents": None}, "value.max_cents"),
    ("pricing", {"per_1000_chars_cents": -1}, "value.per_1000_chars_cents"),
    ("pricing", {"base_cents": {"general": 10}}, "value.base_cents"),
    ("pricing", {"base_cents": {}}, "value.base_cents"),
    ("pricing", {"base_cents": 10}, "value.base_cents"),
    ("pricing", {"base_cents": {"default": -1}}, "value.base_cents.default"),
    ("pricing", {"base_cents": {"default": 1, "": 1}}, "value.base_cents."),
    ("pricing", {"base_cents": {"default": 1, " a": 1}}, "value.base_cents. a"),
    ("pricing", {"base_cents": {"default": 1, "a\n": 1}}, "value.base_cents.a\n"),
    ("pricing", {"base_cents": {"default": 1, "a\x00": 1}}, "value.base_cents.a\x00"),
    ("pricing", {"base_cents": {"default": 1, "x" * 65: 1}}, "value.base_cents." + "x" * 65),
    ("pricing", {"base_cents": {f"c{n}": 1 for n in range(201)}}, "value.base_cents"),
    ("pricing", {"currency": "EUR"}, "value.currency"),
    ("packs", {"starter": {"cents": 49, "bonus_cents": 0}}, "value.starter.cents"),
    ("packs", {"starter": {"cents": 500}}, "value.starter.bonus_cents"),
    ("packs", {"starter": None}, "value.starter"),
    ("packs", {"huge": {"cents": 500, "bonus_cents": 0}}, "value.huge"),
    ("signup", {"bonus_cents": -1}, "value.bonus_cents"),
    # shares and windows
    ("commissions", {"rate_by_tier": {"bronze": 0.3}}, "value.rate_by_tier.silver"),
    ("commissions", {"freeze_window_hours": -1}, "value.freeze_window_hours"),
    ("commissions", {"freeze_window_hours": 8761}, "value.freeze_window_hours"),
    ("commissions", {"freeze_window_hours": float("nan")}, "value.freeze_window_hours"),
    ("commissions", {"freeze_window_hours": float("inf")}, "value.freeze_window_hours"),
    ("commissions", {"min_withdrawal_cents": 0}, "value.min_withdrawal_cents"),
    ("commissions", {"require_verified_email": 1}, "value.require_verified_email"),
    ("commissions", {"auto_approve_under_cents": -5}, "value.auto_approve_under_cents"),
    # tiers
    ("tiers", {"bronze": {}}, "value.bronze"),
    ("tiers", {"silver": {"completed": 1}}, "value.silver.quality"),
    # dispatch
    ("dispatch", {"lease_seconds": 0}, "value.lease_seconds"),
    ("dispatch", {"lease_seconds": 1.5}, "value.lease_seconds"),
    ("dispatch", {"max_attempts": 0}, "value.max_attempts"),
    ("dispatch", {"fairness_percent": 101}, "value.fairness_percent"),
    ("dispatch", {"strikes": 0}, "value.strikes"),
    ("dispatch", {"strikes": 1_000_001}, "value.strikes"),
    ("dispatch", {"max_attempts": 1_000_001}, "value.max_attempts"),
    ("dispatch", {"suspension_seconds": 0}, "value.suspension_seconds"),
    ("dispatch", {"queue_expiry_seconds": 0}, "value.queue_expiry_seconds"),
    ("dispatch", {"task_fault_after": 0}, "value.task_fault_after"),
    ("dispatch", {"cents_to_seconds": -0.1}, "value.cents_to_seconds"),
    ("dispatch", {"max_price_bonus_seconds": -1}, "value.max_price_bonus_seconds"),
    # quality
    ("quality", {"enabled": "yes"}, "value.enabled"),
    ("quality", {"shadow_rate": 1.01}, "value.shadow_rate"),
    ("quality", {"spot_check_rate": -0.1}, "value.spot_check_rate"),
    ("quality", {"benchmark_rate": 2}, "value.benchmark_rate"),
    ("quality", {"benchmark_rate": None}, "value.benchmark_rate"),
    ("quality", {"daily_budget_percent": 1001}, "value.daily_budget_percent"),
    ("quality", {"thresholds": {"coding": 0.7}}, "value.thresholds"),
    ("quality", {"thresholds": {"default": 1.1}}, "value.thresholds.default"),
    ("quality", {"auto_credit_min_tasks": -1}, "value.auto_credit_min_tasks"),
    # limits
    ("rate_limits", {"everything": {"limit": 1, "per_seconds": 1}}, "value.everything"),
    ("rate_limits", {"connect": {"limit": 0, "per_seconds": 60}}, "value.connect.limit"),
    ("rate_limits", {"connect": {"limit": 1_000_001, "per_seconds": 60}}, "value.connect.limit"),
    ("rate_limits", {"connect": {"limit": 3}}, "value.connect.per_seconds"),
    ("rate_limits", {"connect": {"limit": 3, "per_seconds": 0}}, "value.connect.per_seconds"),
    ("rate_limits", {"connect": "3/60"}, "value.connect"),
    ("payload_limits", {"task_input": 63}, "value.task_input"),
    ("payload_limits", {"task_input": 16 * 1024 * 1024 + 1}, "value.task_input"),
    ("payload_limits", {"small_body": 1023}, "value.small_body"),
]

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("pricing", {"min_cents": 10, "max_cents": 10}),
    ("pricing", {"base_cents": {"default": 0, "Data entry/v1.2_x-y": 100_000_000}}),
    ("packs", {"business": {"cents": 50, "bonus_cents": 0}}),
    ("signup", {"bonus_cents": 0}),
    ("commissions", {"freeze_window_hours": 0, "payout_change_delay_hours": 0.25}),
    (
        "commissions",
        {"rate_by_tier": {"bronze": 1, "silver": 0, "gold": 0.0725, "platinum": 0.5}},
    ),
    ("commissions", {"min_withdrawal_cents": 1, "daily_withdrawal_limit_cents": 1}),
    ("commissions", {"min_withdrawal_cents": 500, "daily_withdrawal_limit_cents": 100}),
    ("dispatch", {"lease_seconds": 1, "fairness_percent": 0, "cents_to_seconds": 0}),
    ("dispatch", {"strikes": 1_000_000, "max_attempts": 1_000_000, "task_fault_after": 1_000_000}),
    ("quality", {"spot_check_rate": 0}),
    ("quality", {"spot_check_rate": 1.0, "check_delay_seconds": 0, "daily_budget_percent": 1000}),
    ("quality", {"enabled": False}),
    ("rate_limits", {"connect": {"limit": 1_000_000, "per_seconds": 1}}),
    ("payload_limits", {"small_body": 1024, "webhook": 16 * 1024 * 1024}),
]


def seeded(key: str) -> Section:
    section: Section = getattr(DEFAULT_CONFIG, key)
    return section


def faults(key: str, value: object) -> list[FieldError]:
    with pytest.raises(Problem) as refused:
        rules.parse(key, rules.merge(seeded(key), value))
    assert refused.value.code == "validation_failed"
    return list(refused.value.errors)


@pytest.mark.parametrize("key", SECTIONS)
def test_the_seeded_section_is_valid_and_survives_json(key: str) -> None:
    stored = json.loads(msgspec.json.encode(seeded(key)))
    assert rules.parse(key, stored) == seeded(key)


@pytest.mark.parametrize(("key", "value", "field"), INVALID)
def test_a_wrong_field_is_refused_by_its_path(key: str, value: dict[str, Any], field: str) -> None:
    assert field in [fault.field for fault in faults(key, value)]


@pytest.mark.parametrize(("key", "value"), ACCEPTED)
def test_the_bounds_themselves_are_accepted(key: str, value: dict[str, Any]) -> None:
    section = msgspec.to_builtins(rules.parse(key, rules.merge(seeded(key), value)))
    assert section == msgspec.to_builtins(seeded(key)) | value


@pytest.mark.parametrize("value", [None, 5, "x", [], [{"lease_seconds": 5}], True])
def test_a_value_that_is_no_object_is_refused(value: object) -> None:
    assert faults("dispatch", value) == [FieldError("value", "Expected `object`")]


def test_every_fault_is_reported_at_once() -> None:
    value = {
        "base_cents": {"default": 1, "a": -1, "b": "x"},
        "min_cents": 0,
        "max_cents": None,
        "x": 1,
    }
    assert [fault.field for fault in faults("pricing", value)] == [
        "value.x",
        "value.base_cents.a",
        "value.base_cents.b",
        "value.min_cents",
        "value.max_cents",
    ]


def test_a_flood_of_faults_is_cut() -> None:
    assert len(faults("signup", {f"f{n}": n for n in range(10_000)})) == rules.MAX_REPORTED_ERRORS


@pytest.mark.parametrize("name", ["\ud800", "x" * 10_000])
def test_a_hostile_name_can_be_answered(name: str) -> None:
    for key, value in [
        ("signup", {name: 1}),
        ("pricing", {"base_cents": {"default": 1, name: 1}}),
    ]:
        answer = msgspec.json.encode(faults(key, value))
        assert len(answer) < 1_000


def test_a_rate_finer_than_a_basis_point_is_refused() -> None:
    rates = {"bronze": 0.30001, "silver": 0.25, "gold": 0.2, "platinum": 0.15}
    assert [fault.field for fault in faults("commissions", {"rate_by_tier": rates})] == [
        "value.rate_by_tier.bronze"
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("completed", 199), ("completion_rate", 0.94), ("quality", 0.89), ("credit_rate", 0.06)],
)
def test_a_higher_tier_never_asks_for_less(field: str, value: float) -> None:
    platinum = msgspec.to_builtins(DEFAULT_CONFIG.tiers.platinum) | {field: value}
    assert [fault.field for fault in faults("tiers", {"platinum": platinum})] == [
        f"value.platinum.{field}"
    ]


def test_fields_left_out_stay_and_given_ones_are_replaced_whole() -> None:
    merged = rules.parse(
        "pricing", rules.merge(DEFAULT_CONFIG.pricing, {"base_cents": {"default": 3}})
    )
    assert merged == msgspec.structs.replace(DEFAULT_CONFIG.pricing, base_cents={"default": 3})


def test_one_rate_limit_is_replaced_and_the_others_stay() -> None:
    entry = {"limit": 7, "per_seconds": 9}
    merged = rules.parse("rate_limits", rules.merge(DEFAULT_CONFIG.rate_limits, {"connect": entry}))
    assert msgspec.to_builtins(merged) == (
        msgspec.to_builtins(DEFAULT_CONFIG.rate_limits) | {"connect": entry}
    )


def test_a_stored_section_of_another_release_is_completed() -> None:
    stored = {"lease_seconds": 7, "a_field_of_the_next_release": 1}
    assert rules.parse("dispatch", rules.complete(stored, DEFAULT_CONFIG.dispatch)) == (
        msgspec.structs.replace(DEFAULT_CONFIG.dispatch, lease_seconds=7)
    )


def test_what_a_later_version_brought_may_be_missing_in_what_was_stored() -> None:
    now = DEFAULT_CONFIG.rate_limits
    stored = msgspec.to_builtins(now)
    del stored["health"]
    assert msgspec.convert(stored, type(now)) == now
