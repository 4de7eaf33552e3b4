"""`Idempotency-Key` at the door: its form, and the answer that is sent again."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.framework import BUYER, WORKER, Harness, fresh_harness, serving

ORDER = {"count": 1}


@pytest.fixture
def harness() -> Harness:
    return fresh_harness()


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(harness.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestIdempotencyKey:
    async def test_it_names_the_request(self, client: httpx.AsyncClient, harness: Harness) -> None:
        body = b'{"count":1}'
        for content in (body, body, b'{"count":2}'):
            answer = await client.post(
                "/api/order", content=content, headers={**BUYER, "Idempotency-Key": "a key!"}
            )
            assert answer.status_code == 201
        first, second, other = harness.replay_keys
        assert (first.caller, first.route, first.key) == ("byr_one", "POST /api/order", "a key!")
        assert first == second
        assert len(first.body_hash) == 32
        assert other.body_hash != first.body_hash
        assert not first.refuse

    async def test_a_call_without_one_has_no_name(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        await client.post("/api/order", json=ORDER, headers=BUYER)
        assert harness.replay_keys == [None]

    async def test_an_unknown_caller_is_named_by_the_address(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        answer = await client.post("/api/secret", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
        (key,) = harness.replay_keys
        assert (key.caller, key.refuse) == ("address:127.0.0.1", True)

    async def test_no_body_and_an_empty_object_are_different_bodies_but_both_hashed(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        for content in (b"", b"{}"):
            await client.post("/api/secret", content=content, headers={"Idempotency-Key": "k"})
        assert [len(key.body_hash) for key in harness.replay_keys] == [32, 32]

    @pytest.mark.parametrize("key", ["", "k" * 256, "\u00e9", "tab\there"])
    async def test_a_bad_one_is_refused(
        self, client: httpx.AsyncClient, harness: Harness, key: str
    ) -> None:
        headers = httpx.Headers([*BUYER.items(), ("Idempotency-Key", key)], encoding="utf-8")
        answer = await client.post("/api/order", json=ORDER, headers=headers)
        assert code(answer) == (400, "invalid_idempotency_key")
        assert harness.orders == []

    async def test_the_longest_is_taken(self, client: httpx.AsyncClient, harness: Harness) -> None:
        headers = {**BUYER, "Idempotency-Key": "~" * 255}
        assert (await client.post("/api/order", json=ORDER, headers=headers)).status_code == 201
        assert harness.replay_keys[0].key == "~" * 255

    async def test_where_nothing_is_stored_it_is_accepted_all_the_same(
        self, client: httpx.AsyncClient, harness: Harness
    ) -> None:
        headers = {**WORKER, "Idempotency-Key": "k"}
        assert (await client.post("/api/work/ignore", headers=headers)).status_code == 201
        assert harness.replay_keys == [None]

    async def test_a_stored_answer_is_sent_again_as_it_was(self, client: httpx.AsyncClient) -> None:
        headers = {**BUYER, "Idempotency-Key": "k"}
        answer = await client.post("/api/replay", headers=headers)
        assert answer.status_code == 202
        assert answer.content == b'{"first":true}'
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["x-first"] == "yes"
        assert answer.headers["content-type"] == "application/json"
