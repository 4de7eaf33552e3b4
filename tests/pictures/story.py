"""What has happened on the marketplace of the pictures: the same each time.

Ids, times and measured seconds differ from run to run; `steady.js` writes the same ones over them
once a page has loaded.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from openclaw_jobs.kit.tokens import hash_token
from openclaw_jobs.market import people
from openclaw_jobs.market.open_accounts import create_funded_buyer
from openclaw_jobs.market.send_message import NewMessage, send_message
from tests.pictures.pages import Who
from tests.running import Json, Node, Party

__all__ = ["Story", "tell"]

BUYER: Final = "ada@example.org"
NEWCOMER: Final = "new@example.org"
OPERATOR: Final = "olga@example.org"
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) Chrome/146.0 Safari/537.36"

_TEXTS: Final = tomllib.loads(Path(__file__).with_name("tasks.toml").read_text())
_TASKS: Final = _TEXTS["task"]
_TALK: Final = _TEXTS["turn"]
_WAITING: Final = (
    ("writing", "Rewrite this letter so that it is friendly and half as long."),
    ("research", "What changed in the law on small wind turbines this year?"),
)


class Story:
    """What the pictures need of it.

    Attributes:
        facts: Values for the paths of pages.
        sessions: The cookie of each that looks.
        buyer: The buyer's id and key.
    """

    def __init__(
        self,
        facts: Mapping[str, str],
        sessions: Mapping[Who, str | None],
        buyer: tuple[str, str],
    ) -> None:
        self.facts = facts
        self.buyer = buyer
        self.sessions = sessions


async def tell(node: Node) -> Story:
    """Let it happen."""
    buyer_id, key = await create_funded_buyer(node.market, BUYER, 4_200, "story")
    buyer = node.party(buyer_id, key.key)
    worker = await _worker(node)
    tasks = [await _live(buyer, worker, task) for task in _TASKS]
    await buyer.ok("POST", f"/api/task/{tasks[0]}/rating", {"rating": "up"})
    await buyer.ok("POST", f"/api/task/{tasks[3]}/credit", {"reason": "May is missing."})
    conversation = await _talk(node, buyer, worker)
    for category, prompt in _WAITING:
        await _post(buyer, category, prompt)
    # So that what waits is of one age, however long the pictures take.
    async with node.market.db.transaction() as conn:
        await conn.execute(
            "UPDATE tasks SET created_at = created_at - interval '4 minutes'"
            " WHERE status = 'queued'"
        )
    await people.set_operator(node.market, OPERATOR, operator=True, actor="story")
    newcomer = await _session(node, NEWCOMER)
    sessions: dict[Who, str | None] = {
        "nobody": None,
        "newcomer": newcomer,
        "buyer": await _session(node, BUYER, "Ada Byron"),
        "operator": await _session(node, OPERATOR, "Olga Petrova"),
        "worker": await _held(node, worker),
    }
    facts = {
        "task": tasks[1],
        "credited": tasks[3],
        "worker": worker.id,
        "buyer": buyer_id,
        "conversation": conversation,
    }
    return Story(facts, sessions, (buyer_id, key.key))


async def _worker(node: Node) -> Party:
    body = {"name": "Patient Otter", "model": "otter-2-large", "capabilities": ["coding"]}
    made = await node.anyone().ok("POST", "/api/worker/connect", body, 201)
    return node.party(made["worker_id"], made["token"])


async def _post(buyer: Party, category: str, prompt: str) -> str:
    made = await buyer.ok("POST", "/api/task", {"prompt": prompt, "category": category}, 201)
    return str(made["id"])


async def _live(buyer: Party, worker: Party, task: Mapping[str, str]) -> str:
    """Post a task and do it at once, so that the order of everything is the same each time."""
    task_id = await _post(buyer, task["category"], task["prompt"].strip())
    work = await worker.ok("GET", "/api/work/next?wait=10")
    assert work["task_id"] == task_id
    await _submit(worker, work, task)
    return task_id


async def _submit(worker: Party, work: Json, task: Mapping[str, str]) -> None:
    done: Json = {"task_id": work["task_id"], "lease_token": work["lease_token"]}
    if "result" in task:
        done |= {"status": "completed", "result": task["result"].strip()}
    else:
        done |= {"status": "failed", "error": "There are too many countries."}
    await worker.ok("POST", "/api/work/submit", done)


async def _talk(node: Node, buyer: Party, worker: Party) -> str:
    """A conversation of the buyer's with the answers that it got."""
    conversation: str | None = None
    for number, turn in enumerate(_TALK):
        message = NewMessage(
            buyer_id=buyer.id,
            conversation_id=conversation,
            prompt=turn["prompt"],
            category="data",
            max_price_cents=None,
            key=f"story-{number}",
        )
        conversation = (await send_message(node.market, message)).conversation_id
        if "result" in turn:
            work = await worker.ok("GET", "/api/work/next?wait=10")
            await _submit(worker, work, turn)
    assert conversation is not None
    return conversation


async def _session(node: Node, email: str, name: str | None = None) -> str:
    done = await people.sign_in(
        node.market,
        provider="development",
        subject=email,
        email=email,
        name=name,
        instead_of=None,
        user_agent=_AGENT,
    )
    if name is not None:
        await people.rename_user(node.market, done.user_id, name)
    return done.session.secret


async def _held(node: Node, worker: Party) -> str:
    session = await people.hold_worker(
        node.market,
        worker.id,
        hash_token(worker.token),
        user_id=None,
        instead_of=None,
        user_agent=_AGENT,
    )
    return session.secret
