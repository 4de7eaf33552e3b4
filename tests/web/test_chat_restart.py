"""A server that dies while a task is being done: the page goes on by itself."""

import socket

from playwright.async_api import Browser, expect

from tests.bad_days.programs import behind, caller, program
from tests.web.browser import Visitors, browser_tests
from tests.web.chat_steps import answered, last_turn, say

pytestmark = browser_tests


async def test_a_page_outlives_its_server(dsn: str, browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = ("web", "--port", str(port))
    environment = {"DATABASE_URL": dsn, "SESSION_SECRET": "s" * 64}
    visitors = Visitors(browser, f"http://127.0.0.1:{port}")
    visitor = await visitors()
    async with behind(dsn) as back:
        async with program(*web, **environment) as running:
            await visitor.sign_in("outlives@example.com", "/chat")
            await say(visitor, "Before")
            token = await back.worker()
            async with caller(running.address, token) as worker:
                given = (await worker.get("/api/work/next")).json()
            await expect(last_turn(visitor)).to_contain_text("A worker is on it")
            running.kill()
            assert await running.ended() == -9
        await expect(visitor.page.locator("#connection")).to_have_text("Reconnecting…")
        async with program(*web, **environment) as running:
            done = {
                "task_id": given["task_id"],
                "lease_token": given["lease_token"],
                "status": "completed",
                "result": "After",
            }
            async with caller(running.address, token) as worker:
                receipt = await worker.post("/api/work/submit", json=done)
                assert receipt.status_code == 200, receipt.text
            await answered(visitor, "After")
            await expect(visitor.page.locator("#connection")).to_be_hidden()
            await say(visitor, "And on it goes")
            # It asked in vain while nobody was there, and nothing else went wrong.
            assert [fault for fault in visitor.faults if "net::ERR_" not in fault] == []
            visitor.faults.clear()
            await visitors.close()
        await back.prove()
