"""Buyer and worker clients against a real server, in both kinds and over each transport."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from openclaw_jobs.client import (
    NO_RETRY,
    ApiError,
    AsyncBuyer,
    AsyncWorker,
    Buyer,
    Message,
    NextTasks,
    Preferences,
    RetryPolicy,
    Submission,
    TransportError,
    UnexpectedAnswerError,
    Worker,
)
from openclaw_jobs.client.models import Lease
from openclaw_jobs.client.transport import AsyncHttpxTransport, AsyncTransport
from openclaw_jobs.client.transport.aiohttp_transport import AiohttpTransport
from tests.fakes.faults import DROP_BEFORE, DROP_MIDWAY
from tests.fakes.marketplace import Marketplace

QUICK = RetryPolicy(base_s=0.01, cap_s=0.02)

TRANSPORTS: dict[str, Callable[[], AsyncTransport]] = {
    "httpx": AsyncHttpxTransport,
    "aiohttp": AiohttpTransport,
}


@pytest.fixture
async def market() -> AsyncIterator[Marketplace]:
    async with Marketplace() as running:
        yield running


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[AsyncTransport]:
    made = TRANSPORTS[request.param]()
    yield made
    await made.close()


@pytest.fixture
async def worker(market: Marketplace, transport: AsyncTransport) -> AsyncIterator[AsyncWorker]:
    async with AsyncWorker(market.url, "ocw_known", retry=QUICK, transport=transport) as made:
        yield made


@pytest.fixture
async def buyer(market: Marketplace, transport: AsyncTransport) -> AsyncIterator[AsyncBuyer]:
    async with AsyncBuyer(market.url, "ocb_key", retry=QUICK, transport=transport) as made:
        yield made


# -- worker


async def test_a_worker_connects_works_and_earns(
    market: Marketplace, transport: AsyncTransport
) -> None:
    first, second = await market.offer("one"), await market.offer("two")
    async with await AsyncWorker.connect(
        market.url, name="w", preferences=Preferences(max_concurrent=3), transport=transport
    ) as worker:
        assert worker.connected is not None
        assert worker.connected.token in market.tokens
        assert market.preferences["max_concurrent"] == 3
        (task,) = await worker.next()
        assert (task.task_id, task.prompt, task.earning_cents) == (first, "one", 14)
        assert task.messages == (Message("user", "one"),)
        assert (await worker.heartbeat(task, progress="half")).lease_expires_at > datetime.now(UTC)
        assert market.heartbeats[-1]["progress"] == "half"
        receipt = await worker.submit(task, result="1", next=NextTasks(max=5))
        assert (receipt.accepted, receipt.earned_cents) == (True, 14)
        assert receipt.tasks is not None
        assert [brought.task_id for brought in receipt.tasks] == [second]
        await worker.release(receipt.tasks[0], reason="enough")
        assert market.released == [second]
        empty = await worker.next()
        assert not empty
        assert empty.why == {"no task waits": 1}


async def test_a_batch_answers_each_submission(market: Marketplace, worker: AsyncWorker) -> None:
    await market.offer("one")
    third = await market.offer("two")
    tasks = (await worker.next(max=1)).tasks
    receipts = await worker.submit_many(
        [
            Submission.completed(tasks[0], "1", usage={"tokens": 3}),
            Submission.failed(Lease(task_id=third, lease_token="wrong"), "no"),
        ],
        next=NextTasks(max=2),
    )
    assert [receipt.accepted for receipt in receipts.receipts] == [True, False]
    assert receipts.receipts[1].code == "lease_lost"
    assert receipts.receipts[1].status == 409
    assert receipts.tasks is not None
    assert [brought.task_id for brought in receipts.tasks] == [third]
    assert market.submissions[0]["usage"] == {"tokens": 3}


async def test_a_submit_survives_a_lost_answer(market: Marketplace, worker: AsyncWorker) -> None:
    await market.offer()
    (task,) = await worker.next()
    market.fail("/api/work/submit", DROP_MIDWAY)
    receipt = await worker.submit(task, result="once")
    assert receipt.duplicate
    assert len(market.submissions) == 1


async def test_a_refusal_is_raised_with_all_it_says(worker: AsyncWorker) -> None:
    stolen = Lease(task_id="task_x", lease_token="stolen")
    with pytest.raises(ApiError) as caught:
        await worker.submit(stolen, error="no")
    assert (caught.value.status, caught.value.code) == (409, "lease_lost")
    assert caught.value.request_id == "req_fake"
    with pytest.raises(ValueError, match="either"):
        await worker.submit(stolen)


async def test_a_held_back_poll_brings_the_task(market: Marketplace, worker: AsyncWorker) -> None:
    polling = asyncio.create_task(worker.next(wait=30, max=2))
    await market.until(lambda: market.parked == 1)
    task_id = await market.offer()
    assert [task.task_id for task in await polling] == [task_id]


async def test_hanging_up_lets_go_of_a_held_back_poll(
    market: Marketplace, transport: AsyncTransport
) -> None:
    async with AsyncWorker(market.url, "ocw_known", retry=NO_RETRY, transport=transport) as worker:
        polling = asyncio.create_task(worker.next(wait=30))
        await market.until(lambda: market.parked == 1)
        worker.hang_up()
        with pytest.raises(TransportError):
            await polling
        await market.until(lambda: market.hung_up == 1)
        with pytest.raises(TransportError) as caught:
            await worker.next()
        assert not caught.value.sent


async def test_rotating_goes_on_with_the_new_token(
    market: Marketplace, worker: AsyncWorker
) -> None:
    assert await worker.rotate_token() == "ocw_rotated"
    assert (await worker.me()).worker_id == "wrk_known"
    assert "ocw_known" not in market.tokens


async def test_profile_and_earnings(market: Marketplace, worker: AsyncWorker) -> None:
    profile = await worker.update_profile(preferences=Preferences(categories=("code",)))
    assert profile.preferences.categories == ("code",)
    assert market.seen("/api/worker/profile")[0].body == {"preferences": {"categories": ["code"]}}
    assert [earning.net_cents async for earning in worker.earnings()] == [1, 2, 3]


def sync_worker(url: str) -> list[Any]:
    with Worker.connect(url, name="sync", retry=QUICK) as worker:
        (task,) = worker.next(wait=5)
        worker.heartbeat(task, progress="now")
        receipt = worker.submit(task, result="done")
        nets = [earning.net_cents for earning in worker.earnings()]
        return [receipt.earned_cents, worker.me().stats.completed, nets]


async def test_the_sync_worker_does_the_same(market: Marketplace) -> None:
    await market.offer()
    assert await asyncio.to_thread(sync_worker, market.url) == [14, 3, [1, 2, 3]]


# -- retries


@pytest.mark.parametrize("how", [502, 503, 504, DROP_BEFORE, DROP_MIDWAY])
async def test_posting_is_repeated_and_charged_once(
    market: Marketplace, buyer: AsyncBuyer, how: int | str
) -> None:
    market.fail("/api/task", how, times=2)
    posted = await buyer.post_task("hello")
    assert list(market.tasks) == [posted.id]
    assert len({one.headers["idempotency-key"] for one in market.seen("/api/task")}) == 1
    assert len(market.seen("/api/task")) == 3


async def test_a_retry_after_is_honoured(market: Marketplace, buyer: AsyncBuyer) -> None:
    market.fail("/api/balance", 429, headers={"retry-after": "0.3"})
    started = asyncio.get_running_loop().time()
    assert (await buyer.balance()).paid_cents == 600
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_retries_end(market: Marketplace, buyer: AsyncBuyer) -> None:
    market.fail("/api/balance", 503, times=9)
    with pytest.raises(ApiError) as caught:
        await buyer.balance()
    assert caught.value.status == 503
    assert len(market.seen("/api/balance")) == QUICK.attempts


async def test_what_is_not_repeatable_is_not_repeated(
    market: Marketplace, buyer: AsyncBuyer
) -> None:
    market.fail("/api/keys", DROP_MIDWAY)
    with pytest.raises(TransportError) as caught:
        await buyer.create_key("a")
    assert caught.value.sent
    assert len(market.seen("/api/keys")) == 1


async def test_a_server_that_is_away(transport: AsyncTransport) -> None:
    market = Marketplace()
    await market.start()
    await market.stop()
    async with AsyncBuyer(market.url, "ocb_key", retry=NO_RETRY, transport=transport) as buyer:
        with pytest.raises(TransportError) as caught:
            await buyer.balance()
    assert not caught.value.sent


# -- buyer


async def test_a_buyer_posts_and_reads_back(market: Marketplace, buyer: AsyncBuyer) -> None:
    posted = await buyer.post_task(messages=[Message("user", "a"), Message("assistant", "b")])
    assert (posted.price_cents, posted.balance_cents) == (20, 980)
    assert market.tasks[posted.id]["messages"][1] == {"role": "assistant", "content": "b"}
    waiting = asyncio.create_task(buyer.wait_for(posted.id))
    await market.until(lambda: market.seen(f"/api/task/{posted.id}"))
    market.tasks[posted.id].update(status="completed", result="c")
    await market.changed()
    task = await waiting
    assert (task.finished, task.result) == (True, "c")
    assert task.messages == (Message("user", "a"), Message("assistant", "b"))


async def test_waiting_ends_with_its_time_out(market: Marketplace) -> None:
    task_id = await market.offer()
    async with AsyncBuyer(market.url, "ocb_key") as buyer:
        with pytest.raises(TimeoutError, match=task_id):
            await buyer.wait_for(task_id, timeout_s=0.1)


async def test_the_rest_of_a_buyers_calls(market: Marketplace, buyer: AsyncBuyer) -> None:
    task_id = await market.offer()
    assert (await buyer.quote("x")).price_cents == 20
    assert [task.id async for task in buyer.list_tasks()] == ["task_3", "task_2", "task_1"]
    assert (await buyer.cancel(task_id)).status == "cancelled"
    assert (await buyer.credit(task_id, reason="bad")).status == "credit_review"
    assert (await buyer.rate(task_id, "down")).rating == "down"
    assert (await buyer.rate(task_id, None)).rating is None
    assert (await buyer.deposit("pro")).session_id == "cs_1"
    assert (await buyer.create_key("a")).key == "ocb_new"
    assert [key.id for key in await buyer.list_keys()] == ["key_1"]
    await buyer.delete_key("key_1")
    with pytest.raises(ValueError, match="either"):
        await buyer.post_task()
    with pytest.raises(ApiError) as caught:
        await buyer.post_task("x", max_price_cents=1)
    assert caught.value.extra == {"price_cents": 20}
    assert caught.value.errors[0].field == "max_price_cents"


async def test_an_unreadable_answer_is_an_error_of_its_own(
    market: Marketplace, buyer: AsyncBuyer
) -> None:
    market.tasks["task_x"] = {"id": 5}
    with pytest.raises(UnexpectedAnswerError, match="not a Task"):
        await buyer.get_task("task_x")


async def test_ids_are_escaped(market: Marketplace, buyer: AsyncBuyer) -> None:
    with pytest.raises(ApiError):
        await buyer.get_task("../balance?x=1")
    assert market.requests[-1].query == {}
    assert market.requests[-1].path != "/api/balance"


# -- events


async def test_a_cut_stream_resumes_with_nothing_lost(
    market: Marketplace, buyer: AsyncBuyer
) -> None:
    for number in range(5):
        market.event("task.progress", task_id="task_1", progress=str(number))
    market.event("task.completed", task_id="task_1", status="completed")
    market.cut_stream_after = 2
    market.fail("/api/task/task_1/events", 503)
    events = [event async for event in buyer.events("task_1")]
    assert [event.progress for event in events[:5]] == ["0", "1", "2", "3", "4"]
    assert [event.type for event in events[5:]] == ["task.completed"]
    asked = [one.headers.get("last-event-id") for one in market.seen("/api/task/task_1/events")]
    assert asked == [None, None, "2", "4"]


async def test_a_stream_of_everything_goes_on(market: Marketplace, buyer: AsyncBuyer) -> None:
    stream = buyer.events(last_event_id="0")
    market.event("balance", balance_cents=5)
    assert (await anext(stream)).balance_cents == 5
    later = asyncio.ensure_future(anext(stream))
    market.event("balance", balance_cents=4)
    await market.changed()
    assert (await later).balance_cents == 4
    await stream.aclose()


async def test_a_stream_that_is_refused_says_so(market: Marketplace) -> None:
    async with AsyncBuyer(market.url, "ocb_key", retry=QUICK) as buyer:
        market.fail("/api/events", 401, body={"code": "unauthenticated"})
        with pytest.raises(ApiError, match="unauthenticated"):
            await anext(buyer.events())


def sync_buyer(url: str) -> list[Any]:
    with Buyer(url, "ocb_key", retry=QUICK) as buyer:
        posted = buyer.post_task("x")
        events = [event.id for event in buyer.events("task_1", last_event_id="0")]
        listed = [task.id for task in buyer.list_tasks()]
        try:
            buyer.wait_for(posted.id, timeout_s=0.05)
        except TimeoutError:
            events.append("timed out")
        return [posted.id, events, listed, buyer.balance().balance_cents]


async def test_the_sync_buyer_does_the_same(market: Marketplace) -> None:
    market.event("task.progress", progress="a")
    market.event("task.failed", status="failed")
    market.cut_stream_after = 1
    market.fail("/api/task", DROP_MIDWAY)
    found = await asyncio.to_thread(sync_buyer, market.url)
    assert found == [
        "task_00000000",
        ["1", "2", "timed out"],
        ["task_3", "task_2", "task_1"],
        1000,
    ]


@pytest.mark.parametrize("make", [Buyer, Worker, AsyncBuyer, AsyncWorker])
def test_an_address_without_a_scheme_is_refused(make: Callable[[str, str], object]) -> None:
    with pytest.raises(ValueError, match="http"):
        make("localhost:8000", "key")


def test_models_are_frozen() -> None:
    with pytest.raises(AttributeError):
        NextTasks().max = 2  # type: ignore[misc]
    assert msgspec.json.encode(Preferences(min_earning_cents=5)) == b'{"min_earning_cents":5}'
