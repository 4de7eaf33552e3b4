"""How a USDC payment on Solana is made and read. Pure: no network, no clock.

Layouts of the instructions: the SPL Token, Associated Token Account and Memo programs.
"""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Final

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.token import ID as TOKEN_PROGRAM
from solders.token.associated import get_associated_token_address
from solders.token.state import Mint, TokenAccount
from solders.transaction import VersionedTransaction

from openclaw_jobs.payments.providers.base import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    RailRecord,
    Sent,
)
from openclaw_jobs.payments.providers.solana_rpc import (
    AccountInfo,
    Landed,
    Signed,
    Status,
    TokenBalance,
)

__all__ = [
    "ACCOUNT_BYTES",
    "DECIMALS",
    "MAX_FEE_LAMPORTS",
    "RENT_FREE_LAMPORTS",
    "SYSTEM_PROGRAM",
    "TOKEN_PROGRAM",
    "USDC_BY_GENESIS",
    "KeypairError",
    "create_token_account",
    "held_base_units",
    "is_usdc_like",
    "keypair_from",
    "memo_of",
    "memo_text",
    "names_account",
    "outcome_of",
    "record_of",
    "sign_payment",
    "to_base_units",
    "token_account",
    "wallet",
]

DECIMALS: Final = 6
"""Of USDC; a mint with others is refused."""

BASE_UNITS_PER_CENT: Final = 10 ** (DECIMALS - 2)

USDC_BY_GENESIS: Final = {
    # mainnet-beta
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": Pubkey.from_string(
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    ),
    # devnet
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": Pubkey.from_string(
        "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
    ),
}
"""Circle's USDC by the chain's genesis hash, so that a node's address alone chooses it."""

ACCOUNT_BYTES: Final = 165
"""The size of a token account; a new one costs the rent of that many bytes."""

RENT_FREE_LAMPORTS: Final = 890_880
"""What a wallet must keep; a fee that would take it below is refused by the chain."""

_UNIT_LIMIT: Final = 120_000
"""Creating an account, the transfer and the memo take about 60,000."""
_UNIT_PRICE_MICRO_LAMPORTS: Final = 50_000
"""A priority fee of 6,000 lamports, without which a busy chain drops what is cheap."""
MAX_FEE_LAMPORTS: Final = 5_000 + _UNIT_LIMIT * _UNIT_PRICE_MICRO_LAMPORTS // 1_000_000
"""One signature and the priority fee."""

_ASSOCIATED_PROGRAM: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
_MEMO_PROGRAM: Final = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
_CREATE_IDEMPOTENT: Final = b"\x01"
_TRANSFER_CHECKED: Final = 12
_MEMO_IN_HISTORY: Final = re.compile(r"\[\d+\] ?(.*)", re.DOTALL)


class KeypairError(ValueError):
    """`SOLANA_KEYPAIR` can't be used; the message says why, and shows nothing of it."""


def keypair_from(text: str) -> Keypair:
    """The key that pays, from what `solana-keygen` writes (64 numbers in JSON) or base58.

    Raises:
        KeypairError: It is neither.
    """
    text = text.strip()
    try:
        if text.startswith("["):
            return Keypair.from_bytes(bytes(json.loads(text)))
        return Keypair.from_base58_string(text)
    except (ValueError, TypeError):
        message = "a Solana keypair is 64 bytes: a JSON array of numbers, or base58"
        raise KeypairError(message) from None


def wallet(address: str) -> Pubkey | None:
    """The wallet at an address; None when it is not one.

    An address off the curve belongs to a program (a token account, a vault): no key signs for it,
    so money sent to a token account of its own would be lost.
    """
    try:
        key = Pubkey.from_string(address)
    except ValueError:
        return None
    return key if key.is_on_curve() else None


def to_base_units(cents: int) -> int:
    """US cents as the smallest units of USDC."""
    return cents * BASE_UNITS_PER_CENT


def token_account(owner: Pubkey, mint: Pubkey) -> Pubkey:
    """Where a wallet's USDC is kept."""
    return get_associated_token_address(owner, mint)


def create_token_account(payer: Pubkey, owner: Pubkey, mint: Pubkey) -> Instruction:
    """Make the account if it isn't there; refuses one that belongs to somebody else."""
    return Instruction(
        _ASSOCIATED_PROGRAM,
        _CREATE_IDEMPOTENT,
        [
            AccountMeta(payer, is_signer=True, is_writable=True),
            AccountMeta(token_account(owner, mint), is_signer=False, is_writable=True),
            AccountMeta(owner, is_signer=False, is_writable=False),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
            AccountMeta(TOKEN_PROGRAM, is_signer=False, is_writable=False),
        ],
    )


def _transfer(payer: Pubkey, recipient: Pubkey, mint: Pubkey, base_units: int) -> Instruction:
    data = bytes([_TRANSFER_CHECKED]) + base_units.to_bytes(8, "little") + bytes([DECIMALS])
    return Instruction(
        TOKEN_PROGRAM,
        data,
        [
            AccountMeta(token_account(payer, mint), is_signer=False, is_writable=True),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(token_account(recipient, mint), is_signer=False, is_writable=True),
            AccountMeta(payer, is_signer=True, is_writable=False),
        ],
    )


def memo_of(order: PayoutOrder) -> str:
    """What the transaction says about itself: the payout, and last the attempt's key."""
    return order.key if order.payout_id in order.key else f"{order.payout_id} {order.key}"


def sign_payment(
    order: PayoutOrder, *, payer: Keypair, recipient: Pubkey, mint: Pubkey, blockhash: str
) -> VersionedTransaction:
    """The whole payment as one signed transaction: it lands as a whole or not at all."""
    own = payer.pubkey()
    instructions = [
        set_compute_unit_limit(_UNIT_LIMIT),
        set_compute_unit_price(_UNIT_PRICE_MICRO_LAMPORTS),
        create_token_account(own, recipient, mint),
        _transfer(own, recipient, mint, to_base_units(order.amount_cents)),
        Instruction(_MEMO_PROGRAM, memo_of(order).encode(), []),
    ]
    message = Message.new_with_blockhash(instructions, own, Hash.from_string(blockhash))
    return VersionedTransaction(message, [payer])


def names_account(signed: bytes, account: Pubkey) -> bool:
    """Whether a signed transaction touches `account`.

    Raises:
        ValueError: The bytes are no transaction.
    """
    return account in VersionedTransaction.from_bytes(signed).message.account_keys


def is_usdc_like(info: AccountInfo | None) -> bool:
    """Whether an account is a mint of the SPL Token program with USDC's decimals."""
    data = _data(info, TOKEN_PROGRAM)
    if data is None:
        return False
    try:
        return Mint.from_bytes(data).decimals == DECIMALS
    except ValueError:
        return False


def held_base_units(info: AccountInfo | None) -> int:
    """How much a token account holds; nothing if there is none."""
    data = _data(info, TOKEN_PROGRAM)
    if data is None or len(data) != ACCOUNT_BYTES:
        return 0
    return TokenAccount.from_bytes(data).amount


def _data(info: AccountInfo | None, owner: Pubkey) -> bytes | None:
    if info is None or info.owner != str(owner):
        return None
    try:
        return base64.b64decode(info.data[0], validate=True)
    except binascii.Error:
        return None


def outcome_of(signature: str, status: Status) -> Outcome:
    """What a transaction that landed means: only what no fork can undo counts."""
    if not status.is_final:
        return Sent(signature)
    if status.err is not None:
        return Failed(f"the chain refused it: {status.err}")
    return Paid(signature, fee_cents=0)


def memo_text(memo: str | None) -> str | None:
    """The text of a memo as histories show it, `[length] text`."""
    found = _MEMO_IN_HISTORY.fullmatch(memo or "")
    return found.group(1) if found else None


def record_of(entry: Signed, landed: Landed, *, owner: Pubkey, mint: Pubkey) -> RailRecord | None:
    """What a transaction did to our USDC; None when it moved less than a cent.

    The key is the last word of the memo, which is where `sign_payment` puts it. Fees are paid in
    SOL and are no part of this rail.

    Raises:
        ValueError: The node doesn't say when, or with what effect, it landed.
    """
    at = landed.block_time if landed.block_time is not None else entry.block_time
    if landed.meta is None or at is None:
        raise ValueError(f"the node knows no time or effect of {entry.signature}")
    if landed.meta.err is not None:
        return None
    moved = _held(landed.meta.post_token_balances, owner, mint) - _held(
        landed.meta.pre_token_balances, owner, mint
    )
    # Rounded towards zero: dust that others send is not a cent yet.
    cents = abs(moved) // BASE_UNITS_PER_CENT
    if not cents:
        return None
    # What others write into a memo is no word of ours.
    words = (memo_text(entry.memo) or "").split() if moved < 0 else []
    return RailRecord(
        reference=entry.signature,
        key=words[-1] if words else None,
        amount_cents=cents if moved > 0 else -cents,
        fee_cents=0,
        at=datetime.fromtimestamp(at, UTC),
    )


def _held(balances: list[TokenBalance] | None, owner: Pubkey, mint: Pubkey) -> int:
    return sum(
        int(balance.ui_token_amount.amount)
        for balance in balances or []
        if balance.owner == str(owner) and balance.mint == str(mint)
    )
