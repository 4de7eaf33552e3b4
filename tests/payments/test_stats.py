"""The operator's live figures, and what it does with workers and buyers."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.ledger import Account
from openclaw_jobs.market.profit_and_loss import coverage
from tests.market.steps import (
    claim,
    complete,
    completion,
    deposit,
    lease_of,
    misfit,
    post,
    recover,
    refused,
    sql,
    status_of,
    until,
)
from tests.running import Json, Node, Party


async def stats(node: Node) -> Json:
    return await node.operator().ok("GET", "/api/admin/stats")


async def test_an_empty_marketplace_has_figures(node: Node) -> None:
    found = await stats(node)
    assert found["queue"]["queued"] == found["queue"]["claimed"] == 0
    assert found["queue"]["complete"] is True
    assert found["latency"] == {
        "window_s": 3600, "samples": 0, "queue_wait_s": {}, "work_s": {}
    }  # fmt: skip
    assert found["money"]["coverage"]["percent"] is None
    assert found["money"]["coverage"]["alert"] is False
    assert set(found["money"]["accounts"].values()) == {0}
    assert found["webhooks"] == {"pending": 0, "oldest_pending_at": None, "failed": 0}
    assert found["credits_waiting"] == {"count": 0, "amount_cents": 0, "oldest_at": None}


async def test_the_figures_are_what_happened(node: Node) -> None:
    buyer, worker = await node.buyer(100), await node.worker()
    await deposit(node, buyer, 10_000)
    done = await post(buyer)
    price = done["price_cents"]
    await complete(worker, await claim(worker))
    await sql(node, "UPDATE tasks SET created_at = claimed_at - interval '30 seconds',"
                    " completed_at = claimed_at + interval '2 seconds'")  # fmt: skip
    for age in (5, 70, 700, 7000):
        posted = await post(buyer, category="code")
        await sql(
            node,
            "UPDATE tasks SET created_at = now() - make_interval(secs => %s) WHERE id = %s",
            age,
            posted["id"],
        )
    await post(buyer)
    await worker.ok("GET", "/api/work/next")

    found = await stats(node)

    assert found["queue"]["claimed"] == 1
    assert found["queue"]["queued"] == 4
    by_name = {c["category"]: c for c in found["queue"]["categories"]}
    counted = [count for c in by_name.values() for count in c["by_age"]]
    assert len(counted) % (len(found["queue"]["age_ends_s"]) + 1) == 0
    assert sum(counted) == 4
    assert max(c["oldest_s"] for c in by_name.values()) in range(699, 7100)
    assert found["workers"]["by_tier"]["bronze"] == {"active": 1, "suspended": 0, "banned": 0}
    assert found["workers"]["working"] == 1
    assert found["latency"]["samples"] == 1
    assert found["latency"]["queue_wait_s"]["p50"] == pytest.approx(30, abs=0.01)
    assert found["latency"]["work_s"]["p99"] == pytest.approx(2, abs=0.01)
    money = found["money"]
    assert money["accounts"]["stripe_cents"] == 10_000
    assert money["accounts"]["expense_promo_cents"] == 100
    assert money["today"]["task_charge"]["count"] == 6
    assert money["today"]["settle"] == {"count": 1, "amount_cents": price}
    owed = money["coverage"]["owed"]
    assert money["coverage"]["assets_cents"] == 10_000
    assert sum(owed.values()) == money["coverage"]["owed_cents"]
    assert owed["escrow_task_cents"] == 5 * price or owed["escrow_task_cents"] > 0
    # All that there is was paid in or given, and the commission is no longer owed.
    assert money["coverage"]["owed_cents"] == 10_100 - money["accounts"]["commission_cents"]
    assert money["coverage"]["alert"] is True
    assert found["quality"] == {
        "completed": 1, "failed": 0, "expired": 0, "credited": 0,
        "completion_rate": 1.0, "credit_rate": 0.0,
    }  # fmt: skip
    await node.prove()


async def test_what_waits_is_counted(node: Node) -> None:
    await sql(
        node,
        "INSERT INTO webhook_events (source, event_id, type, payload, status) VALUES"
        " ('stripe', 'evt_1', 'x', '{}', 'pending'), ('stripe', 'evt_2', 'x', '{}', 'failed')",
    )
    worker = await node.worker()
    await sql(
        node,
        "INSERT INTO payouts (id, worker_id, amount_cents, method, address)"
        " VALUES (%s, %s, 700, 'paypal', 'a@example.com')",
        new_id("pay"),
        worker.id,
    )
    found = await stats(node)
    assert (found["webhooks"]["pending"], found["webhooks"]["failed"]) == (1, 1)
    assert found["webhooks"]["oldest_pending_at"].endswith("Z")
    assert found["payouts"] == {"pending": {"count": 1, "amount_cents": 700}}


@pytest.mark.parametrize(
    ("assets", "owed", "level", "percent", "alert"),
    [(100, 100, 100, 100.0, False), (99, 100, 100, 99.0, True), (0, 0, 100, None, False),
     (50, 100, 50, 50.0, False), (-1, 100, 0, -1.0, True), (5, 0, 100, None, False)],
)  # fmt: skip
def test_coverage(
    assets: int,
    owed: int,
    level: float,
    percent: float | None,
    alert: bool,  # noqa: FBT001
) -> None:
    found = coverage({Account.STRIPE: assets, Account.WORKER_FROZEN: owed}, level)
    assert (found.percent, found.alert) == (percent, alert)


async def audit(node: Node) -> list[tuple[str, str, str]]:
    page = await node.operator().ok("GET", "/api/admin/audit")
    entries = [(e["actor"], e["action"], e["subject"]) for e in page["entries"]]
    # Those of the node's own start are a test's.
    return [entry for entry in entries if entry[0] == "operator"]


async def suspend(node: Node, worker: Party, **body: Json) -> Json:
    path = f"/api/admin/workers/{worker.id}/suspend"
    return await node.operator().ok("POST", path, {"reason": "too slow", **body})


async def test_a_suspended_worker_is_kept_from_work_until_it_is_reinstated(node: Node) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    posted = await post(buyer)
    held = await claim(worker)

    row = await suspend(node, worker)

    assert (row["standing"], row["suspended_until"], row["held"]) == ("suspended", None, 0)
    me = await worker.ok("GET", "/api/worker/me")
    assert (me["status"], me["suspended_reason"]) == ("suspended", "too slow")
    for answer in (
        await worker.get("/api/work/next"),
        await worker.post("/api/work/submit", completion(held)),
    ):
        assert refused(answer, 403, "suspended")["suspended_until"] is None
    # What it held is another's at once, and it has neither a strike nor an expiry for it.
    refused(await worker.post("/api/work/heartbeat", lease_of(held)), 409, "lease_lost")
    assert await status_of(buyer, posted["id"]) == "queued"
    await complete(other, await claim(other))
    assert (me["strikes"], me["stats"]["expired"]) == (0, 0)

    await node.operator().ok("POST", f"/api/admin/workers/{worker.id}/reinstate")

    await post(buyer)
    await complete(worker, await claim(worker))
    assert await audit(node) == [
        ("operator", "worker.reinstate", worker.id),
        ("operator", "worker.suspend", worker.id),
    ]
    await node.prove()


async def test_a_parked_poll_of_a_suspended_worker_ends(node: Node) -> None:
    worker = await node.worker()
    poll = asyncio.create_task(worker.get("/api/work/next", wait=30))
    await until(lambda: node.services.matcher.parked == 1)
    await suspend(node, worker)
    answer = await asyncio.wait_for(poll, 5)
    assert answer.status_code in {204, 403}
    assert node.services.matcher.parked == 0


async def test_a_suspension_with_an_end_is_over_by_itself(node: Node) -> None:
    worker = await node.worker()
    soon = datetime.now(UTC) + timedelta(hours=1)
    await suspend(node, worker, until=soon.isoformat())
    answer = refused(await worker.get("/api/work/next"), 403, "suspended")
    assert answer["suspended_until"].startswith(f"{soon:%Y-%m-%dT%H:%M:%S}")
    await sql(node, "UPDATE workers SET suspended_until = now()")
    assert (await recover(node))["reinstated"] == 1
    assert (await worker.get("/api/work/next")).status_code == 204


async def test_suspensions_race_with_claims_and_lose_no_task(node: Node) -> None:
    buyer = await node.buyer(100_000)
    crowd = [await node.worker() for _ in range(10)]
    for _ in range(60):
        await post(buyer)
    polls = [w.get("/api/work/next", max=5, wait=1) for w in crowd for _ in range(3)]
    await asyncio.gather(*polls, *(suspend(node, worker) for worker in crowd))
    rows = await sql(node, "SELECT count(*) FROM leases")
    assert rows == [(0,)]
    assert await sql(node, "SELECT DISTINCT status FROM tasks") == [("queued",)]
    await node.prove()


@pytest.mark.parametrize(
    ("body", "field"),
    [({"reason": ""}, "reason"), ({"reason": 1}, "reason"),
     ({"reason": "x" * 501}, "reason"), ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
     ({"reason": "x", "until": "2099-01-01T00:00:00"}, "until"), ({"reason": "x", "y": 1}, "y")],
)  # fmt: skip
async def test_a_bad_suspension_is_refused(node: Node, body: Json, field: str) -> None:
    worker = await node.worker()
    answer = await node.operator().post(f"/api/admin/workers/{worker.id}/suspend", body)
    misfit(answer, field)
    assert (await worker.get("/api/work/next")).status_code == 204


async def test_a_suspension_needs_no_reason(node: Node) -> None:
    operator = node.operator()
    for body in (b"", b"{}", b'{"reason":null,"until":null}'):
        worker = await node.worker()
        answer = await operator.send("POST", f"/api/admin/workers/{worker.id}/suspend", body)
        assert answer.status_code == 200, answer.text
        row = answer.json()
        assert (row["standing"], row["status"]) == ("suspended", "suspended")
        me = await worker.ok("GET", "/api/worker/me")
        assert (me["status"], me["suspended_until"]) == ("suspended", None)
        assert me["suspended_reason"] == "Suspended by the operator."


async def test_nobody_else_is_suspended(node: Node) -> None:
    operator = node.operator()
    for kind, ids in (("workers", "wrk"), ("buyers", "byr")):
        for name in (f"{ids}_00000000000000000000000000", "nobody", "%27"):
            path = f"/api/admin/{kind}/{name}"
            refused(await operator.post(f"{path}/suspend", {"reason": "x"}), 404, "not_found")
            refused(await operator.post(f"{path}/reinstate"), 404, "not_found")
    assert await audit(node) == []


async def test_a_suspended_buyer_posts_nothing_until_it_is_reinstated(node: Node) -> None:
    buyer, operator = await node.buyer(), node.operator()
    path = f"/api/admin/buyers/{buyer.id}"
    row = await operator.ok("POST", f"{path}/suspend", {"reason": "spam"})
    assert row["suspended_reason"] == "spam"
    refused(await buyer.post("/api/task", {"prompt": "x"}), 403, "suspended")
    listed = await operator.ok("GET", "/api/admin/buyers?status=suspended")
    assert [b["buyer_id"] for b in listed["buyers"]] == [buyer.id]
    await operator.ok("POST", f"{path}/reinstate")
    await post(buyer)
    assert (await operator.ok("GET", "/api/admin/buyers?status=suspended"))["buyers"] == []
    assert [entry[1] for entry in await audit(node)] == ["buyer.reinstate", "buyer.suspend"]


async def test_lists_go_page_by_page(node: Node) -> None:
    operator = node.operator()
    workers = [await node.worker() for _ in range(5)]
    buyers = [await node.buyer(i) for i in range(1, 4)]
    await suspend(node, workers[2])
    seen: list[str] = []
    query = "limit=2"
    while True:
        page = await operator.ok("GET", f"/api/admin/workers?{query}")
        seen += [row["worker_id"] for row in page["workers"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=2&cursor={page['next_cursor']}"
    assert seen == sorted((w.id for w in workers), reverse=True)
    only = await operator.ok("GET", "/api/admin/workers?status=suspended&tier=bronze")
    assert [row["worker_id"] for row in only["workers"]] == [workers[2].id]
    assert only["workers"][0]["status"] == only["workers"][0]["standing"] == "suspended"
    assert (await operator.ok("GET", "/api/admin/workers?tier=gold"))["workers"] == []
    rows = (await operator.ok("GET", "/api/admin/buyers"))["buyers"]
    assert {row["buyer_id"]: row["promo_cents"] for row in rows} == {
        b.id: i for i, b in enumerate(buyers, 1)
    }
    for kind in ("workers", "buyers", "deposits", "audit", "webhook-events"):
        for cursor in ("x", "task_00000000000000000000000000", "AAAA"):
            misfit(await operator.get(f"/api/admin/{kind}", cursor=cursor), "cursor")
        misfit(await operator.get(f"/api/admin/{kind}", limit=0), "limit")
