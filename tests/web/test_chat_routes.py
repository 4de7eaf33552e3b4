"""The chat's addresses without a browser: whose they are, what they answer, what they refuse."""

import json

import httpx

from openclaw_jobs.kit.ids import new_id
from openclaw_jobs.market.open_accounts import create_funded_buyer
from tests.chat.steps import say, talk, turns_of
from tests.market.steps import balance
from tests.running import Node, Party
from tests.web.people import Browser, browsing

JSON = {"accept": "application/json"}


async def buyer(node: Node, email: str) -> Party:
    """A buyer with credit, who may sign in with this address."""
    buyer_id, key = await create_funded_buyer(node.market, email, 100_000, "test")
    return node.party(buyer_id, key.key)


async def test_another_buyers_conversations_are_not_there(node: Node) -> None:
    worker = await node.worker()
    owner = await buyer(node, "ann@example.com")
    async with browsing(node, "ann@example.com", "eve@example.com", None) as (ann, eve, nobody):
        where, (sent,) = await talk(node, owner, worker, ("mine", "my answer"))
        task, turn = f"/chat/tasks/{sent.task_id}", f"/chat/turns/{sent.turn_id}"
        pages = [
            f"/chat/{where}",
            f"/chat/{where}/turns",
            f"/chat/{where}/export.md",
            f"/chat/{where}/export.json",
            turn,
            f"{turn}/again?another=true",
        ]
        forms: list[tuple[str, dict[str, str]]] = [
            (f"/chat/{where}/rename", {"title": "stolen"}),
            (f"/chat/{where}/delete", {}),
            ("/chat/send", {"conversation_id": where, "prompt": "x", "key": "k"}),
            ("/chat/draft", {"conversation_id": where, "prompt": "x"}),
            (f"{turn}/again", {"another": "true", "key": "k"}),
            (f"{turn}/choose", {"task_id": sent.task_id}),
            (f"{turn}/fork", {"again": "false"}),
            (f"{task}/cancel", {}),
            (f"{task}/rate", {"rating": "down"}),
            (f"{task}/credit", {"reason": "mine"}),
            (f"{task}/share", {}),
            (f"{task}/unshare", {}),
        ]
        for path in pages:
            assert (await ann.get(path)).status_code == 200, path
            assert (await eve.get(path)).status_code == 404, path
            assert (await nobody.get(path)).headers["location"].startswith("/sign-in"), path
        for path, fields in forms:
            if "category" not in fields and path in {"/chat/send", "/chat/draft"}:
                fields["category"] = "general"
            assert (await eve.post(path, fields)).status_code == 404, path
            forged = await ann.post(path, fields, token="")
            assert forged.status_code == 403, path
        assert [t.prompt for t in await turns_of(node, owner, where)] == ["mine"]
        ours = (await turns_of(node, owner, where))[0].answers[0]
        assert (ours.status, ours.rating, ours.shared) == ("completed", None, False)
        assert where in (await ann.get("/search?q=mine")).text
        assert where not in (await eve.get("/search?q=mine")).text
        await node.prove()


async def test_an_answer_says_how_sure_it_is(node: Node) -> None:
    worker = await node.worker()
    owner = await buyer(node, "ann@example.com")
    async with browsing(node, "ann@example.com") as (ann,):
        where, (sent,) = await talk(node, owner, worker, ("mine", "my answer"))
        told = (await owner.ok("GET", f"/api/task/{sent.task_id}"))["confidence"]
        assert 0 < told < 1
        words = f"{round(told * 100)} % confidence</span>"
        for path in (f"/chat/{where}", f"/chat/turns/{sent.turn_id}"):
            assert words in (await ann.get(path)).text
        # What has no result has nothing to be sure of.
        waits = await say(node, owner, "and this?", where)
        assert "% confidence" not in (await ann.get(f"/chat/turns/{waits.turn_id}")).text


async def test_an_export_has_everything(node: Node) -> None:
    worker = await node.worker()
    owner = await buyer(node, "ann@example.com")
    async with browsing(node, "ann@example.com") as (ann,):
        many = [(f"question {n}", f"answer {n}") for n in range(25)]
        where, sent = await talk(node, owner, worker, *many)
        text = await ann.get(f"/chat/{where}/export.md")
        assert text.headers["content-type"].startswith("text/markdown")
        assert text.headers["content-disposition"] == f'attachment; filename="{where}.md"'
        assert text.text.count("## You, ") == 25
        assert "answer 24" in text.text
        found = json.loads((await ann.get(f"/chat/{where}/export.json")).text)
        assert found["id"] == where
        assert [turn["prompt"] for turn in found["turns"]] == [q for q, _ in many]
        (answer,) = found["turns"][3]["answers"]
        assert answer["task_id"] == sent[3].task_id
        assert (answer["result"], answer["chosen"]) == ("answer 3", True)


async def test_what_the_composer_sends_is_checked(node: Node) -> None:
    owner = await buyer(node, "ann@example.com")
    async with browsing(node, "ann@example.com") as (ann,):
        had = await balance(owner)
        good = {"prompt": "hello", "category": "general", "key": "k"}
        for wrong in (
            {"prompt": " "},
            {"category": "none such"},
            {"key": ""},
            {"max_price_cents": "-1"},
            {"max_price_cents": "1"},
            {"prompt": "x" * 131_000},
        ):
            answer = await ann.post("/chat/send", {**good, **wrong}, headers=JSON)
            assert answer.status_code in {400, 413, 422}, (wrong, answer.text)
        assert await balance(owner) == had
        token = await ann.token("/chat")
        sent = await send_json(ann, token, {**good, "prompt": "ö" * 40_000})
        assert sent.status_code == 200, sent.text
        assert sent.json()["url"] == f"/chat/{sent.json()['conversation_id']}"
        again = await send_json(ann, token, {**good, "prompt": "ö" * 40_000})
        assert again.json()["turn_id"] == sent.json()["turn_id"]
        broken = await ann.http.post(
            "/chat/send",
            content=b"{",
            headers={**JSON, "content-type": "application/json", "x-csrf-token": token},
        )
        assert broken.status_code == 422


async def send_json(browser: Browser, token: str, fields: dict[str, str]) -> httpx.Response:
    headers = {**JSON, "x-csrf-token": token}
    return await browser.http.post("/chat/send", json=fields, headers=headers)


async def test_a_link_cannot_be_guessed(node: Node) -> None:
    async with browsing(node, None) as (nobody,):
        for token in ("x", "A" * 43, "A" * 300, new_id("shr")):
            answer = await nobody.get(f"/s/{token}")
            assert answer.status_code == 404
            assert "There is no such shared result" in answer.text
