"""A worker's preferences and schedule bind dispatch, and its account is its own to change."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.market.steps import claim, claim_many, complete, misfit, post, refused, sql, until
from tests.running import Json, Node

ME = {
    *("worker_id", "name", "model", "tier", "status", "suspended_until", "email"),
    *("email_verified", "payout", "preferences", "stats", "tier_progress", "balance"),
}


async def test_me_has_what_the_contract_names(node: Node) -> None:
    body = {
        "name": "Ada",
        "model": "m-1",
        "capabilities": ["web", "code"],
        "preferences": {"categories": ["coding"], "max_concurrent": 3},
    }
    made = await node.anyone().ok("POST", "/api/worker/connect", body, 201)
    worker = node.party(made["worker_id"], made["token"])

    me = await worker.ok("GET", "/api/worker/me")

    assert set(made) == {"worker_id", "token", "tier"}
    assert made["token"].startswith("ocw_")
    assert made["worker_id"].startswith("wrk_")
    assert set(me) >= ME
    assert (me["worker_id"], me["name"], me["model"]) == (made["worker_id"], "Ada", "m-1")
    assert (me["tier"], made["tier"], me["status"]) == ("bronze", "bronze", "active")
    assert me["preferences"] == {
        "categories": ["coding"],
        "min_earning_cents": 0,
        "max_concurrent": 3,
        "daily_limit": None,
    }
    counts = ("completed", "failed", "expired", "credited", "today", "credit_rate")
    assert me["stats"] == dict.fromkeys(counts, 0) | {"completion_rate": 1}
    assert me["balance"] == dict.fromkeys(
        ("available_cents", "frozen_cents", "today_cents", "lifetime_cents"), 0
    )
    progress = me["tier_progress"]
    assert set(progress) == {"next_tier", "requirements"}
    assert progress["next_tier"] == "silver"
    assert all(set(r) == {"name", "current", "required"} for r in progress["requirements"])


async def test_a_worker_may_say_nothing_of_itself(node: Node) -> None:
    for content in (b"", b"{}"):
        answer = await node.anyone().send("POST", "/api/worker/connect", content)
        assert answer.status_code == 201


BAD_PREFERENCES: list[Json] = [
    {"categories": "coding"},
    {"categories": []},
    {"categories": ["\x00"]},
    {"categories": [1]},
    {"min_earning_cents": -1},
    {"min_earning_cents": 0.5},
    {"min_earning_cents": 2**63},
    {"max_concurrent": 0},
    {"max_concurrent": 1001},
    {"max_concurrent": "10"},
    {"max_concurrent": [None]},
    {"daily_limit": -1},
    {"daily_limit": 2**70},
    {"colour": "red"},
    [],
    "any",
]
BAD_SCHEDULES: list[Json] = [
    {"timezone": "Mars/Olympus", "hours": [[0, 24]]},
    {"timezone": "../../etc/passwd", "hours": [[0, 24]]},
    {"timezone": "UTC"},
    {"hours": [[0, 24]]},
    {"timezone": "UTC", "hours": [[0, 25]]},
    {"timezone": "UTC", "hours": [[-1, 3]]},
    {"timezone": "UTC", "hours": [[0]]},
    {"timezone": "UTC", "hours": [[0, 1, 2]]},
    {"timezone": "UTC", "hours": [["a", "b"]]},
    {"timezone": "UTC", "hours": "always"},
    {"timezone": 1, "hours": []},
    {"timezone": "UTC", "hours": [], "days": []},
]


async def test_bad_profiles(node: Node, subtests: pytest.Subtests) -> None:
    worker = await node.worker()
    before = await worker.ok("GET", "/api/worker/me")
    bad: list[Json] = [
        *({"preferences": each} for each in BAD_PREFERENCES),
        *({"schedule": each} for each in BAD_SCHEDULES),
        *({"name": name} for name in (5, "x" * 101, "\x00", [1])),
        *({"capabilities": each} for each in ("web", [1], [""], ["x"] * 51)),
        {"tier": "gold"},
        {"status": "active"},
    ]
    for body in bad:
        with subtests.test(body=body):
            answer = await worker.http.patch("/api/worker/profile", json=body)
            refused(answer, 422, "validation_failed")
            if "schedule" not in body and "status" not in body:
                answer = await node.anyone().post("/api/worker/connect", body)
                refused(answer, 422, "validation_failed")
    assert await worker.ok("GET", "/api/worker/me") == before


async def test_a_profile_is_changed_field_by_field(node: Node) -> None:
    worker = await node.worker(categories=["coding"], max_concurrent=5, daily_limit=9)
    before = await worker.ok("GET", "/api/worker/me")

    after = await worker.ok(
        "PATCH", "/api/worker/profile", {"preferences": {"min_earning_cents": 3}, "model": "m-2"}
    )
    assert after["preferences"] == {**before["preferences"], "min_earning_cents": 3}
    assert (after["name"], after["model"]) == (before["name"], "m-2")
    schedule = {"timezone": "Europe/Berlin", "hours": [[22, 6], [9, 12]]}
    wide = {"preferences": {"categories": None, "daily_limit": None}, "schedule": schedule}
    after = await worker.ok("PATCH", "/api/worker/profile", wide)
    assert after["preferences"]["categories"] is after["preferences"]["daily_limit"] is None
    assert after["schedule"] == schedule
    after = await worker.ok("PATCH", "/api/worker/profile", {"schedule": None, "name": None})
    assert after["schedule"] is after["name"] is None
    assert await worker.ok("PATCH", "/api/worker/profile", {}) == after
    assert await worker.ok("GET", "/api/worker/me") == after


NOTHING: Json = {
    "categories": None,
    "min_earning_cents": None,
    "max_concurrent": None,
    "daily_limit": None,
}


@pytest.mark.parametrize(
    "body",
    [
        dict.fromkeys(("name", "model", "capabilities", "preferences")),
        {"preferences": NOTHING},
    ],
)
async def test_null_is_as_good_as_nothing_to_connect(node: Node, body: Json) -> None:
    made = await node.anyone().ok("POST", "/api/worker/connect", body, 201)
    me = await node.party(made["worker_id"], made["token"]).ok("GET", "/api/worker/me")
    assert me["capabilities"] == []
    assert me["preferences"] == NOTHING | {"min_earning_cents": 0, "max_concurrent": 10}


async def test_null_leaves_what_it_cannot_clear(node: Node) -> None:
    worker = await node.worker(categories=["coding"], min_earning_cents=7, max_concurrent=20)
    await worker.ok("PATCH", "/api/worker/profile", {"capabilities": ["web"]})

    after = await worker.ok(
        "PATCH", "/api/worker/profile", {"capabilities": None, "preferences": NOTHING}
    )
    again = await worker.ok("PATCH", "/api/worker/profile", {"preferences": None})

    assert after["capabilities"] == again["capabilities"] == ["web"]
    assert after["preferences"] == NOTHING | {"min_earning_cents": 7, "max_concurrent": 20}
    assert again["preferences"] == after["preferences"]


async def test_only_wanted_categories_are_handed_out(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(categories=["coding", "data"])
    await post(buyer, category="writing")
    wanted = [(await post(buyer, category=c))["id"] for c in ("coding", "data", "coding")]

    handed = [t["task_id"] for t in await claim_many(worker)]
    empty = await worker.ok("GET", "/api/work/next?max=1")

    assert sorted(handed) == sorted(wanted)
    assert empty["why"] == {"other categories": 1}
    await node.prove()


async def test_a_minimum_is_meant_after_commission(node: Node) -> None:
    buyer = await node.buyer()
    just, above = await node.worker(min_earning_cents=9), await node.worker(min_earning_cents=10)
    task_id = (await post(buyer))["id"]

    assert (await above.ok("GET", "/api/work/next?max=1"))["why"] == {"under your minimum": 1}
    claimed = await claim(just)
    assert (claimed["task_id"], claimed["earning_cents"]) == (task_id, 9)
    await node.prove()


async def test_a_daily_limit_counts_what_is_held_and_done(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker(daily_limit=2)
    for _ in range(4):
        await post(buyer)
    first, second = await claim_many(worker)

    assert (await worker.ok("GET", "/api/work/next?max=1"))["tasks"] == []
    await complete(worker, first)
    await complete(worker, second)
    empty = await worker.ok("GET", "/api/work/next?max=1")
    assert list(empty["why"]) == ["your daily limit"]
    assert 1 <= empty["retry_after_s"] <= 24 * 3600 + 1

    await sql(node, "UPDATE worker_stats SET today = today - 1 WHERE worker_id = %s", worker.id)
    assert len(await claim_many(worker)) == 2
    await node.prove()


async def test_a_schedule_opens_and_shuts(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer)
    now = datetime.now(ZoneInfo("Asia/Tokyo"))
    shut = {"timezone": "Asia/Tokyo", "hours": [[(now.hour + 2) % 24, (now.hour + 3) % 24 or 24]]}
    await worker.ok("PATCH", "/api/worker/profile", {"schedule": shut})

    empty = await worker.ok("GET", "/api/work/next?max=1")
    assert empty["tasks"] == []
    assert list(empty["why"]) == ["outside your schedule"]
    assert 3000 < empty["retry_after_s"] <= 2 * 3600 + 1
    assert (await worker.get("/api/work/next")).status_code == 204
    always = {"timezone": "Asia/Tokyo", "hours": [[0, 24]]}
    await worker.ok("PATCH", "/api/worker/profile", {"schedule": always})
    await claim(worker)
    await node.prove()


async def test_a_better_tier_s_task_waits_for_one(node: Node) -> None:
    buyer, bronze, silver = await node.buyer(), await node.worker(), await node.worker()
    await sql(node, "UPDATE workers SET tier = 'silver' WHERE id = %s", silver.id)
    task_id = (await post(buyer, min_tier="silver"))["id"]

    assert (await bronze.get("/api/work/next", wait=0.05)).status_code == 204
    empty = await bronze.ok("GET", "/api/work/next?max=1")
    assert empty["why"] == {"for a higher tier": 1}
    claimed = await claim(silver)
    assert (claimed["task_id"], claimed["earning_cents"]) == (task_id, 12 - 3)
    assert (await silver.ok("GET", "/api/worker/me"))["tier_progress"]["next_tier"] == "gold"
    await node.prove()


async def test_a_better_tier_s_task_passes_a_parked_bronze_by(node: Node) -> None:
    buyer, bronze, silver = await node.buyer(), await node.worker(), await node.worker()
    picky = await node.worker(categories=["data"])
    for worker in (silver, picky):
        await sql(node, "UPDATE workers SET tier = 'silver' WHERE id = %s", worker.id)
    polls = [asyncio.create_task(party.get("/api/work/next", wait=30)) for party in (bronze, picky)]
    # With a silver parked as well, the task is looked at; the bronze one must not have it.
    await until(lambda: node.services.matcher.parked == 2)
    task_id = (await post(buyer, min_tier="silver"))["id"]

    assert (await claim(silver))["task_id"] == task_id
    assert not any(poll.done() for poll in polls)
    await post(buyer)
    assert (await polls[0]).status_code == 200
    await post(buyer, category="data")
    assert (await polls[1]).status_code == 200
    await node.prove()


async def test_new_preferences_hold_for_a_parked_poll(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    parked = asyncio.create_task(worker.get("/api/work/next", wait=30))
    await until(lambda: node.services.matcher.parked == 1)

    await worker.ok("PATCH", "/api/worker/profile", {"preferences": {"categories": ["data"]}})
    assert (await parked).status_code == 204
    await post(buyer, category="coding")
    assert (await worker.get("/api/work/next")).status_code == 204
    await node.prove()


async def test_a_rotated_token_is_dead_at_once(node: Node) -> None:
    worker = await node.worker()
    parked = asyncio.create_task(worker.get("/api/work/next", wait=30))
    await until(lambda: node.services.matcher.parked == 1)

    rotated = await worker.ok("POST", "/api/worker/rotate-token")

    assert set(rotated) == {"token"}
    assert (await parked).status_code in {204, 401}
    for path in ("/api/worker/me", "/api/work/next"):
        refused(await worker.get(path), 401, "unauthenticated")
    renewed = node.party(worker.id, rotated["token"])
    assert (await renewed.ok("GET", "/api/worker/me"))["worker_id"] == worker.id


async def test_a_profile_may_have_8_kib_and_a_connect_16(node: Node) -> None:
    worker, anyone = await node.worker(), node.anyone()
    profile, connect = b"{}" + b" " * 8_190, b"{}" + b" " * 16_382
    assert (await worker.send("PATCH", "/api/worker/profile", profile)).status_code == 200
    assert (await anyone.send("POST", "/api/worker/connect", connect)).status_code == 201

    patched = await worker.send("PATCH", "/api/worker/profile", profile + b" ")
    connected = await anyone.send("POST", "/api/worker/connect", connect + b" ")

    assert refused(patched, 413, "payload_too_large")["limit_bytes"] == 8_192
    assert refused(connected, 413, "payload_too_large")["limit_bytes"] == 16_384


async def test_the_earnings_statement(node: Node) -> None:
    buyer, worker, other = await node.buyer(), await node.worker(), await node.worker()
    prices: dict[str, int] = {}
    for category in ("general", "coding", "writing", "data", "research"):
        posted = await post(buyer, category=category)
        prices[posted["id"]] = posted["price_cents"]
        await complete(worker, await claim(worker))

    whole = await worker.ok("GET", "/api/worker/earnings")
    pages: list[Json] = []
    cursor = ""
    while not pages or cursor:
        more = {"cursor": cursor} if cursor else {}
        page = (await worker.get("/api/worker/earnings", limit=2, **more)).json()
        pages.append(page["earnings"])
        cursor = page["next_cursor"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [earning for page in pages for earning in page] == whole["earnings"]
    assert [e["task_id"] for e in whole["earnings"]] == list(prices)[::-1]
    for earning in whole["earnings"]:
        gross = prices[earning["task_id"]]
        assert set(earning) >= {
            *("task_id", "gross_cents", "commission_cents", "net_cents", "rate", "status"),
            "frozen_until",
        }
        assert (earning["gross_cents"], earning["rate"]) == (gross, 0.3)
        assert earning["commission_cents"] == gross * 3 // 10
        assert earning["net_cents"] == gross - gross * 3 // 10
        assert earning["status"] == "frozen"
    assert (await other.ok("GET", "/api/worker/earnings")) == {"earnings": [], "next_cursor": None}
    for bad in ({"limit": "0"}, {"limit": "101"}, {"cursor": "x"}, {"cursor": "\x00"}):
        refused(await worker.get("/api/worker/earnings", **bad), 422, "validation_failed")
    await node.prove()


async def test_keys_are_shown_once_and_die_at_once(node: Node) -> None:
    buyer, other = await node.buyer(), await node.buyer()

    made = await buyer.ok("POST", "/api/keys", {"name": "laptop"}, 201)
    unnamed = await buyer.ok("POST", "/api/keys", None, 201)
    listed = await buyer.ok("GET", "/api/keys")

    assert set(made) == {"id", "key", "name", "created_at"}
    assert made["key"].startswith("ocb_")
    assert (made["name"], unnamed["name"]) == ("laptop", None)
    keys = {key["id"]: key for key in listed["keys"]}
    assert keys[made["id"]] == {k: v for k, v in made.items() if k != "key"}
    assert len(keys) == 3
    assert made["key"] not in str(listed)

    second = node.party(buyer.id, made["key"])
    await second.ok("GET", "/api/balance")
    refused(await other.http.delete(f"/api/keys/{made['id']}"), 404, "not_found")
    revoked = await buyer.http.delete(f"/api/keys/{made['id']}")
    assert (revoked.status_code, revoked.content) == (204, b"")
    refused(await second.get("/api/balance"), 401, "unauthenticated")
    refused(await buyer.http.delete(f"/api/keys/{made['id']}"), 404, "not_found")
    assert made["id"] not in str(await buyer.ok("GET", "/api/keys"))
    for body in ({"name": 5}, {"name": "x" * 101}, {"name": "\x00"}, {"scope": "all"}):
        refused(await buyer.post("/api/keys", body), 422, "validation_failed")
    misfit(await buyer.post("/api/keys", {"key": "ocb_mine"}), "key")
    stored = await sql(node, "SELECT count(*) FROM api_keys WHERE key_hash::text LIKE '%%ocb%%'")
    assert stored == [(0,)]
