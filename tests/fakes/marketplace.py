"""A small marketplace that speaks the HTTP contract, and misbehaves on request.

It keeps tasks, leases, receipts and events in memory and holds polls back as the real one does.
`fail` arranges for the next requests of a route to go wrong. `until` waits for something to have
happened, so that no test sleeps for luck.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs

from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond
from tests.fakes.faults import DROP_BEFORE, DroppedError, Fault, Request

T = TypeVar("T")
Answer = tuple[int, Any]


_PAGES = {
    "balance": {"balance_cents": 1000, "promo_cents": 400, "paid_cents": 600},
    "deposit": {"checkout_url": "https://pay.example/x", "session_id": "cs_1"},
}


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def now() -> datetime:
    return datetime.now(UTC)


class Marketplace(AsgiFake):
    def __init__(self, *, lease_seconds: float = 30.0) -> None:
        super().__init__()
        self.lease_seconds = lease_seconds
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.queue: deque[dict[str, Any]] = deque()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.leases: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.submissions: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.released: list[str] = []
        self.parked = 0
        self.hung_up = 0
        self.posts: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.cut_stream_after: int | None = None
        self.tokens = {"ocw_known": "wrk_known"}
        self.preferences: dict[str, Any] = {"categories": ["general"], "max_concurrent": 10}
        self.suspend_for: timedelta | None = None  # begins with the next claim
        self.suspended_until: datetime | None = None
        self.too_large = 262_144
        self.after_answer: Callable[[Request], None] | None = None
        self._changed = asyncio.Condition()

    # -- for tests

    def fail(
        self,
        path: str,
        how: int | str,
        *,
        times: int = 1,
        headers: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> None:
        fault = Fault(path, how, headers or {}, body or {})
        self.faults.extend([fault] * times)

    async def offer(self, prompt: str = "hello", **fields: object) -> str:
        """Queue a task and wake the polls."""
        task_id = f"task_{len(self.tasks):08d}"
        task = {"id": task_id, "prompt": prompt, "status": "queued", "category": "general"}
        self.tasks[task_id] = {**task, "price_cents": 20, **fields}
        self.queue.append(self.tasks[task_id])
        await self.changed()
        return task_id

    async def changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, happened: Callable[[], T], *, within_s: float = 20.0) -> T:
        """Wait until something is true and return it."""
        async with asyncio.timeout(within_s), self._changed:
            return await self._changed.wait_for(happened)

    def seen(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def submission(self, task_id: str) -> dict[str, Any] | None:
        return next((sent for sent in self.submissions if sent["task_id"] == task_id), None)

    def event(self, kind: str, **data: object) -> None:
        self.events.append((kind, {"at": rfc3339(now()), **data}))

    def take_lease_away(self, task_id: str) -> None:
        self.leases[task_id] = "somebody else's"

    # -- the server

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = {
            key: values[-1] for key, values in parse_qs(scope["query_string"].decode()).items()
        }
        raw = await read_body(receive)
        request = Request(
            scope["method"],
            scope["path"],
            query,
            {name.decode().lower(): value.decode() for name, value in scope["headers"]},
            json.loads(raw) if raw else None,
        )
        self.requests.append(request)
        await self.changed()
        fault = next((one for one in self.faults if request.path.startswith(one.path)), None)
        if fault is not None:
            self.faults.remove(fault)
            if isinstance(fault.how, int):
                said = {"code": "unavailable", "detail": "so arranged", **fault.body}
                await respond(send, fault.how, json.dumps(said).encode(), fault.headers)
                return
            if fault.how == DROP_BEFORE:
                self.drop(scope)
                raise DroppedError
        if request.path.endswith("/events"):
            await self._stream(request, receive, send)
            return
        status, answer = await self._answer(request, receive)
        body = b"" if answer is None else json.dumps(answer).encode()
        if fault is not None:
            start = {"type": "http.response.start", "status": status}
            length = str(len(body) + 10).encode()
            await send({**start, "headers": [(b"content-length", length)]})
            await send({"type": "http.response.body", "body": body[:7], "more_body": True})
            raise DroppedError
        await respond(send, status, body)
        if self.after_answer is not None:
            self.after_answer(request)
        await self.changed()

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        path, body = request.path, request.body
        if path == "/api/worker/connect":
            token = f"ocw_made{len(self.tokens)}"
            self.tokens[token] = f"wrk_{len(self.tokens)}"
            self.preferences |= body.get("preferences") or {}
            return 201, {"worker_id": self.tokens[token], "token": token, "tier": "bronze"}
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if path.startswith("/api/work"):
            if bearer not in self.tokens:
                return 401, self._problem(401, "unauthenticated")
            return await self._worker(request, receive)
        if bearer != "ocb_key":
            return 401, self._problem(401, "unauthenticated")
        return await self._buyer(request)

    def _problem(self, status: int, code: str, **extra: object) -> dict[str, Any]:
        return {"type": "about:blank", "title": code, "status": status, "code": code} | {
            "detail": f"{code} it is",
            "request_id": "req_fake",
            **extra,
        }

    # -- worker

    async def _worker(self, request: Request, receive: Receive) -> Answer:
        if request.path.startswith("/api/worker/"):
            return self._account(request)
        if self.suspend_for is not None:
            self.suspended_until, self.suspend_for = now() + self.suspend_for, None
        if self.suspended_until is not None and self.suspended_until > now():
            until = rfc3339(self.suspended_until)
            return 403, self._problem(403, "suspended", suspended_until=until)
        if request.path == "/api/work/next":
            wait, most = int(request.query.get("wait", 0)), int(request.query.get("max", 1))
            return await self._next(wait, most, receive)
        return (
            self._submit(request.body)
            if request.path == "/api/work/submit"
            else self._lease(request)
        )

    def _account(self, request: Request) -> Answer:
        match request.path.rsplit("/", 1)[-1]:
            case "rotate-token":
                self.tokens = {"ocw_rotated": "wrk_known"}
                return 200, {"token": "ocw_rotated"}
            case "earnings":
                first = "cursor" not in request.query
                nets = (1, 2) if first else (3,)
                rows = [{"task_id": f"task_{net}", "net_cents": net} for net in nets]
                return 200, {"earnings": rows, "next_cursor": "more" if first else None}
            case "profile":
                self.preferences |= request.body.get("preferences", {})
        return 200, self._profile()

    def _lease(self, request: Request) -> Answer:
        body = request.body
        if self.leases.get(body["task_id"]) != body["lease_token"]:
            return 409, self._problem(409, "lease_lost")
        if request.path == "/api/work/heartbeat":
            self.heartbeats.append(body)
            later = now() + timedelta(seconds=self.lease_seconds)
            return 200, {"lease_expires_at": rfc3339(later)}
        self.released.append(body["task_id"])
        del self.leases[body["task_id"]]
        return 204, None

    def _profile(self) -> dict[str, Any]:
        return {
            "worker_id": "wrk_known",
            "name": "fake",
            "tier": "bronze",
            "status": "active",
            "preferences": self.preferences,
            "stats": {"completed": 3, "today": 1},
            "balance": {"available_cents": 5},
            "brand_new_field": {"deep": [1]},
        }

    def _claim(self, most: int) -> list[dict[str, Any]]:
        claimed: list[dict[str, Any]] = []
        while self.queue and len(claimed) < most:
            task = self.queue.popleft()
            task["status"] = "claimed"
            self.leases[task["id"]] = f"lease-{task['id']}"
            claimed.append(
                {
                    "task_id": task["id"],
                    "lease_token": self.leases[task["id"]],
                    "lease_expires_at": rfc3339(now() + timedelta(seconds=self.lease_seconds)),
                    "lease_seconds": self.lease_seconds,
                    "category": task["category"],
                    "messages": task.get("messages")
                    or [{"role": "user", "content": task["prompt"]}],
                    "earning_cents": 14,
                    "attempt": 1,
                }
                | ({"prompt": task["prompt"]} if "messages" not in task else {})
            )
        return claimed

    async def _next(self, wait: int, most: int, receive: Receive) -> Answer:
        if not self.queue and wait:
            self.parked += 1
            await self.changed()
            gone = asyncio.create_task(receive())
            offered = asyncio.create_task(self._queued())
            await asyncio.wait({gone, offered}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            self.parked -= 1
            left = gone.done()
            for one in (gone, offered):
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one
            if left:
                self.hung_up += 1
                await self.changed()
                return 204, None
        tasks = self._claim(most)
        if not tasks:
            return 200, {"tasks": [], "why": {"no task waits": 1}, "retry_after_s": 0}
        return 200, {"tasks": tasks}

    async def _queued(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.queue)

    def _submit(self, body: dict[str, Any]) -> Answer:
        following = body.get("next")
        if len(json.dumps(body)) > self.too_large:
            return 413, self._problem(413, "payload_too_large", limit_bytes=self.too_large)
        if "submissions" in body:
            receipts = []
            for one in body["submissions"]:
                status, receipt = self._submit(one)
                if status != 200:
                    keep = {key: receipt[key] for key in ("status", "code", "detail")}
                    receipt = {"task_id": one["task_id"], "accepted": False} | keep
                receipts.append(receipt)
            more = {"tasks": self._claim(following["max"])} if following else {}
            return 200, {"receipts": receipts, **more}
        known = self.receipts.get(body["task_id"])
        if known is not None:
            return 200, known | {"duplicate": True}
        if self.leases.get(body["task_id"]) != body["lease_token"]:
            return 409, self._problem(409, "lease_lost")
        self.submissions.append(body)
        done = body["status"] == "completed"
        receipt = {"task_id": body["task_id"], "accepted": True, "earned_cents": 14 * done}
        self.receipts[body["task_id"]] = receipt
        task = self.tasks[body["task_id"]]
        task.update(status=body["status"], result=body.get("result"))
        more = {"tasks": self._claim(following["max"])} if following else {}
        return 200, receipt | more

    # -- buyer

    async def _buyer(self, request: Request) -> Answer:
        match request.path.strip("/").split("/"):
            case ["api", "task"]:
                return await self._post(request)
            case ["api", "tasks"]:
                first = "cursor" not in request.query
                ids = ("task_3", "task_2") if first else ("task_1",)
                rows = [{"id": one, "status": "completed"} for one in ids]
                return 200, {"tasks": rows, "next_cursor": "more" if first else None}
            case ["api", "keys", *_]:
                return self._keys(request)
            case ["api", ("balance" | "deposit") as page]:
                return 200, _PAGES[page]
            case ["api", "task", task_id, *action]:
                return await self._one_task(request, self.tasks.get(task_id), "".join(action))
        return 404, self._problem(404, "not_found")

    async def _one_task(self, request: Request, task: dict[str, Any] | None, action: str) -> Answer:
        if task is None:
            return 404, self._problem(404, "not_found")
        if action == "cancel":
            task["status"] = "cancelled"
        elif action == "credit":
            return 202, {"id": task["id"], "status": "credit_review"}
        elif action == "rating":
            task["rating"] = request.body["rating"]
        elif wait := int(request.query.get("wait", 0)):
            with contextlib.suppress(TimeoutError):
                await self.until(lambda: task["status"] not in {"queued", "claimed"}, within_s=wait)
        return 200, task

    async def _post(self, request: Request) -> Answer:
        if request.body.get("dry_run"):
            return 200, {"price_cents": 20, "category": "general"}
        if request.body.get("max_price_cents", 100) < 20:
            return 422, self._problem(
                422,
                "limit_exceeded",
                price_cents=20,
                errors=[{"field": "max_price_cents", "message": "is under the price"}],
            )
        key = request.headers["idempotency-key"]
        if key not in self.posts:
            fields = {"messages": request.body["messages"]} if "messages" in request.body else {}
            task_id = await self.offer(request.body.get("prompt", ""), **fields)
            self.posts[key] = {"id": task_id, "status": "queued", "price_cents": 20} | {
                "balance_cents": 980,
                "created_at": rfc3339(now()),
            }
        return 201, self.posts[key]

    def _keys(self, request: Request) -> Answer:
        if request.method == "POST":
            return 201, {"id": "key_1", "key": "ocb_new", "name": request.body.get("name")}
        if request.method == "DELETE":
            return 204, None
        return 200, {"keys": [{"id": "key_1", "name": "a"}]}

    async def _stream(self, request: Request, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # the head leaves with the first bytes of the body
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        place = int(request.headers.get("last-event-id", 0))
        gone = asyncio.create_task(receive())
        sent = 0
        try:
            while not gone.done():
                while place < len(self.events):
                    if sent == self.cut_stream_after:
                        raise DroppedError
                    kind, data = self.events[place]
                    place, sent = place + 1, sent + 1
                    text = f"id: {place}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
                    await send(
                        {"type": "http.response.body", "body": text.encode(), "more_body": True}
                    )
                more = asyncio.create_task(self._more_events(place))
                await asyncio.wait({gone, more}, return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
        finally:
            gone.cancel()

    async def _more_events(self, place: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.events) > place)
