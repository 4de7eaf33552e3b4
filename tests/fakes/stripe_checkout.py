"""The page on which Stripe takes a buyer's card, so that a browser can walk through it."""

import html
import re
from typing import Final

from tests.fakes.asgi import Receive, Scope, Send, respond
from tests.fakes.stripe import Object, StripeFake

_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Checkout</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"></head><body>
<h1>Pay {amount}</h1><p>Nothing is charged here.</p><form method="post"><button>Pay</button></form>
<p><a href="{cancel_url}">Back to the shop</a></p></body></html>"""


class StripeCheckout(StripeFake):
    """A Stripe whose Checkout sessions have a page: `Pay` pays and leads back, as theirs does.

    Nobody is told of the payment: that the event comes, and when, is the test's to say.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = re.fullmatch(r"/c/pay/(\w+)", scope["path"])
        if match is None:
            await super().handle(scope, receive, send)
            return
        session = self.objects[match[1]]
        if scope["method"] == "POST":
            self.pay(session["id"])
            back = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
            await respond(send, 303, headers={"location": back})
            return
        page = _PAGE.format(
            amount=f"${session['amount_total'] / 100:.2f}",
            cancel_url=html.escape(session["cancel_url"]),
        )
        await respond(send, 200, page.encode(), {"content-type": "text/html; charset=utf-8"})

    def _write(self, path: str, params: Object) -> tuple[int, Object]:
        status, answer = super()._write(path, params)
        if answer.get("object") == "checkout.session":
            answer["url"] = self.objects[answer["id"]]["url"] = f"{self.url}/c/pay/{answer['id']}"
        return status, answer
