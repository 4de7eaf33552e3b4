"""A Stripe of our own, from its public API documentation: what deposits use of it, over HTTP.

Objects, idempotency keys, error bodies and signatures are as https://docs.stripe.com/api says;
what a buyer, a bank or Stripe itself does is a method here, and leaves the events that it would.
"""

import asyncio
import copy
import hashlib
import hmac
import itertools
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

import httpx

from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond

Object: TypeAlias = dict[str, Any]
Fault: TypeAlias = int | Literal["drop_before", "drop_after", "no_charge_yet"]
"""What befalls one request: an HTTP status before anything is done, or a connection that is cut
before it was read or in the middle of its answer."""

SECRET_KEY = "sk_test_fake"
WEBHOOK_SECRET = "whsec_fake"
DISPUTE_FEE_CENTS = 1500


def fee_of(cents: int) -> int:
    """What a card payment costs: 2.9% and 30 cents."""
    return round(cents * 0.029) + 30


class StripeFake(AsgiFake):
    """One account at Stripe.

    Attributes:
        faults: What befalls the next requests, one each; None lets one through.
        gate: While it is not set, requests that change something wait before they are done.
        prices: Prices that were made before, in cents by id.
        events: What has happened, as Stripe's events, in order.
        requests: Every request that was read: method, path, parameters and idempotency key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.prices: dict[str, int] = {}
        self.events: list[Object] = []
        self.requests: list[tuple[str, str, Object, str | None]] = []
        self.objects: dict[str, Object] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[str, tuple[Object, int, Object]] = {}
        self._running: set[str] = set()

    def all_of(self, kind: str) -> list[Object]:
        """Every object of a kind, such as `checkout.session`."""
        return [found for found in self.objects.values() if found["object"] == kind]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "drop_before":
            self.drop(scope)
            return
        headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        body = await read_body(receive)
        params = nested(body.decode() or scope["query_string"].decode())
        key = headers.get("idempotency-key")
        self.requests.append((scope["method"], scope["path"], params, key))
        if isinstance(fault, int):
            status, answer = fault, failure("api_error", "Something went wrong here.")
        elif headers.get("authorization") != f"Bearer {SECRET_KEY}":
            status, answer = 401, failure("invalid_request_error", "Invalid API Key provided")
        elif scope["method"] == "POST" and key is not None:
            status, answer = await self._once(scope["path"], params, key)
        else:
            status, answer = self._read(scope["path"], params)
        if fault == "no_charge_yet":
            answer = answer | {"latest_charge": None}
        content = json.dumps(answer).encode()
        if fault == "drop_after":
            await respond_in_part(send, status, content)
            self.drop(scope)
            return
        await respond(send, status, content, {"request-id": f"req_{next(self._numbers)}"})

    async def _once(self, path: str, params: Object, key: str) -> tuple[int, Object]:
        """Do what a key is for the first time; answer the same again afterwards."""
        if key in self._running:
            return 409, failure(
                "idempotency_error",
                "There is currently another in-progress request using this Idempotent Key.",
                "idempotency_key_in_use",
            )
        if key in self._answers:
            first, status, answer = self._answers[key]
            if first != {"path": path, **params}:
                return 400, failure(
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters.",
                )
            return status, answer
        self._running.add(key)
        try:
            await self.gate.wait()
            status, answer = self._write(path, params)
        finally:
            self._running.discard(key)
        self._answers[key] = ({"path": path, **params}, status, answer)
        return status, answer

    def _write(self, path: str, params: Object) -> tuple[int, Object]:
        if path != "/v1/checkout/sessions":
            return 404, failure("invalid_request_error", f"Unrecognized request URL (POST: {path})")
        total = 0
        for item in params["line_items"].values():
            if (price := item.get("price")) is not None:
                if price not in self.prices:
                    return 400, failure(
                        "invalid_request_error", f"No such price: '{price}'", "resource_missing"
                    )
                cents = self.prices[price]
            else:
                assert item["price_data"]["currency"] == "usd"
                cents = int(item["price_data"]["unit_amount"])
            total += cents * int(item["quantity"])
        session = self._make(
            "checkout.session",
            "cs_test",
            amount_total=total,
            currency="usd",
            client_reference_id=params.get("client_reference_id"),
            metadata=params.get("metadata", {}),
            mode=params["mode"],
            payment_intent=None,
            payment_status="unpaid",
            status="open",
            success_url=params["success_url"],
            cancel_url=params["cancel_url"],
        )
        session["url"] = f"https://checkout.stripe.test/c/pay/{session['id']}"
        self.objects[f"intent of {session['id']}"] = {
            "object": "intent data",
            **params.get("payment_intent_data", {}),
        }
        return 200, copy.deepcopy(session)

    def _read(self, path: str, params: Object) -> tuple[int, Object]:
        match = re.fullmatch(
            r"/v1/(?:checkout/sessions|payment_intents|charges|balance_transactions|disputes)/(\w+)",
            path,
        )
        found = self.objects.get(match[1]) if match else None
        if found is None:
            return 404, failure(
                "invalid_request_error", f"No such object: {path}", "resource_missing"
            )
        answer = copy.deepcopy(found)
        for expansion in params.get("expand", {}).values():
            place = answer
            for name in expansion.split("."):
                if isinstance(place.get(name), str):
                    place[name] = copy.deepcopy(self.objects[place[name]])
                place = place.get(name) or {}
        return 200, answer

    def _make(self, kind: str, prefix: str, **fields: object) -> Object:
        made: Object = {
            "id": f"{prefix}_{next(self._numbers):06d}{kind.replace('.', '')}",
            "object": kind,
            "created": int(time.time()),
            "livemode": False,
            **fields,
        }
        self.objects[made["id"]] = made
        return made

    def tell(self, kind: str, found: Object) -> Object:
        """Make an event of what is true now."""
        event = {
            "id": f"evt_{next(self._numbers):06d}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "data": {"object": copy.deepcopy(found)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)
        return event

    # What the world does.

    def pay(self, session_id: str, *, later: bool = False) -> Object:
        """A buyer completes a session; `later` with a payment that takes days. The event."""
        session = self.objects[session_id]
        data = self.objects[f"intent of {session_id}"]
        intent = self._make(
            "payment_intent",
            "pi",
            amount=session["amount_total"],
            currency="usd",
            latest_charge=None,
            metadata=data.get("metadata", {}),
            status="processing",
        )
        session |= {"payment_intent": intent["id"], "status": "complete"}
        if not later:
            self._charge(session, intent)
        return self.tell("checkout.session.completed", session)

    def pay_at_last(self, session_id: str) -> Object:
        """A payment that took days has arrived. The event."""
        session = self.objects[session_id]
        self._charge(session, self.objects[session["payment_intent"]])
        return self.tell("checkout.session.async_payment_succeeded", session)

    def fail(self, session_id: str) -> Object:
        """A payment that took days has failed. The event."""
        return self.tell("checkout.session.async_payment_failed", self.objects[session_id])

    def expire(self, session_id: str) -> Object:
        """A session was left alone for a day. The event."""
        session = self.objects[session_id]
        session["status"] = "expired"
        return self.tell("checkout.session.expired", session)

    def _charge(self, session: Object, intent: Object) -> None:
        cents = intent["amount"]
        entry = self._entry(cents, fee_of(cents), "charge")
        charge = self._make(
            "charge",
            "ch",
            amount=cents,
            amount_refunded=0,
            balance_transaction=entry["id"],
            currency="usd",
            metadata=intent["metadata"],
            paid=True,
            payment_intent=intent["id"],
            refunded=False,
        )
        intent |= {"latest_charge": charge["id"], "status": "succeeded"}
        session["payment_status"] = "paid"
        self.tell("charge.succeeded", charge)

    def _entry(self, cents: int, fee: int, kind: str) -> Object:
        return self._make(
            "balance_transaction",
            "txn",
            amount=cents,
            currency="usd",
            fee=fee,
            net=cents - fee,
            type=kind,
        )

    def charge_of(self, session_id: str) -> Object:
        """The charge of a session that was paid."""
        intent = self.objects[self.objects[session_id]["payment_intent"]]
        found: Object = self.objects[intent["latest_charge"]]
        return found

    def refund(self, session_id: str, cents: int) -> Object:
        """The operator refunds a part of a payment, or all of it. The event."""
        charge = self.charge_of(session_id)
        charge["amount_refunded"] += cents
        assert charge["amount_refunded"] <= charge["amount"]
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        return self.tell("charge.refunded", charge)

    def dispute(self, session_id: str, *, inquiry: bool = False) -> Object:
        """A buyer's bank takes a payment back, or only asks about it. The event."""
        charge = self.charge_of(session_id)
        entries = []
        if not inquiry:
            entries = [self._entry(-charge["amount"], DISPUTE_FEE_CENTS, "adjustment")]
        dispute = self._make(
            "dispute",
            "du",
            amount=charge["amount"],
            balance_transactions=entries,
            charge=charge["id"],
            currency="usd",
            payment_intent=charge["payment_intent"],
            reason="fraudulent",
            status="warning_needs_response" if inquiry else "needs_response",
        )
        return self.tell("charge.dispute.created", dispute)

    def close(self, dispute_id: str, status: str) -> Object:
        """A dispute is `won`, `lost`, or an inquiry that came to nothing. The event."""
        dispute = self.objects[dispute_id]
        dispute["status"] = status
        if status == "won":
            dispute["balance_transactions"].append(
                self._entry(dispute["amount"], -DISPUTE_FEE_CENTS, "adjustment")
            )
        return self.tell("charge.dispute.closed", dispute)

    def payout(self, cents: int) -> Object:
        """Stripe pays out to the bank. The event."""
        payout = self._make("payout", "po", amount=cents, currency="usd", status="paid")
        return self.tell("payout.paid", payout)

    def fail_payout(self, payout_id: str) -> Object:
        """The bank sends a payout back. The event."""
        payout = self.objects[payout_id]
        payout["status"] = "failed"
        return self.tell("payout.failed", payout)


def failure(kind: str, message: str, code: str | None = None) -> Object:
    """An error's body."""
    error = {"type": kind, "message": message}
    return {"error": error if code is None else error | {"code": code}}


def nested(encoded: str) -> Object:
    """Parameters as Stripe reads them: `a[b][0]=c` is `{"a": {"b": {"0": "c"}}}`."""
    found: Object = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        first, *rest = re.findall(r"[^\[\]]+", name)
        place = found
        for step, following in zip([first, *rest], rest, strict=False):
            place = place.setdefault(step, {})
            assert following is not None
        place[rest[-1] if rest else first] = value
    return found


async def respond_in_part(send: Send, status: int, content: bytes) -> None:
    """Announce an answer and send only half of it."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    half = content[: len(content) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def sign(payload: bytes, secret: str, at: float | None = None) -> str:
    """The header `Stripe-Signature`: https://docs.stripe.com/webhooks#verify-manually."""
    seconds = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + payload, hashlib.sha256)
    return f"t={seconds},v1={digest.hexdigest()},v0={'0' * 64}"


class WebhookSender:
    """Delivers events to a marketplace as Stripe does: signed, at least once, in any order.

    Args:
        address: The marketplace.
        http: Sends them.
    """

    def __init__(self, address: str, http: httpx.AsyncClient) -> None:
        self._url = f"{address}/api/deposit/webhook"
        self._http = http

    async def send(
        self,
        event: Object | bytes,
        *,
        secret: str = WEBHOOK_SECRET,
        at: float | None = None,
        tamper: Callable[[bytes], bytes] = lambda payload: payload,
    ) -> httpx.Response:
        """Deliver one event once, as it is or as somebody else would."""
        payload = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
        signature = sign(payload, secret, at)
        return await self._http.post(
            self._url,
            content=tamper(payload),
            headers={"Stripe-Signature": signature, "Content-Type": "application/json"},
        )

    async def deliver(
        self, events: Sequence[Object], *, times: int = 1, shuffle: random.Random | None = None
    ) -> None:
        """Deliver events `times` over, all at once; `shuffle` orders them anew first."""
        deliveries = list(events) * times
        if shuffle is not None:
            shuffle.shuffle(deliveries)
        answers = await asyncio.gather(*(self.send(event) for event in deliveries))
        for answer in answers:
            assert (answer.status_code, answer.json()) == (200, {"received": True}), answer.text
