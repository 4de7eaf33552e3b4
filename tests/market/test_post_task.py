"""POST /api/task: what may be asked, what it costs, and what is refused."""

import asyncio
from collections import Counter

import pytest

from tests.market.steps import balance, claim, misfit, post, refused, sql
from tests.running import Json, Node

POSTED = {"id", "status", "category", "price_cents", "balance_cents", "created_at"}
HELLO_CENTS = 12
"""What five characters cost by the seeded configuration: the base and one step of length."""


async def test_a_prompt_is_priced_charged_and_queued(node: Node) -> None:
    buyer = await node.buyer(100)

    posted = await post(buyer)

    assert set(posted) == POSTED
    assert posted["id"].startswith("task_")
    assert posted["created_at"].endswith("Z")
    assert (posted["status"], posted["category"]) == ("queued", "general")
    assert (posted["price_cents"], posted["balance_cents"]) == (HELLO_CENTS, 100 - HELLO_CENTS)
    assert await balance(buyer) == 100 - HELLO_CENTS
    await node.prove()


async def test_messages_come_back_as_they_were_posted(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    messages = [
        {"role": "system", "content": "Be brief. \u00e9\U0001f980"},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because."},
        {"role": "user", "content": "Really?"},
    ]
    posted = await buyer.ok("POST", "/api/task", {"messages": messages, "category": "coding"}, 201)

    read = await buyer.ok("GET", f"/api/task/{posted['id']}")
    claimed = await claim(worker)

    assert posted["price_cents"] == 30 + 2
    assert read["messages"] == claimed["messages"] == messages
    assert "prompt" not in read
    assert "prompt" not in claimed
    await node.prove()


async def test_null_is_as_good_as_nothing(node: Node) -> None:
    buyer = await node.buyer()
    nothing = dict.fromkeys(
        (
            *("messages", "category", "min_tier", "max_price_cents", "conversation_id"),
            *("metadata", "dry_run"),
        )
    )

    posted = await buyer.ok("POST", "/api/task", {"prompt": "hello", **nothing}, 201)

    assert (posted["status"], posted["category"]) == ("queued", "general")
    assert await sql(node, "SELECT min_tier FROM tasks") == [(0,)]


async def test_a_prompt_reaches_the_worker_as_prompt_and_as_messages(node: Node) -> None:
    buyer, worker = await node.buyer(), await node.worker()
    await post(buyer, "tell me")

    claimed = await claim(worker)

    assert claimed["prompt"] == "tell me"
    assert claimed["messages"] == [{"role": "user", "content": "tell me"}]
    await node.prove()


MISFITS: list[tuple[Json, str]] = [
    ({}, "prompt"),
    ({"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt"),
    ({"prompt": None, "messages": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n\t"}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages[0].name"),
    ({"prompt": "a", "colour": "red"}, "colour"),
    ({"prompt": "a", "_internal": True}, "_internal"),
    ({"prompt": "a", "category": ""}, "category"),
    ({"prompt": "a", "category": "x" * 65}, "category"),
    ({"prompt": "a", "category": "a\n"}, "category"),
    ({"prompt": "a", "category": 1}, "category"),
    ({"prompt": "a", "min_tier": "diamond"}, "min_tier"),
    ({"prompt": "a", "min_tier": 2}, "min_tier"),
    ({"prompt": "a", "max_price_cents": -1}, "max_price_cents"),
    ({"prompt": "a", "max_price_cents": 1.5}, "max_price_cents"),
    ({"prompt": "a", "max_price_cents": "100"}, "max_price_cents"),
    ({"prompt": "a", "max_price_cents": True}, "max_price_cents"),
    ({"prompt": "a", "max_price_cents": 10**30}, "max_price_cents"),
    ({"prompt": "a", "conversation_id": ""}, "conversation_id"),
    ({"prompt": "a", "conversation_id": 7}, "conversation_id"),
    ({"prompt": "a", "metadata": []}, "metadata"),
    ({"prompt": "a", "metadata": "x"}, "metadata"),
    ({"prompt": "a", "dry_run": "yes"}, "dry_run"),
    ({"prompt": "a", "dry_run": 1}, "dry_run"),
    ({"prompt": "a\x00b"}, "prompt"),
    ({"prompt": "a", "metadata": {"k": {"deep": ["\x00"]}}}, "metadata.k.deep[0]"),
    ({"prompt": "a", "metadata": {"k\x00": 1}}, "metadata"),
]
NO_TASKS = [
    (b"", 422, "validation_failed"),
    (b"{", 400, "malformed_json"),
    (b'{"prompt": "a"} x', 400, "malformed_json"),
    (b'{"prompt": "\xff"}', 400, "malformed_json"),
    (b"[" * 5_000, 400, "malformed_json"),
    (b"null", 422, "validation_failed"),
    (b"[]", 422, "validation_failed"),
    (b'"prompt"', 422, "validation_failed"),
    (b'{"prompt": "\\ud800"}', 422, "validation_failed"),
    (b'{"prompt": "a", "metadata": {"\\udc00": 1}}', 422, "validation_failed"),
    (b'{"prompt": "a", "max_price_cents": 1e400}', 422, "validation_failed"),
    (b'{"prompt": "a", "max_price_cents": ' + b"9" * 400 + b"}", 422, "validation_failed"),
    (b'{"prompt": "a", "dry_run": NaN}', 400, "malformed_json"),
]


async def test_what_does_not_fit_names_its_field(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer(1_000)

    for body, field in MISFITS:
        with subtests.test(body=body):
            misfit(await buyer.post("/api/task", body), field)

    assert await balance(buyer) == 1_000
    assert (await buyer.ok("GET", "/api/tasks"))["tasks"] == []


async def test_bytes_that_are_no_task(node: Node, subtests: pytest.Subtests) -> None:
    buyer = await node.buyer(1_000)

    for content, status, code in NO_TASKS:
        with subtests.test(content=content[:80]):
            refused(await buyer.send("POST", "/api/task", content), status, code)

    assert await balance(buyer) == 1_000
    assert (await buyer.ok("GET", "/api/tasks"))["tasks"] == []


async def test_what_is_odd_but_fits(node: Node) -> None:
    buyer = await node.buyer()
    metadata = {"n": 2**70, "f": 1e300, "deep": [[{}], None, True], "\u00fc": "\U0001f980", "": 0}
    fields: list[Json] = [
        {"metadata": metadata},
        {"metadata": {}, "conversation_id": "c-1"},
        {"metadata": None, "max_price_cents": None, "conversation_id": None},
        {"max_price_cents": HELLO_CENTS},
        {"category": "no price of its own / v1.0"},
        {"min_tier": "bronze", "dry_run": False},
    ]
    posted = [await post(buyer, **each) for each in fields]

    read = await buyer.ok("GET", f"/api/task/{posted[0]['id']}")

    assert {each["price_cents"] for each in posted} == {HELLO_CENTS}
    assert read["metadata"] == metadata
    await node.prove()


async def test_a_price_over_the_buyer_s_maximum(node: Node) -> None:
    buyer = await node.buyer(1_000)

    problem = refused(
        await buyer.post("/api/task", {"prompt": "hello", "max_price_cents": HELLO_CENTS - 1}),
        422,
        "limit_exceeded",
    )

    assert problem["price_cents"] == HELLO_CENTS
    assert await balance(buyer) == 1_000


async def test_a_dry_run_only_tells_the_price(node: Node) -> None:
    buyer, poor = await node.buyer(1_000), await node.buyer(HELLO_CENTS - 1)
    dry = {"prompt": "hello", "dry_run": True}

    told = await buyer.ok("POST", "/api/task", dry, 200)

    assert told["price_cents"] == HELLO_CENTS
    assert told["balance_cents"] == await balance(buyer) == 1_000
    assert (await buyer.ok("GET", "/api/tasks"))["tasks"] == []
    refused(await poor.post("/api/task", dry), 402, "insufficient_balance")
    refused(await buyer.post("/api/task", {**dry, "max_price_cents": 1}), 422, "limit_exceeded")
    misfit(await buyer.post("/api/task", {"dry_run": True}), "prompt")
    await node.prove()


async def test_prices_follow_the_configuration(node: Node) -> None:
    buyer = await node.buyer(10_000)
    await node.configure(
        "pricing",
        base_cents={"default": 7, "coding": 40},
        per_1000_chars_cents=3,
        min_cents=9,
        max_cents=60,
    )

    async def price(chars: int, category: str) -> int:
        body = {"prompt": "x" * chars, "category": category, "dry_run": True}
        cents: int = (await buyer.ok("POST", "/api/task", body))["price_cents"]
        return cents

    assert await price(1, "general") == 7 + 3
    assert await price(1_000, "coding") == 40 + 3
    assert await price(1_001, "coding") == 40 + 6
    assert await price(100_000, "coding") == 60
    await node.configure("pricing", per_1000_chars_cents=0)
    assert await price(1, "general") == 9


async def test_too_little_money_says_how_much_is_missing(node: Node) -> None:
    buyer = await node.buyer(HELLO_CENTS - 1)

    problem = refused(
        await buyer.post("/api/task", {"prompt": "hello"}), 402, "insufficient_balance"
    )

    assert problem["balance_cents"] == HELLO_CENTS - 1
    assert problem["price_cents"] == HELLO_CENTS
    assert await balance(buyer) == HELLO_CENTS - 1
    await node.prove()


async def test_a_body_may_have_128_kib_and_not_a_byte_more(node: Node) -> None:
    buyer = await node.buyer()
    frame = len(b'{"prompt":""}')
    fits = b'{"prompt":"' + b"x" * (131_072 - frame) + b'"}'

    accepted = await buyer.send("POST", "/api/task", fits)
    problem = refused(await buyer.send("POST", "/api/task", fits + b" "), 413, "payload_too_large")

    assert accepted.status_code == 201
    assert problem["limit_bytes"] == 131_072
    assert len((await claim(await node.worker()))["prompt"]) == 131_072 - frame
    await node.prove()


async def test_a_hundred_posts_at_once_on_money_for_ten(node: Node) -> None:
    buyer = await node.buyer(10 * HELLO_CENTS + HELLO_CENTS - 1)

    answers = await asyncio.gather(
        *(buyer.post("/api/task", {"prompt": "hello"}) for _ in range(100))
    )

    assert Counter(a.status_code for a in answers) == {201: 10, 402: 90}
    assert await balance(buyer) == HELLO_CENTS - 1
    # Each was told a different balance: they were charged one after the other.
    told = {a.json()["balance_cents"] for a in answers if a.status_code == 201}
    assert told == {HELLO_CENTS * n + HELLO_CENTS - 1 for n in range(10)}
    tasks = (await buyer.ok("GET", "/api/tasks?limit=100"))["tasks"]
    assert len(tasks) == 10
    await node.prove()
