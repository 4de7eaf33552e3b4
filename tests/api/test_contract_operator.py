"""What an operator does: the configuration while it runs, the proof, the jobs that run now."""

import asyncio

import pytest

from openclaw_jobs.economy.models import SECTIONS
from tests.market.steps import claim, complete, post, refused, sql
from tests.running import Json, Node

SECTION = {"key", "value", "version", "updated_at"}


async def test_the_whole_configuration_and_each_section(node: Node) -> None:
    operator = node.operator()

    everything = (await operator.ok("GET", "/api/admin/config"))["config"]

    assert list(everything) == list(SECTIONS)
    for key, section in everything.items():
        assert set(section) == SECTION
        assert section["key"] == key
        assert section["updated_at"].endswith("Z")
        assert await operator.ok("GET", f"/api/admin/config/{key}") == section
    for key in ("nothing", "Pricing", "%00"):
        answer = await operator.get(f"/api/admin/config/{key}")
        refused(answer, 404, "not_found")
        answer = await operator.http.put(f"/api/admin/config/{key}", json={"value": {}})
        refused(answer, 404, "not_found")


async def test_a_section_is_changed_with_versions_that_are_attributable(node: Node) -> None:
    operator = node.operator()
    path = "/api/admin/config/commissions"
    before = await operator.ok("GET", path)

    body = {"value": {"freeze_window_hours": 1}, "version": before["version"]}
    after = await operator.ok("PUT", path, body)

    assert set(after) == SECTION
    assert after["version"] == before["version"] + 1
    assert after["value"] == before["value"] | {"freeze_window_hours": 1}
    assert await operator.ok("GET", path) == after
    stale = await operator.http.put(path, json=body)
    assert refused(stale, 422, "validation_failed")["errors"][0]["field"] == "version"
    whole = await operator.ok("PUT", path, {"value": before["value"]})
    assert whole["value"] == before["value"]
    versions = await sql(
        node,
        "SELECT version, actor, value->'freeze_window_hours' FROM config_versions"
        " WHERE key = 'commissions' ORDER BY version",
    )
    assert versions == [(1, "seed", 24), (2, "operator", 1), (3, "operator", 24)]
    audited = await sql(
        node, "SELECT actor, action, subject FROM audit_log ORDER BY id DESC LIMIT 1"
    )
    assert audited == [("operator", "config.put", "commissions")]


async def test_two_changes_at_once_are_both_kept_or_one_is_told(node: Node) -> None:
    operator = node.operator()
    path = "/api/admin/config/signup"
    version = (await operator.ok("GET", path))["version"]

    answers = await asyncio.gather(
        *(
            operator.http.put(path, json={"value": {"bonus_cents": n}, "version": version})
            for n in range(8)
        )
    )

    assert sorted(a.status_code for a in answers) == [200] + [422] * 7
    assert (await operator.ok("GET", path))["version"] == version + 1


BAD_VALUES: list[tuple[str, Json, str]] = [
    ("pricing", {"min_cents": -1}, "value.min_cents"),
    ("pricing", {"min_cents": 10, "max_cents": 9}, "value"),
    ("pricing", {"base_cents": {}}, "value.base_cents"),
    ("pricing", {"base_cents": {"general": 1}}, "value.base_cents"),
    ("pricing", {"base_cents": {"default": "1"}}, "value.base_cents"),
    ("pricing", {"colour": "red"}, "value.colour"),
    ("commissions", {"rate_by_tier": {"bronze": 1.5}}, "value.rate_by_tier"),
    ("commissions", {"freeze_window_hours": -1}, "value.freeze_window_hours"),
    ("commissions", {"min_withdrawal_cents": 0}, "value.min_withdrawal_cents"),
    ("commissions", {"require_verified_email": 1}, "value.require_verified_email"),
    ("dispatch", {"lease_seconds": 0}, "value.lease_seconds"),
    ("dispatch", {"max_attempts": 0}, "value.max_attempts"),
    ("dispatch", {"fairness_percent": 101}, "value.fairness_percent"),
    ("rate_limits", {"connect": {"limit": 0, "per_seconds": 60}}, "value.connect"),
    ("rate_limits", {"connect": {"limit": 1_000_001, "per_seconds": 60}}, "value.connect"),
    ("rate_limits", {"unheard_of": {"limit": 1, "per_seconds": 60}}, "value.unheard_of"),
    ("payload_limits", {"task_input": 0}, "value.task_input"),
    ("payload_limits", {"task_input": 2**40}, "value.task_input"),
    ("quality", {"shadow_rate": 2}, "value.shadow_rate"),
    ("quality", {"daily_budget_percent": 1001}, "value.daily_budget_percent"),
    ("packs", {"starter": {"cents": 1, "bonus_cents": 0}}, "value.starter"),
    ("signup", {"bonus_cents": 2**70}, "value.bonus_cents"),
    ("signup", {"bonus_cents": None}, "value.bonus_cents"),
    ("signup", [], "value"),
    ("signup", "100", "value"),
    ("signup", None, "value"),
]


async def test_what_does_not_fit_is_refused_and_names_its_field(
    node: Node, subtests: pytest.Subtests
) -> None:
    operator = node.operator()
    before = await operator.ok("GET", "/api/admin/config")

    for key, value, field in BAD_VALUES:
        with subtests.test(key=key, value=value):
            answer = await operator.http.put(f"/api/admin/config/{key}", json={"value": value})
            problem = refused(answer, 422, "validation_failed")
            fields = [error["field"] for error in problem["errors"]]
            assert any(f.startswith(field) for f in fields), fields
    for body in ({}, {"value": {}, "version": "1"}, {"value": {}, "force": True}):
        answer = await operator.http.put("/api/admin/config/signup", json=body)
        refused(answer, 422, "validation_failed")
    assert await operator.ok("GET", "/api/admin/config") == before


async def test_the_proof_of_the_ledger(node: Node) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    empty = await operator.ok("GET", "/api/admin/ledger/verify")
    await post(buyer)
    await complete(worker, await claim(worker))

    proof = await operator.ok("GET", "/api/admin/ledger/verify")

    assert set(proof) == {"ok", "transactions", "entries", "accounts", "sum_cents", "violations"}
    assert (proof["ok"], proof["sum_cents"], proof["violations"]) == (True, 0, [])
    # The charge, and the settlement of three postings.
    assert proof["transactions"] == empty["transactions"] + 2
    assert proof["entries"] == empty["entries"] + 5
    await node.prove()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("UPDATE tasks SET price_cents = price_cents + 1", "escrow"),
        (
            """UPDATE tasks SET status = 'cancelled', worker_id = NULL, completed_at = now()
            WHERE status = 'claimed'""",
            "escrow",
        ),
        ("UPDATE earnings SET net_cents = net_cents + 1, gross_cents = gross_cents + 1", "earning"),
        ("DELETE FROM earnings", "earning"),
        ("UPDATE buyer_totals SET spent_cents = spent_cents + 1", "spent"),
    ],
)
async def test_the_proof_sees_what_is_wrong(node: Node, wrong: str, told: str) -> None:
    buyer, worker, operator = await node.buyer(), await node.worker(), node.operator()
    await post(buyer)
    await complete(worker, await claim(worker))
    await post(buyer)
    await claim(worker)

    async with node.market.db.transaction() as conn:
        await conn.execute(wrong.encode())

    proof = await operator.ok("GET", "/api/admin/ledger/verify")
    assert proof["ok"] is False
    assert any(told in violation for violation in proof["violations"]), proof["violations"]


async def test_cron_answers_with_its_counts(node: Node) -> None:
    operator = node.operator()
    body: Json
    for body in (None, {}):
        recovered = await operator.ok("POST", "/api/cron/timeout-recovery", body)
        assert set(recovered) >= {"requeued", "failed", "expired"}
        assert all(isinstance(count, int) for count in recovered.values())
        released = await operator.ok("POST", "/api/cron/unfreeze-earnings", body)
        assert released == {"released": 0}


async def test_health_is_open_and_says_what_it_must(node: Node) -> None:
    health = await node.anyone().ok("GET", "/api/health")

    assert set(health) == {"status", "version", "database", "uptime_s"}
    assert set(health["database"]) == {"ok", "latency_ms"}
    assert (health["status"], health["database"]["ok"]) == ("ok", True)
    assert health["uptime_s"] >= 0
    assert 0 <= health["database"]["latency_ms"] < 2_000
