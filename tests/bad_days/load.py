"""Buyers and workers that go on whatever happens, and remember what they were told."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.bad_days.programs import Back, until

AWAY = (httpx.TransportError,)
PAUSE_S = 0.05


@dataclass
class Load:
    """Clients of one marketplace whose address may change and which may go away.

    Attributes:
        addresses: Where it answers now; clients take them in turn.
        receipts: What was acknowledged: the submission and its receipt, by task.
        unanswered: Submissions that may or may not have arrived.
        posted: The id that each idempotency key was answered with.
        answers: How many answers came with each status and code.
        held: Tasks that a worker got and has not handed in.
    """

    addresses: list[str]
    receipts: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    unanswered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    posted: dict[str, str] = field(default_factory=dict)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    away: int = 0
    _turn: int = 0

    async def call(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        token: str,
        **rest: Any,  # noqa: ANN401 - httpx's own arguments
    ) -> httpx.Response | None:
        """An answer, or None when none came; every refusal is one that the contract knows."""
        self._turn += 1
        address = self.addresses[self._turn % len(self.addresses)]
        headers = {"Authorization": f"Bearer {token}", **rest.pop("headers", {})}
        try:
            answer = await client.request(method, address + path, headers=headers, **rest)
        except AWAY:
            self.away += 1
            return None
        problem = answer.headers.get("content-type") == "application/problem+json"
        code = answer.json()["code"] if problem else ""
        self.answers[answer.status_code, code] += 1
        if answer.status_code == 503:
            assert code == "unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
        return answer

    async def buy(self, client: httpx.AsyncClient, key: str, name: str, text: str = "") -> None:
        """Post a task until it is taken, once."""
        while not self.stop.is_set():
            answer = await self.call(
                client,
                "POST",
                "/api/task",
                key,
                json={"prompt": f"{name} {text}" if text else name},
                headers={"Idempotency-Key": name},
            )
            if answer is not None and answer.status_code == 201:
                self.posted[name] = answer.json()["id"]
                return
            assert answer is None or answer.status_code in {409, 503}, answer.text
            await asyncio.sleep(PAUSE_S)

    async def work(self, token: str) -> None:
        """Take tasks and hand them in, each with the wish for the next."""
        async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
            claims: list[dict[str, Any]] = []
            while not self.stop.is_set():
                if claims:
                    claim = claims.pop()
                    # Who has tasks asks for no more: on a slow machine their leases would end.
                    wanted = {} if claims else {"next": {"wait": 0.2, "max": 2}}
                    claims += await self._hand_in(client, token, claim, wanted)
                    continue
                answer = await self.call(
                    client, "GET", "/api/work/next", token, params={"wait": 1, "max": 2}
                )
                if answer is None or answer.status_code != 200:
                    await asyncio.sleep(PAUSE_S)
                else:
                    claims = self._take(answer.json()["tasks"])
            for claim in claims:
                self.held.add(claim["task_id"])

    def _take(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.held.update(task["task_id"] for task in tasks)
        return tasks

    async def _hand_in(
        self, client: httpx.AsyncClient, token: str, claim: dict[str, Any], wanted: dict[str, Any]
    ) -> list[dict[str, Any]]:
        body = {
            "task_id": claim["task_id"],
            "lease_token": claim["lease_token"],
            "status": "completed",
            "result": f"did {claim['prompt']}",
        }
        answer = await self.call(
            client,
            "POST",
            "/api/work/submit",
            token,
            json=body | wanted,
        )
        self.held.discard(claim["task_id"])
        if answer is None or answer.status_code == 503:
            self.unanswered.append((token, body))
            return []
        if answer.status_code == 409:
            return []
        assert answer.status_code == 200, answer.text
        receipt = answer.json()
        assert body["task_id"] not in self.receipts, "a task was settled twice"
        self.receipts[body["task_id"]] = (token, body, receipt)
        return self._take(receipt.get("tasks", []))

    async def check_receipts(self, back: Back) -> None:
        """Each acknowledged submission is answered the same again; the others properly.

        A submission whose answer was lost stands, or is taken now, or has lost its lease.
        """
        async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:  # noqa: S501
            for token, body, receipt in self.receipts.values():
                again = await self.call(client, "POST", "/api/work/submit", token, json=body)
                assert again is not None
                assert again.status_code == 200, again.text
                repeated = again.json()
                assert repeated.pop("duplicate") is True
                kept = {k: v for k, v in receipt.items() if k not in {"tasks", "duplicate"}}
                assert repeated == kept
            for token, body in self.unanswered:
                again = await self.call(client, "POST", "/api/work/submit", token, json=body)
                assert again is not None
                assert again.status_code in {200, 409, 404}, again.text
        results = dict(back.rows("SELECT task_id, result FROM task_results"))
        for task_id, (_, body, _) in self.receipts.items():
            assert results[task_id] == body["result"]

    async def all_done(self, back: Back, timeout_s: float = 120.0) -> None:
        """Wait until every task that was posted has been completed."""
        await until(
            lambda: (
                set(back.statuses()) <= {"completed"}
                and back.statuses().get("completed", 0) >= len(self.posted)
            ),
            timeout_s,
        )
        assert back.statuses() == {"completed": len(self.posted)}

    async def acknowledged(self, more: int, timeout_s: float = 120.0) -> None:
        """Wait until so many more submissions have been acknowledged."""
        goal = len(self.receipts) + more
        await until(lambda: len(self.receipts) >= goal, timeout_s)
