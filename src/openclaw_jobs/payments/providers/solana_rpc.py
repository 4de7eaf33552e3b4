"""A Solana node, asked over JSON-RPC.

Two things can go wrong, and they mean different things: the node can't be asked (`RpcDown`), or it
has answered and refuses (`RpcRefused`). Neither tells the node's address: it may hold a key.
"""

import itertools
from typing import Any, Final, Generic, TypeVar

import httpx
import msgspec

__all__ = [
    "METHOD_NOT_FOUND",
    "AccountInfo",
    "Block",
    "Blockhash",
    "Epoch",
    "Landed",
    "Rpc",
    "RpcDown",
    "RpcError",
    "RpcRefused",
    "Signed",
    "Status",
    "TokenBalance",
    "WithContext",
]

METHOD_NOT_FOUND: Final = -32601
_MAX_REASON_CHARS: Final = 300

T = TypeVar("T")


class RpcError(Exception):
    """A node has not done what it was asked."""


class RpcDown(RpcError):  # noqa: N818 - a state, not a mistake
    """No answer, or none that can be read; what was asked may have been done all the same."""


class RpcRefused(RpcError):  # noqa: N818 - an answer, not a mistake
    """The node answered with an error.

    Attributes:
        code: As JSON-RPC and Solana number them.
        data: What the node adds, such as the error of a failed simulation.
    """

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(f"the node refuses ({code}): {message[:_MAX_REASON_CHARS]}")
        self.code = code
        self.data = data


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    """Part of an answer; what a node says beyond it is ignored."""


class Context(_Result, frozen=True):
    """What the node knew when it answered."""

    slot: int


class WithContext(_Result, Generic[T], frozen=True):
    """A value and what the node knew when it gave it."""

    context: Context
    value: T


class Epoch(_Result, frozen=True):
    """How far the chain is, at one commitment."""

    absolute_slot: int
    block_height: int


class Blockhash(_Result, frozen=True):
    """A recent block; a transaction that names it can land up to a height, and never after."""

    blockhash: str
    last_valid_block_height: int


class AccountInfo(_Result, frozen=True):
    """An account; `data` is base64 and the word `base64`."""

    lamports: int
    owner: str
    data: tuple[str, str]
    executable: bool


class Status(_Result, frozen=True):
    """What became of a transaction that landed; rooted when `confirmations` is None."""

    slot: int
    err: Any
    confirmations: int | None = None
    confirmation_status: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether no fork can undo it."""
        return self.confirmation_status == "finalized" or (
            self.confirmation_status is None and self.confirmations is None
        )


class Signed(_Result, frozen=True):
    """A landed transaction in an account's history; `memo` is `[length] text`."""

    signature: str
    slot: int
    err: Any
    block_time: int | None = None
    memo: str | None = None


class UiAmount(_Result, frozen=True):
    """An amount in base units, as a decimal string."""

    amount: str


class TokenBalance(_Result, frozen=True):
    """What one of a transaction's accounts held of a token."""

    account_index: int
    mint: str
    ui_token_amount: UiAmount
    owner: str | None = None


class Meta(_Result, frozen=True):
    """What a transaction changed; `fee` is in lamports."""

    err: Any
    fee: int
    pre_token_balances: list[TokenBalance] | None = None
    post_token_balances: list[TokenBalance] | None = None


class Landed(_Result, frozen=True):
    """A transaction with its effects."""

    slot: int
    meta: Meta | None
    block_time: int | None = None


class Block(_Result, frozen=True):
    """A block without its transactions."""

    block_height: int | None


class _Refusal(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: Any = None


class _Envelope(msgspec.Struct, frozen=True):
    result: msgspec.Raw = msgspec.Raw()
    error: _Refusal | None = None


_envelopes = msgspec.json.Decoder(_Envelope)


class Rpc:
    """One node.

    Args:
        url: Its address; never shown, since it may hold a key.
        http: The client to ask through; it brings the time-outs.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._ids = itertools.count(1)

    async def call(self, kind: type[T], method: str, *params: object) -> T:
        """Ask, and read the result as `kind`.

        Raises:
            RpcDown: No answer that can be read.
            RpcRefused: The node answered with an error.
        """
        asked = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            answer = await self._http.post(
                self._url,
                content=msgspec.json.encode(asked),
                headers={"content-type": "application/json"},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Only the kind of failure: httpx puts the address into some messages.
            raise RpcDown(f"no answer to {method} ({type(error).__name__})") from None
        try:
            envelope = _envelopes.decode(answer.content)
        except msgspec.DecodeError:
            raise RpcDown(f"{method} was answered with HTTP {answer.status_code}") from None
        if envelope.error is not None:
            told = envelope.error
            if answer.is_error or told.code > 0:
                # A proxy before the node (too many requests, no access), not the node itself.
                raise RpcDown(f"{method} was answered with {told.code}: {told.message[:100]}")
            raise RpcRefused(told.code, told.message, told.data)
        if answer.is_error:
            raise RpcDown(f"{method} was answered with HTTP {answer.status_code}")
        try:
            return msgspec.json.decode(envelope.result, type=kind)
        except msgspec.DecodeError as error:
            raise RpcDown(f"the answer to {method} can't be read: {error}") from None
