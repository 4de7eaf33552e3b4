"""A Solana node in front of the chain of `solana_chain`: JSON-RPC over real HTTP.

On request it drops connections, answers in half, loses or holds transactions, lags, forgets its
history, and goes away.
"""

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.token import ID as TOKEN_PROGRAM
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from tests.fakes.asgi import AsgiFake, Receive, Scope, Send, read_body, respond
from tests.fakes.solana_chain import FINALITY, START, VALIDITY, LandedTx, SolanaChain, error_of

Json: TypeAlias = Any

_SLOTS_SKIPPED: Final = 1000
"""How far slots are ahead of block heights, as on a chain that has skipped some."""
_SECONDS_PER_BLOCK: Final = 0.4
_EPOCH_S: Final = 1_790_000_000


class Refuse(Exception):  # noqa: N818 - a JSON-RPC error to answer with
    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message, "data": data}


@dataclass
class SolanaNode(AsgiFake):
    """The only node of a chain; give it to `async with`."""

    genesis: str = str(Hash.hash(b"the chain of a test"))
    first_height: int = 0
    requests: list[tuple[str, Json]] = field(default_factory=list)
    delay_s: float = 0.0
    away: bool = False
    fail_on: set[str] = field(default_factory=set)
    """Methods that are answered with HTTP 503."""
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Methods that are answered with a JSON-RPC error."""
    drop_before: set[str] = field(default_factory=set)
    drop_after: set[str] = field(default_factory=set)
    garble: set[str] = field(default_factory=set)
    lose: bool = False
    """Transactions are accepted and never land."""
    hold: bool = False
    """Transactions are accepted and land when they are released."""
    lag_slots: int = 0
    """How far behind the node is that answers for signatures."""

    def __post_init__(self) -> None:
        super().__init__()
        self.chain = SolanaChain()
        self.held: list[VersionedTransaction] = []

    # The test's side

    def release(self) -> None:
        """Let what was held land, if it still can."""
        held, self.held = self.held, []
        for transaction in held:
            if self.chain.is_valid(transaction):
                self.chain.land(transaction)

    def calls(self, method: str) -> int:
        return sum(name == method for name, _ in self.requests)

    # The node's side

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = json.loads(await read_body(receive))
        method, params = asked["method"], asked.get("params", [])
        self.requests.append((method, params))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if method in self.drop_before:
            self.drop(scope)
            return
        if self.away or method in self.fail_on:
            await respond(send, 503, b"<html>upstream</html>", {"content-type": "text/html"})
            return
        answer: dict[str, Json] = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            answer["result"] = self._answer(method, params)
        except Refuse as refused:
            answer["error"] = refused.body
        if method in self.drop_after:
            self.drop(scope)
            return
        body = json.dumps(answer).encode()
        await respond(send, 200, body[: len(body) // 2] if method in self.garble else body)

    def _answer(self, method: str, params: list[Json]) -> Json:
        if method in self.refuse:
            raise Refuse(*self.refuse[method])
        handler = getattr(self, f"rpc_{method}", None)
        if handler is None:
            raise Refuse(-32601, "Method not found")
        return handler(*params)

    def _at(self, options: Json) -> int:
        commitment = (options or {}).get("commitment", "finalized")
        behind = {"processed": 0, "confirmed": 1, "finalized": FINALITY}[commitment]
        return self.chain.height - behind

    def _context(self, value: Json, lag: int = 0) -> Json:
        return {
            "context": {"slot": self.chain.height + _SLOTS_SKIPPED - lag, "apiVersion": "3.1.8"},
            "value": value,
        }

    def rpc_getGenesisHash(self) -> Json:  # noqa: N802 - the method's own name
        return self.genesis

    def rpc_getEpochInfo(self, options: Json = None) -> Json:  # noqa: N802
        height = self._at(options)
        return {
            "absoluteSlot": height + _SLOTS_SKIPPED,
            "blockHeight": height,
            "epoch": 2,
            "slotIndex": 17,
            "slotsInEpoch": 432_000,
            "transactionCount": len(self.chain.landed),
        }

    def rpc_getLatestBlockhash(self, _options: Json = None) -> Json:  # noqa: N802
        latest = self.chain.latest_hash
        return self._context(
            {"blockhash": latest, "lastValidBlockHeight": self.chain.hashes[latest]}
        )

    def rpc_getMultipleAccounts(self, keys: list[str], _options: Json = None) -> Json:  # noqa: N802
        return self._context(
            [_account(self.chain.svm.get_account(Pubkey.from_string(key))) for key in keys]
        )

    def rpc_getMinimumBalanceForRentExemption(self, size: int) -> Json:  # noqa: N802
        return self.chain.svm.minimum_balance_for_rent_exemption(size)

    def rpc_sendTransaction(self, encoded: str, options: Json) -> Json:  # noqa: N802
        assert options["encoding"] == "base64"
        transaction = VersionedTransaction.from_bytes(base64.b64decode(encoded))
        signature = str(transaction.signatures[0])
        if signature in self.chain.landed:
            raise _preflight("This transaction has already been processed", "AlreadyProcessed")
        if not self.chain.is_valid(transaction):
            raise _preflight("Blockhash not found", "BlockhashNotFound")
        simulated = self.chain.svm.simulate_transaction(transaction)
        if isinstance(simulated, FailedTransactionMetadata):
            err = error_of(simulated.err())
            raise _preflight(f"custom program error: {err}", err)
        if self.hold:
            self.held.append(transaction)
        elif not self.lose:
            self.chain.land(transaction)
        return signature

    def rpc_getSignatureStatuses(self, signatures: list[str], options: Json = None) -> Json:  # noqa: N802
        deep = bool((options or {}).get("searchTransactionHistory"))
        return self._context([self._status(one, deep) for one in signatures], self.lag_slots)

    def _status(self, signature: str, deep: bool) -> Json:  # noqa: FBT001
        landed = self._seen(signature)
        if landed is None or (not deep and self.chain.height - landed.height > VALIDITY):
            return None
        depth = self.chain.height - landed.height
        final = depth >= FINALITY
        return {
            "slot": landed.height + _SLOTS_SKIPPED,
            "confirmations": None if final else depth,
            "err": landed.err,
            "status": {"Ok": None} if landed.err is None else {"Err": landed.err},
            "confirmationStatus": "finalized" if final else "confirmed" if depth else "processed",
        }

    def _seen(self, signature: str) -> LandedTx | None:
        landed = self.chain.landed.get(signature)
        return None if landed is None or landed.height < self.first_height else landed

    def rpc_getFirstAvailableBlock(self) -> Json:  # noqa: N802
        return self.first_height + _SLOTS_SKIPPED if self.first_height else 0

    def rpc_getBlock(self, slot: int, _options: Json = None) -> Json:  # noqa: N802
        if slot == 0:
            return {"blockHeight": 0, "blockhash": self.genesis, "parentSlot": 0}
        return {"blockHeight": slot - _SLOTS_SKIPPED, "blockhash": "x", "parentSlot": slot - 1}

    def rpc_getSignaturesForAddress(self, address: str, options: Json = None) -> Json:  # noqa: N802
        options = options or {}
        key, limit = Pubkey.from_string(address), options.get("limit", 1000)
        newest = [
            {
                "signature": signature,
                "slot": landed.height + _SLOTS_SKIPPED,
                "err": landed.err,
                "memo": landed.memo,
                "blockTime": _block_time(landed.height),
                "confirmationStatus": "finalized",
            }
            for signature, landed in reversed(self.chain.landed.items())
            if key in landed.transaction.message.account_keys
            and self.first_height <= landed.height <= self._at(options)
        ]
        names = [entry["signature"] for entry in newest]
        start = names.index(options["before"]) + 1 if "before" in options else 0
        return newest[start : start + limit]

    def rpc_getTransaction(self, signature: str, options: Json = None) -> Json:  # noqa: N802
        landed = self._seen(signature)
        if landed is None or landed.height > self._at(options):
            return None
        keys = landed.transaction.message.account_keys
        return {
            "slot": landed.height + _SLOTS_SKIPPED,
            "blockTime": _block_time(landed.height),
            "meta": {
                "err": landed.err,
                "fee": landed.fee,
                "preTokenBalances": self._balances(keys, landed.before),
                "postTokenBalances": self._balances(keys, landed.after),
            },
            "transaction": {"signatures": [signature]},
            "version": "legacy",
        }

    def _balances(self, keys: list[Pubkey], amounts: dict[Pubkey, int]) -> Json:
        found = []
        for index, key in enumerate(keys):
            token = self.chain.token(key)
            if token is not None and key in amounts:
                amount = {"amount": str(amounts[key]), "decimals": 6, "uiAmountString": "?"}
                owner, mint = str(token.owner), str(token.mint)
                found.append(
                    {
                        "accountIndex": index,
                        "mint": mint,
                        "owner": owner,
                        "programId": str(TOKEN_PROGRAM),
                        "uiTokenAmount": amount,
                    }
                )
        return found


def _block_time(height: int) -> int:
    return _EPOCH_S + int((height - START) * _SECONDS_PER_BLOCK)


def _preflight(message: str, err: Json) -> Refuse:
    return Refuse(
        -32002,
        f"Transaction simulation failed: {message}",
        {"accounts": None, "err": err, "logs": [], "unitsConsumed": 0},
    )


def _account(info: Account | None) -> Json:
    if info is None:
        return None
    return {
        "lamports": info.lamports,
        "owner": str(info.owner),
        "data": [base64.b64encode(info.data).decode(), "base64"],
        "executable": info.executable,
        "rentEpoch": info.rent_epoch,
        "space": len(info.data),
    }
