"""Payouts in USDC on Solana.

A payment is signed once, in `prepare`, and stored before it is sent; after that only those bytes
are ever sent, and the chain takes a signature once. They name a recent block and can land for about
a minute; when that is over, and the chain's final part doesn't hold them, they never will, and only
then is the attempt failed and another one safe.
"""

import asyncio
import base64
from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import httpx
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from openclaw_jobs.ledger import Account, Rail
from openclaw_jobs.payments.providers import solana_rules as rules
from openclaw_jobs.payments.providers.base import (
    Failed,
    Outcome,
    PayoutOrder,
    Prepared,
    ProviderName,
    ProviderUnavailable,
    RailRecord,
    Sent,
    Unknown,
)
from openclaw_jobs.payments.providers.solana_rpc import (
    METHOD_NOT_FOUND,
    AccountInfo,
    Block,
    Blockhash,
    Epoch,
    Landed,
    Rpc,
    RpcError,
    RpcRefused,
    Signed,
    Status,
    WithContext,
)

__all__ = ["Solana", "read_keypair", "read_mint"]

_CONFIRMED: Final = "confirmed"
_FINALIZED: Final = "finalized"
_MARGIN_BLOCKS: Final = 150
"""How far the final part of the chain must be past the last valid block, for nodes that lag."""
_VALIDITY_BLOCKS: Final = 150
"""How many blocks a block's hash may be named for; the chain's own number."""
_PAGE: Final = 1000
_AT_ONCE: Final = 4
"""Requests at a time for history; public nodes allow few."""

T = TypeVar("T")


def read_keypair(setting: str) -> Keypair:
    """The key named by `SOLANA_KEYPAIR`: a JSON array, base58, or a file that holds either.

    Raises:
        KeypairError: None of them.
    """
    try:
        return rules.keypair_from(setting)
    except rules.KeypairError:
        path = Path(setting).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            # Not the setting itself: a key with a typing mistake would be shown.
            message = "SOLANA_KEYPAIR is neither a keypair nor a file that can be read"
            raise rules.KeypairError(message) from None
        return rules.keypair_from(text)


def read_mint(setting: str | None) -> Pubkey | None:
    """The token named by `SOLANA_USDC_MINT`; None leaves it to the chain.

    Raises:
        ValueError: No address.
    """
    try:
        return None if setting is None else Pubkey.from_string(setting)
    except ValueError:
        raise ValueError("SOLANA_USDC_MINT is no address on Solana") from None


class Solana:
    """The rail.

    Args:
        rpc_url: A node's JSON-RPC address. Prefer one node, or a provider that answers as one, to
            a balancer over nodes of different age: "not found" must mean not there.
        keypair: The wallet that holds the USDC, and SOL for fees and for recipients' accounts.
        mint: The token; by default Circle's USDC of the chain that the node belongs to.
        http: The client to ask through; one with sensible time-outs by default.
    """

    name: ProviderName = "solana"
    rail: Rail = Account.USDC_SOL

    def __init__(
        self,
        rpc_url: str,
        keypair: Keypair,
        *,
        mint: Pubkey | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient(timeout=httpx.Timeout(20.0, connect=5.0))
        self._rpc = Rpc(rpc_url, self._http)
        self._keypair = keypair
        self._own = keypair.pubkey()
        self._token = mint

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def prepare(self, order: PayoutOrder) -> Prepared:
        """Sign the payment. Signs nothing for an address that can't be paid: `send` says so.

        Raises:
            ProviderUnavailable: No node, or too little USDC or SOL in the paying wallet. Nothing
                is signed, so the payout may simply wait.
        """
        recipient = rules.wallet(order.address)
        if recipient is None or recipient == self._own:
            return Prepared()
        mint = await self._available(self._mint())
        accounts = await self._accounts(
            self._own,
            rules.token_account(self._own, mint),
            recipient,
            rules.token_account(recipient, mint),
            mint,
        )
        paying, held, receiving, receiving_token, token = accounts
        if not rules.is_usdc_like(token):
            raise ProviderUnavailable(f"{mint} is no mint with {rules.DECIMALS} decimals here")
        if receiving is not None and receiving.owner != str(rules.SYSTEM_PROGRAM):
            return Prepared()
        await self._check_funds(order, paying, held, new_account=receiving_token is None)
        latest = await self._available(
            self._rpc.call(WithContext[Blockhash], "getLatestBlockhash", {"commitment": _CONFIRMED})
        )
        signed = rules.sign_payment(
            order,
            payer=self._keypair,
            recipient=recipient,
            mint=mint,
            blockhash=latest.value.blockhash,
        )
        return Prepared(
            reference=str(signed.signatures[0]),
            signed=bytes(signed),
            valid_until=latest.value.last_valid_block_height,
        )

    async def send(self, order: PayoutOrder) -> Outcome:
        """Give the signed bytes to the chain.

        A refusal is no failure: an earlier call may have sent the same bytes, and they can land
        until they expire. `check` decides.
        """
        if order.signed is None:
            return Failed(f"{order.address} is not a wallet that USDC can be sent to")
        signature = _signature(order)
        try:
            accepted = await self._rpc.call(
                str,
                "sendTransaction",
                base64.b64encode(order.signed).decode("ascii"),
                {"encoding": "base64", "preflightCommitment": _CONFIRMED},
            )
        except RpcError as error:
            if isinstance(error, RpcRefused) and "AlreadyProcessed" in repr(error.data):
                return Sent(signature)
            return Unknown(str(error))
        if accepted != signature:
            return Unknown(f"the node calls {signature} {accepted}")
        return Sent(signature)

    async def check(self, order: PayoutOrder) -> Outcome:
        """What the chain says; sends the same bytes again while they may still land.

        The fee is 0: the chain's own is paid in SOL, and no part of a rail in US cents.
        """
        if order.signed is None and order.reference is None:
            return Failed(f"{order.address}: nothing was signed, so nothing can have been sent")
        signature = _signature(order)
        try:
            # In this order: what landed up to a final height is seen by a later question.
            final = await self._rpc.call(Epoch, "getEpochInfo", {"commitment": _FINALIZED})
            found = await self._rpc.call(
                WithContext[list[Status | None]],
                "getSignatureStatuses",
                [signature],
                {"searchTransactionHistory": True},
            )
            status = found.value[0] if len(found.value) == 1 else None
            if status is None:
                return await self._check_missing(order, final, found)
        except (RpcError, ProviderUnavailable) as error:
            return Unknown(str(error))
        return rules.outcome_of(signature, status)

    async def records(self, since: datetime, until: datetime) -> list[RailRecord]:
        """All that moved the paying wallet's USDC in [since, until), oldest first.

        Raises:
            ProviderUnavailable: No node, or one that doesn't know its own history.
        """
        mint = await self._available(self._mint())
        entries = await self._available(
            self._history(rules.token_account(self._own, mint), since, until)
        )
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(entry: Signed) -> RailRecord | None:
            async with limit:
                landed = await self._rpc.call(
                    Landed | None,  # type: ignore[arg-type]
                    "getTransaction",
                    entry.signature,
                    {
                        "encoding": "jsonParsed",
                        "commitment": _FINALIZED,
                        "maxSupportedTransactionVersion": 0,
                    },
                )
            if landed is None:
                raise ProviderUnavailable(f"the node has lost {entry.signature}")
            return rules.record_of(entry, landed, owner=self._own, mint=mint)

        try:
            found = await self._available(_together([read(entry) for entry in entries]))
        except ValueError as error:
            raise ProviderUnavailable(str(error)) from None
        return [record for record in reversed(found) if record is not None]

    async def _check_missing(
        self, order: PayoutOrder, final: Epoch, asked: WithContext[list[Status | None]]
    ) -> Outcome:
        """What became of a transaction that the node doesn't find."""
        until = order.valid_until
        if until is not None and final.block_height <= until:
            return await self.send(order)
        doubt = await self._doubt(order, until, final, asked)
        return Unknown(doubt) if doubt else Failed("expired: it never landed, and no longer can")

    async def _doubt(
        self,
        order: PayoutOrder,
        until: int | None,
        final: Epoch,
        asked: WithContext[list[Status | None]],
    ) -> str | None:
        """Why "not found" and a past deadline don't yet mean that it never landed."""
        if until is None:
            return "not on the chain, and nobody knows until when it could land"
        if final.block_height <= until + _MARGIN_BLOCKS:
            return "expired, and a little longer is waited to be sure of it"
        if asked.value != [None] or asked.context.slot < final.absolute_slot:
            return "the node that was asked is behind the chain"
        if order.signed is not None and not rules.names_account(order.signed, await self._mint()):
            # The same wallet on another chain: what isn't found here may well be there.
            return "signed for another token or chain than SOLANA_RPC_URL is of"
        if not await self._remembers(until):
            return "the node's history doesn't reach back to when it could land"
        return None

    async def _remembers(self, valid_until: int) -> bool:
        """Whether the node still holds every block that the transaction could be in."""
        try:
            first = await self._rpc.call(int, "getFirstAvailableBlock")
            block = await self._rpc.call(
                Block,
                "getBlock",
                first,
                {
                    "transactionDetails": "none",
                    "rewards": False,
                    "maxSupportedTransactionVersion": 0,
                },
            )
        except RpcRefused as error:
            if error.code == METHOD_NOT_FOUND:
                return False
            raise
        height = block.block_height
        return first == 0 or (height is not None and height <= valid_until - _VALIDITY_BLOCKS)

    async def _history(self, account: Pubkey, since: datetime, until: datetime) -> list[Signed]:
        """Its transactions of that time, newest first."""
        found: list[Signed] = []
        options: dict[str, object] = {"limit": _PAGE, "commitment": _FINALIZED}
        while True:
            page = await self._rpc.call(
                list[Signed], "getSignaturesForAddress", str(account), options
            )
            for entry in page:
                # One without a time is kept: it is asked for itself, which tells or fails loudly.
                at = entry.block_time
                if at is not None and at < since.timestamp():
                    return found
                if entry.err is None and (at is None or at < until.timestamp()):
                    found.append(entry)
            if len(page) < _PAGE:
                return found
            options["before"] = page[-1].signature

    async def _check_funds(
        self,
        order: PayoutOrder,
        paying: AccountInfo | None,
        held: AccountInfo | None,
        *,
        new_account: bool,
    ) -> None:
        have = rules.held_base_units(held)
        if have < rules.to_base_units(order.amount_cents):
            cents = have // rules.BASE_UNITS_PER_CENT
            raise ProviderUnavailable(
                f"{self._own} holds {cents} cents of USDC, {order.amount_cents} are to be paid"
            )
        needed = rules.MAX_FEE_LAMPORTS + rules.RENT_FREE_LAMPORTS
        if new_account:
            needed += await self._available(
                self._rpc.call(int, "getMinimumBalanceForRentExemption", rules.ACCOUNT_BYTES)
            )
        lamports = 0 if paying is None else paying.lamports
        if lamports < needed:
            raise ProviderUnavailable(
                f"{self._own} has {lamports} lamports of SOL, fees and rent need {needed}"
            )

    async def _accounts(self, *addresses: Pubkey) -> list[AccountInfo | None]:
        found = await self._available(
            self._rpc.call(
                WithContext[list[AccountInfo | None]],
                "getMultipleAccounts",
                [str(address) for address in addresses],
                {"encoding": "base64", "commitment": _CONFIRMED},
            )
        )
        if len(found.value) != len(addresses):
            raise ProviderUnavailable("the node doesn't answer for each account")
        return found.value

    async def _mint(self) -> Pubkey:
        """The token that is paid in, found out by the chain unless it was given."""
        if self._token is None:
            genesis = await self._rpc.call(str, "getGenesisHash")
            self._token = rules.USDC_BY_GENESIS.get(genesis)
            if self._token is None:
                raise ProviderUnavailable(
                    "SOLANA_RPC_URL is of neither mainnet nor devnet: set SOLANA_USDC_MINT"
                )
        return self._token

    async def _available(self, asking: Awaitable[T]) -> T:
        """Where nothing has been done yet, a node that doesn't answer is a rail that is away."""
        try:
            return await asking
        except RpcError as error:
            raise ProviderUnavailable(str(error)) from None


async def _together(asked: list[Awaitable[T]]) -> list[T]:
    """All answers; the first failure ends the others."""
    pending = [asyncio.ensure_future(one) for one in asked]
    try:
        return list(await asyncio.gather(*pending))
    finally:
        for one in pending:
            one.cancel()


def _signature(order: PayoutOrder) -> str:
    """The signature is the name of a transaction; it is in the bytes, should it not be stored."""
    if order.signed is not None:
        return str(VersionedTransaction.from_bytes(order.signed).signatures[0])
    if order.reference is None:
        raise ValueError("an order that was never signed has no signature")
    return order.reference
