"""Who calls in the matrix of routes and callers, and what their calls are about."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.kit.tokens import new_token
from tests.market.steps import claim, complete, post
from tests.running import ADMIN_TOKEN, Json, Node, Party

Ids: TypeAlias = Mapping[str, str]


@dataclass
class Cast:
    """Two of each kind of party, and the operator."""

    node: Node
    buyer: Party
    other_buyer: Party
    worker: Party
    other_worker: Party
    operator: Party

    def own(self, kind: str) -> Party:
        """The party whose objects the calls are about."""
        return {"buyer": self.buyer, "worker": self.worker}.get(kind, self.operator)

    def other(self, kind: str) -> Party | None:
        """Another of the same kind."""
        return {"buyer": self.other_buyer, "worker": self.other_worker}.get(kind)


async def assemble(node: Node) -> Cast:
    """All parties, with credit and no task."""
    return Cast(
        node,
        await node.buyer(100_000),
        await node.buyer(100_000),
        await node.worker(max_concurrent=1000),
        await node.worker(max_concurrent=1000),
        node.operator(),
    )


async def unknown_credentials(cast: Cast) -> dict[str, str | None]:
    """Values of `Authorization` that name nobody: each is a 401 on every protected route."""
    key = await cast.buyer.ok("POST", "/api/keys", {"name": "to be revoked"}, 201)
    await cast.buyer.ok("DELETE", f"/api/keys/{key['id']}", status=204)
    rotated = await cast.node.worker()
    await rotated.ok("POST", "/api/worker/rotate-token")
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, {"sub": cast.buyer.id, "role": "operator"})
    )
    buyer, worker = cast.buyer.token, cast.worker.token
    return {
        "nobody": None,
        "an empty header": "",
        "a scheme alone": "Bearer",
        "an empty token": "Bearer ,",
        "a token alone": buyer,
        "another scheme": f"Token {worker}",
        "basic": "Basic " + base64.b64encode(f"{cast.buyer.id}:{buyer}".encode()).decode(),
        "a revoked key": f"Bearer {key['key']}",
        "a rotated token": f"Bearer {rotated.token}",
        "a key of another site": f"Bearer {new_token('ocb')}",
        "a token of another site": f"Bearer {new_token('ocw')}",
        "a lease": f"Bearer {new_token('lease')}",
        "a key and more": f"Bearer {buyer}x",
        "less than a key": f"Bearer {buyer[:-1]}",
        "a key in other case": f"Bearer {buyer.swapcase()}",
        "a key as a worker's": f"Bearer {buyer.replace('ocb_', 'ocw_')}",
        "a token as a buyer's": f"Bearer {worker.replace('ocw_', 'ocb_')}",
        "an id": f"Bearer {cast.worker.id}",
        "less than the operator's": f"Bearer {ADMIN_TOKEN[:-1]}",
        "an unsigned token": f"Bearer {head}.{body}.",
        "two": f"Bearer {buyer}, Bearer {worker}",
        "a key's hash": "Bearer " + "0" * 64,
        "a very long one": "Bearer " + "ocb_" + "x" * 4000,
    }


async def queued(cast: Cast) -> Ids:
    """A task that waits."""
    return {"task_id": (await post(cast.buyer))["id"]}


async def claimed(cast: Cast) -> Ids:
    """A task that the worker holds."""
    task_id = (await post(cast.buyer))["id"]
    while (held := await claim(cast.worker))["task_id"] != task_id:
        await complete(cast.worker, held)
    return {"task_id": task_id, "lease_token": held["lease_token"]}


async def completed(cast: Cast) -> Ids:
    """A task that the worker has done."""
    held = await claimed(cast)
    await complete(cast.worker, dict(held))
    return {"task_id": held["task_id"]}


async def key(cast: Cast) -> Ids:
    """A second key of the buyer."""
    made = await cast.buyer.ok("POST", "/api/keys", {}, 201)
    return {"key_id": made["id"]}


async def spare_worker(cast: Cast) -> Ids:
    """A worker that nobody needs."""
    return {"worker_id": (await cast.node.worker()).id}


async def spare_buyer(cast: Cast) -> Ids:
    """A buyer that nobody needs."""
    return {"buyer_id": (await cast.node.buyer()).id}


async def gold_task(cast: Cast) -> Ids:
    """A gold task."""
    body = {"prompt": "2 + 2?", "answers": ["4"]}
    made = await cast.operator.ok("POST", "/api/admin/benchmarks", body, 201)
    return {"gold_id": made["id"]}


async def nothing(_: Cast) -> Ids:
    """Ids of the right form, of things that there are not."""
    return {
        "task_id": new_id("task"),
        "payout_id": new_id("pay"),
        "suspension_id": new_id("sus"),
        "check_id": new_id("chk"),
        "flag_id": new_id("flag"),
        "source": "stripe",
        "event_id": "evt_none",
        "key": "signup",
        "account": "platform:revenue",
    }


Maker: TypeAlias = Callable[[Cast], Awaitable[Ids]]


@dataclass(frozen=True)
class Row:
    """What one route must answer.

    Attributes:
        caller: Whose it is: `public`, `buyer`, `worker` or `operator`.
        own: The status for whoever owns what it is about.
        other: The status for another of the same kind; the same as `own` where None.
        about: Makes what the call is about.
        body: What is sent; `{name}` in a text stands for an id.
    """

    caller: str
    own: int
    other: int | None = None
    about: Maker = nothing
    body: Json = None


def filled(template: Json, ids: Ids) -> Json:
    """`template` with the ids in it."""
    if isinstance(template, str):
        return template.format_map(ids)
    if isinstance(template, dict):
        return {name: filled(value, ids) for name, value in template.items()}
    return template
