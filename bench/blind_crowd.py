"""Workers who write down all that they see, and buyers who keep them busy."""

import asyncio
import base64
import random
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import aiohttp
import msgspec

from bench import questions
from bench.seed import Buyer
from openclaw_jobs.client import AsyncBuyer

_OWN_HEADERS: Final = {"x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"}
_TEXTS: Final = {"prompt", "messages"}
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_ALPHABET: Final = {char: at for at, char in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}


@dataclass
class Sight:
    """All that one worker saw of one task.

    Attributes:
        task_id: The task.
        worker: Which worker.
        prompt: Its text.
        at: When it came, by the client's clock.
        seen: Whatever can be a number or a form, by name.
    """

    task_id: str
    worker: int
    prompt: str
    at: float
    seen: dict[str, float | str] = field(default_factory=dict)


@dataclass
class Answer:
    """An answer in full: what was in it, and how it was written."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]
    seconds: float

    def value(self) -> Any:  # noqa: ANN401 - JSON
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Watcher:
    """A worker that writes down all it sees."""

    def __init__(self, url: str, number: int, token: str, rng: random.Random) -> None:
        """See `work`."""
        self._url = url
        self._number = number
        self._token = token
        self._rng = rng
        # Every tenth is often wrong, so that what happens to bad results is seen as well.
        self._wrong = 0.3 if number % 10 == 0 else 0.02
        self._http: aiohttp.ClientSession | None = None
        self._last: tuple[float, float] | None = None
        self._me: dict[str, float] = {}
        self.sights: list[Sight] = []

    async def work(self, stop: asyncio.Event) -> None:
        """Take tasks and do them until told to stop, or suspended; then read the earnings."""
        local = (f"127.0.1.{self._number + 1}", 0)
        connector = aiohttp.TCPConnector(local_addr=local, limit=0)
        headers = {"Authorization": f"Bearer {self._token}"}
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=_TIMEOUT
        ) as self._http:
            while not stop.is_set():
                most = self._rng.choice((1, 1, 2, 3))
                found = await self._call("GET", f"/api/work/next?wait=5&max={most}")
                if found.status == 403:
                    break
                if found.status == 200:
                    await self._do(found)
            await self._read_earnings()

    async def _do(self, found: Answer) -> None:
        came = time.time()
        body = found.value()
        tasks = body.get("tasks", [body])
        before = await self._profile() if not self._me else self._me
        for place, task in enumerate(tasks):
            sight = Sight(task["task_id"], self._number, task["prompt"], came)
            seen = sight.seen
            _note(seen, "next", found)
            seen["next.place"], seen["next.of"] = place, len(tasks)
            # The text is the buyer's, and of one family for both kinds here.
            form = {key: value for key, value in task.items() if key not in _TEXTS}
            _flatten(seen, "task", form, came)
            seen["task.keys"] = ",".join(task)
            # The server's clock on both sides: how long it waited in the queue.
            held = float(seen["task.lease_seconds"]) - float(seen["task.lease_expires_at.after"])
            seen["task.waited"] = float(seen["task.task_id.age"]) - held
            made = float(seen["task.task_id.ms"])
            if self._last is not None:
                seen["since_last_claim"] = came - self._last[0]
                seen["since_last_id"] = self._last[1] - made
            self._last = (came, made)
            self.sights.append(sight)
            await asyncio.sleep(self._rng.uniform(0.02, 0.15))
            await self._submit(task, sight, before)
            before = self._me

    async def _submit(self, task: dict[str, Any], sight: Sight, before: dict[str, float]) -> None:
        answer = questions.wrong if self._rng.random() < self._wrong else questions.right
        result = {
            "task_id": task["task_id"],
            "lease_token": task["lease_token"],
            "status": "completed",
            "result": answer(task["prompt"], self._rng),
        }
        done = await self._call("POST", "/api/work/submit", result)
        _note(sight.seen, "submit", done)
        _flatten(sight.seen, "receipt", done.value(), sight.at)
        self._me = await self._profile(sight.seen)
        for name, value in self._me.items():
            sight.seen[f"change.{name}"] = value - before.get(name, 0.0)

    async def _profile(self, seen: dict[str, float | str] | None = None) -> dict[str, float]:
        answer = await self._call("GET", "/api/worker/me")
        told: dict[str, float | str] = {}
        _flatten(told, "me", answer.value(), time.time())
        if seen is not None:
            _note(seen, "me", answer)
            seen["me.tier"] = told.get("me.tier", "")
        return {name: value for name, value in told.items() if isinstance(value, float)}

    async def _read_earnings(self) -> None:
        by_task = {sight.task_id: sight for sight in self.sights}
        cursor: str | None = None
        place = 0
        while True:
            query = f"?limit=100{f'&cursor={cursor}' if cursor else ''}"
            page = (await self._call("GET", f"/api/worker/earnings{query}")).value()
            for earning in page["earnings"]:
                sight = by_task.get(earning["task_id"])
                place += 1
                if sight is not None:
                    _flatten(sight.seen, "earning", earning, sight.at)
                    sight.seen["earning.keys"] = ",".join(earning)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _call(self, method: str, path: str, body: Any = None) -> Answer:  # noqa: ANN401
        assert self._http is not None
        started = time.perf_counter()
        async with self._http.request(method, self._url + path, json=body) as answer:
            content = await answer.read()
            headers = [(name.decode(), value.decode()) for name, value in answer.raw_headers]
        return Answer(answer.status, content, headers, time.perf_counter() - started)


def _note(seen: dict[str, float | str], name: str, answer: Answer) -> None:
    """How an answer was written: time, size, keys in order, headers in order with their values."""
    seen[f"{name}.seconds"] = answer.seconds
    seen[f"{name}.status"] = float(answer.status)
    seen[f"{name}.bytes"] = float(len(answer.body))
    seen[f"{name}.spaces"] = float(answer.body.count(b" ") + answer.body.count(b"\n"))
    seen[f"{name}.keys"] = ",".join(answer.value())
    told = [f"{k}={'' if k.lower() in _OWN_HEADERS else v}" for k, v in answer.headers]
    seen[f"{name}.headers"] = ";".join(
        line for line in told if "content-length" not in line.lower()
    )


def _flatten(seen: dict[str, float | str], name: str, value: Any, came: float) -> None:  # noqa: ANN401
    """Every part of a value as numbers or forms; times count from `came`."""
    if isinstance(value, dict):
        seen[f"{name}.keys"] = ",".join(value)
        for key, part in value.items():
            _flatten(seen, f"{name}.{key}", part, came)
    elif isinstance(value, list):
        seen[f"{name}.length"] = float(len(value))
        for at, part in enumerate(value[:5]):
            _flatten(seen, f"{name}.{at}", part, came)
    elif isinstance(value, bool) or value is None:
        seen[name] = str(value)
    elif isinstance(value, int | float):
        seen[name] = float(value)
    else:
        _text(seen, name, str(value), came)


def _text(seen: dict[str, float | str], name: str, text: str, came: float) -> None:
    if text.startswith("task_"):
        number = 0
        for char in text.removeprefix("task_"):
            number = number * 32 + _ALPHABET[char]
        made = number >> 80
        seen[f"{name}.ms"] = made / 1000
        seen[f"{name}.age"] = came - made / 1000
        seen[f"{name}.of_second"] = float(made % 1000)
        seen[f"{name}.version"] = float((number >> 76) & 15)
        # A counter that begins anew each millisecond, then chance. In full it would be the moment
        # itself: tasks of one millisecond would be known by each other.
        seen[f"{name}.counter_begins"] = float((number >> 72) & 7)
        seen[f"{name}.counter_ends"] = float((number >> 32) & 15)
        for bits in (16, 0):
            seen[f"{name}.bits{bits}"] = float((number >> bits) & 0xFFF)
    elif name.endswith("lease_token"):
        raw = base64.urlsafe_b64decode(text.split("_", 1)[1] + "==")
        seen[f"{name}.length"] = float(len(text))
        seen[f"{name}.first"], seen[f"{name}.last"] = float(raw[0]), float(raw[-1])
    elif len(text) == len("2026-01-01T00:00:00.000Z") and text.endswith("Z"):
        moment = datetime.fromisoformat(text).timestamp()
        seen[f"{name}.after"] = moment - came
        seen[f"{name}.of_second"] = round(moment * 1000) % 1000
    else:
        seen[name] = text if len(text) < 40 else f"{len(text)} characters"


async def buy(
    url: str,
    buyers: list[Buyer],
    rate: float,
    count: int,
    rng: random.Random,
) -> None:
    """Post so many questions, each at a random moment of its own, whatever became of the others.

    Buyers who waited for answers would post less just when the server has much to do. Hidden tasks
    come by the clock, so slow answers would tell them, and that of nobody but these buyers. The
    rate has to be one that the server and the workers keep up with.

    Args:
        url: Where.
        buyers: Who posts them.
        rate: How many a second, in the mean.
        count: How many in all.
        rng: Chance.
    """
    callers = [AsyncBuyer(url, buyer.key) for buyer in buyers]
    running: set[asyncio.Task[None]] = set()

    async def post() -> None:
        question = questions.ask(rng)
        await rng.choice(callers).post_task(question.prompt, category=question.category)

    loop = asyncio.get_running_loop()
    moment = loop.time()
    for _ in range(count):
        moment += rng.expovariate(rate)
        await asyncio.sleep(moment - loop.time())
        task = asyncio.create_task(post())
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for caller in callers:
        await caller.close()
