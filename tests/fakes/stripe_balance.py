"""The balance of our own Stripe: every movement with what it is about, listed page by page.

https://docs.stripe.com/api/balance_transactions/list
"""

import copy
from typing import Any

from tests.fakes.stripe import Object, StripeFake, failure


class StripeBooks(StripeFake):
    """A Stripe that lists its balance transactions.

    Attributes:
        page: The most entries of a page; less than Stripe's own, so that a few make several.
    """

    page = 2

    def _entry(self, cents: int, fee: int, kind: str) -> Object:
        return super()._entry(cents, fee, kind) | self._sourced(None)

    @staticmethod
    def _sourced(source: Object | None) -> Object:
        return {"source": None if source is None else source["id"]}

    def refund(self, session_id: str, cents: int) -> Object:
        told = super().refund(session_id, cents)
        charge = self.charge_of(session_id)
        refund = self._make("refund", "re", amount=cents, charge=charge["id"])
        self._move(-cents, "refund", refund)
        return told

    def payout(self, cents: int) -> Object:
        told = super().payout(cents)
        self._move(-cents, "payout", told["data"]["object"])
        return told

    def fail_payout(self, payout_id: str) -> Object:
        told = super().fail_payout(payout_id)
        self._move(told["data"]["object"]["amount"], "payout_failure", told["data"]["object"])
        return told

    def take(self, cents: int) -> None:
        """Stripe takes a fee that is about nothing that we know."""
        self._move(-cents, "stripe_fee", None)

    def _move(self, cents: int, kind: str, source: Object | None) -> None:
        entry = self._entry(cents, 0, kind)
        self.objects[entry["id"]] |= self._sourced(source)

    def _source_of(self, entry: Object) -> Object | None:
        for found in self.objects.values():
            if found["object"] == "charge" and found["balance_transaction"] == entry["id"]:
                return found
            if found["object"] == "dispute" and any(
                entry["id"] == part["id"] for part in found["balance_transactions"]
            ):
                return found
        source = self.objects[entry["id"]].get("source")
        return None if source is None else self.objects[source]

    def _read(self, path: str, params: Object) -> tuple[int, Object]:
        if path != "/v1/balance_transactions":
            return super()._read(path, params)
        if params.get("expand") != {"0": "data.source"}:
            return 400, failure("invalid_request_error", "This fake lists with sources only")
        created: dict[str, Any] = params["created"]
        entries = [
            entry
            for entry in reversed(self.all_of("balance_transaction"))
            if int(created["gte"]) <= entry["created"] < int(created["lt"])
        ]
        after = params.get("starting_after")
        if after is not None:
            ids = [entry["id"] for entry in entries]
            entries = entries[ids.index(after) + 1 :]
        size = min(self.page, int(params["limit"]))
        shown = [
            copy.deepcopy(e) | {"source": copy.deepcopy(self._source_of(e))} for e in entries[:size]
        ]
        return 200, {
            "object": "list",
            "url": path,
            "has_more": len(entries) > size,
            "data": shown,
        }
