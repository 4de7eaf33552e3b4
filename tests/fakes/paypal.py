"""PayPal over real HTTP, from its public documentation: tokens, Payouts, Transaction Search.

Money moves: a payout leaves the account's balance and arrives at its receiver. It is accepted at
once and worked by `process`, since the real one is asynchronous. A `sender_batch_id` is taken once;
the refusal of a second has the body of the real sandbox, with the link to the first batch.
"""

import asyncio
import base64
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from openclaw_jobs.kit.clock import Clock, SystemClock
from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond

Json: TypeAlias = Any
Reply: TypeAlias = tuple[int, Json]

FEE_CENTS = 25
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass
class Batch:
    """A batch of one item."""

    batch_id: str
    sender_batch_id: str
    item: Json
    created_at: datetime
    cents: int
    batch_status: str = "PENDING"
    item_status: str = "PENDING"
    error: tuple[str, str] | None = None
    fee_cents: int = 0
    transaction_id: str = field(default="")


@dataclass
class PayPalServer(AsgiFake):
    """One business account with a balance; give it to `async with`."""

    clock: Clock = field(default_factory=SystemClock)
    client_id: str = "app"
    client_secret: str = "app-secret"
    balance_cents: int = 1_000_00
    registered: set[str] = field(default_factory=set)
    """E-mail addresses that have a PayPal account."""
    received: Counter[str] = field(default_factory=Counter)
    expires_in: int = 32_400
    tokens: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, Json]] = field(default_factory=list)
    delay_s: float = 0.0
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    """Answers to give before the real ones, by `METHOD /path`; nothing is done for them."""
    drop_before: set[str] = field(default_factory=set)
    drop_after: set[str] = field(default_factory=set)
    garble: set[str] = field(default_factory=set)
    report_allowed: bool = True

    def __post_init__(self) -> None:
        super().__init__()
        self.batches: dict[str, Batch] = {}
        self.report: list[Json] = []
        self._numbers = itertools.count(1)

    # The test's side

    def process(self) -> None:
        """Work what was accepted."""
        for batch in self.batches.values():
            if batch.batch_status == "PENDING":
                self._work(batch)

    def _work(self, batch: Batch) -> None:
        receiver = batch.item["receiver"]
        if batch.cents + FEE_CENTS > self.balance_cents:
            batch.batch_status, batch.item_status = "DENIED", "FAILED"
            batch.error = ("INSUFFICIENT_FUNDS", "Sender does not have sufficient funds.")
            return
        batch.batch_status, batch.fee_cents = "SUCCESS", FEE_CENTS
        batch.transaction_id = f"TX{next(self._numbers):015d}"
        self.balance_cents -= batch.cents + FEE_CENTS
        if receiver in self.registered:
            batch.item_status = "SUCCESS"
            self.received[receiver] += batch.cents
        else:
            batch.item_status = "UNCLAIMED"
            batch.error = ("RECEIVER_UNREGISTERED", "Receiver is unregistered.")
        pending = batch.item_status == "UNCLAIMED"
        self.record(batch, -batch.cents, -FEE_CENTS, "P" if pending else "S")

    def give_back(self, email: str, status: str = "RETURNED") -> None:
        """What the receiver did not claim, or sent back, is the account's again."""
        for batch in self.batches.values():
            if batch.item["receiver"] == email and batch.item_status in {"UNCLAIMED", "SUCCESS"}:
                if batch.item_status == "SUCCESS":
                    self.received[email] -= batch.cents
                batch.item_status = status
                self.balance_cents += batch.cents
                self.record(batch, batch.cents, 0, "S", code="T1115")

    def record(
        self, batch: Batch, cents: int, fee_cents: int, status: str, code: str = "T0001"
    ) -> None:
        info: Json = {
            "transaction_id": batch.transaction_id or "X",
            "transaction_event_code": code,
            "transaction_initiation_date": _time(self.clock.now()),
            "transaction_updated_date": _time(self.clock.now()),
            "transaction_amount": {"currency_code": "USD", "value": _dollars(cents)},
            "transaction_status": status,
            "custom_field": batch.item["sender_item_id"],
            "protection_eligibility": "02",
        }
        if fee_cents:
            info["fee_amount"] = {"currency_code": "USD", "value": _dollars(fee_cents)}
        self.report.append({"transaction_info": info})

    def revoke_tokens(self) -> None:
        self.tokens.clear()

    def calls(self, route: str) -> int:
        return sum(f"{method} {path}".startswith(route) for method, path, _ in self.requests)

    # PayPal's side

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await read_body(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        query = {k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}
        body = json.loads(raw) if raw and "json" in headers.get("content-type", "") else None
        self.requests.append((method, path, body))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        route = f"{method} {path}"
        if route in self.drop_before:
            self.drop(scope)
            return
        scripted = self.replies.get(route)
        if scripted:
            status, answer = scripted.pop(0)
        else:
            status, answer = self._answer(method, path, query, headers, body, raw)
        if route in self.drop_after:
            self.drop(scope)
            return
        sent = answer if isinstance(answer, str) else json.dumps(answer)
        encoded = sent.encode()
        if route in self.garble:
            encoded = encoded[: len(encoded) // 2]
        await respond(send, status, encoded)

    def _answer(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: Json,
        raw: bytes,
    ) -> Reply:
        if (method, path) == ("POST", "/v1/oauth2/token"):
            return self._give_token(headers.get("authorization", ""), raw)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return 401, {
                "error": "invalid_token",
                "error_description": "Token signature verification failed",
            }
        if (method, path) == ("POST", "/v1/payments/payouts"):
            return self._create(body)
        if (method, path) == ("GET", "/v1/reporting/transactions"):
            return self._report(query)
        if method == "GET" and path.startswith("/v1/payments/payouts/"):
            return self._show(path.rsplit("/", 1)[-1])
        return 404, error("RESOURCE_NOT_FOUND", "The specified resource does not exist.")

    def _give_token(self, authorization: str, raw: bytes) -> Reply:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if given != f"{self.client_id}:{self.client_secret}":
            return 401, {
                "error": "invalid_client",
                "error_description": "Client Authentication failed",
            }
        assert raw == b"grant_type=client_credentials"
        token = f"A21AA{next(self._numbers)}"
        self.tokens.add(token)
        return 200, {
            "scope": "https://uri.paypal.com/payments/payouts",
            "access_token": token,
            "token_type": "Bearer",
            "app_id": "APP-80W284485P519543T",
            "expires_in": self.expires_in,
            "nonce": "2026-01-01T00:00:00Z",
        }

    def _create(self, body: Json) -> Reply:
        name = body["sender_batch_header"]["sender_batch_id"]
        (item,) = body["items"]
        if not _EMAIL.fullmatch(item["receiver"]):
            issue = "Receiver is invalid or does not match with type"
            return 400, error(
                "VALIDATION_ERROR",
                "Invalid request - see details",
                [{"field": "items[0].receiver", "location": "body", "issue": issue}],
            )
        now = self.clock.now()
        for batch in self.batches.values():
            known = now - batch.created_at < timedelta(days=30)
            if batch.sender_batch_id == name and known:
                return 400, duplicate(self.url, batch.batch_id)
        cents = int(Decimal(item["amount"]["value"]).scaleb(2))
        assert item["amount"]["currency"] == "USD"
        if cents + FEE_CENTS > self.balance_cents:
            return 422, error(
                "INSUFFICIENT_FUNDS", "Sender does not have sufficient funds. Please add funds."
            )
        batch_id = f"BATCH{next(self._numbers):08d}"
        self.batches[batch_id] = Batch(batch_id, name, item, now, cents)
        header = {
            "payout_batch_id": batch_id,
            "batch_status": "PENDING",
            "sender_batch_header": body["sender_batch_header"],
        }
        return 201, {"batch_header": header, "links": [_link(self.url, batch_id)]}

    def _show(self, batch_id: str) -> Reply:
        batch = self.batches.get(batch_id)
        if batch is None:
            return 404, error("RESOURCE_NOT_FOUND", "The specified resource does not exist.")
        item: Json = {
            "payout_item_id": f"ITEM{batch.batch_id[5:]}",
            "transaction_id": batch.transaction_id,
            "transaction_status": batch.item_status,
            "payout_item_fee": {"currency": "USD", "value": _dollars(batch.fee_cents)},
            "payout_batch_id": batch_id,
            "payout_item": batch.item,
            "time_processed": _time(self.clock.now()),
        }
        if batch.error:
            item["errors"] = error(*batch.error)
        header = {
            "payout_batch_id": batch_id,
            "batch_status": batch.batch_status,
            "time_created": _time(batch.created_at),
            "sender_batch_header": {"sender_batch_id": batch.sender_batch_id},
            "amount": {"currency": "USD", "value": _dollars(batch.cents)},
            "fees": {"currency": "USD", "value": _dollars(batch.fee_cents)},
        }
        # A batch that waits has no item to show yet.
        items = [] if batch.batch_status == "PENDING" else [item]
        return 200, {"batch_header": header, "items": items, "links": [_link(self.url, batch_id)]}

    def _report(self, query: dict[str, str]) -> Reply:
        if not self.report_allowed:
            return 403, error("NOT_AUTHORIZED", "Authorization failed: insufficient permissions.")
        start = datetime.fromisoformat(query["start_date"])
        end = datetime.fromisoformat(query["end_date"])
        if end - start > timedelta(days=31):
            return 400, error("INVALID_REQUEST", "Date range is greater than 31 days")
        size, page = int(query["page_size"]), int(query["page"])
        found = [
            row
            for row in self.report
            if start
            <= datetime.fromisoformat(row["transaction_info"]["transaction_initiation_date"])
            <= end
        ]
        return 200, {
            "transaction_details": found[(page - 1) * size : page * size],
            "page": page,
            "total_items": len(found),
            "total_pages": -(-len(found) // size),
        }


def error(name: str, message: str, details: Json = None) -> Json:
    return {
        "name": name,
        "message": message,
        "debug_id": "ca787bdf80d7a",
        "information_link": "https://developer.paypal.com/docs/api/payments.payouts-batch/#errors",
        "details": details or [],
        "links": [],
    }


def duplicate(url: str, batch_id: str) -> Json:
    detail = {
        "field": "SENDER_BATCH_ID",
        "location": "body",
        "issue": "Batch with given sender_batch_id already exists",
        "link": [_link(url, batch_id)],
    }
    return error("USER_BUSINESS_ERROR", "User business error.", [detail])


def _link(url: str, batch_id: str) -> Json:
    href = f"{url}/v1/payments/payouts/{batch_id}"
    return {"href": href, "rel": "self", "method": "GET", "encType": "application/json"}


def _dollars(cents: int) -> str:
    return str(Decimal(cents).scaleb(-2))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
