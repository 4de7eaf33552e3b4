"""A Solana chain for tests: the real runtime (`solders.litesvm`), with blocks that the test opens.

Programs, balances, fees and signatures are the runtime's; time is the test's: blocks come by
`advance`, a transaction lands in the block that is open when it arrives, and a block's hash may be
named for 150 blocks, as on the real chain.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from solders.token import ID as TOKEN_PROGRAM
from solders.token.associated import get_associated_token_address
from solders.token.state import TokenAccount
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from openclaw_jobs.payments.providers.solana_rules import create_token_account

Json: TypeAlias = Any

VALIDITY: Final = 150
FINALITY: Final = 32
START: Final = 1_000_000


@dataclass
class LandedTx:
    """A transaction on the chain."""

    transaction: VersionedTransaction
    height: int
    err: Json
    fee: int
    before: dict[Pubkey, int]
    after: dict[Pubkey, int]
    memo: str | None


class SolanaChain:
    """Accounts and blocks."""

    def __init__(self) -> None:
        # The runtime knows one valid block hash at a time; this chain keeps the real 150.
        self.svm = LiteSVM().with_blockhash_check(check=False)
        self.height = START
        self.hashes: dict[str, int] = {}
        """The last height at which a transaction that names the hash can land."""
        self.landed: dict[str, LandedTx] = {}
        self._open_block()

    def _open_block(self) -> None:
        self.hashes[str(Hash.new_unique())] = self.height + VALIDITY

    def advance(self, blocks: int = 1) -> None:
        """Let that many blocks pass."""
        self.height += blocks
        self._open_block()

    def finalize(self) -> None:
        self.advance(FINALITY + 1)

    def expire(self) -> None:
        """Let every hash given so far expire, finally and with any margin."""
        self.advance(VALIDITY * 2 + FINALITY + 2)

    def fund(self, owner: Pubkey, lamports: int = 10_000_000_000) -> None:
        assert isinstance(self.svm.airdrop(owner, lamports), TransactionMetadata)

    def create_mint(self, authority: Keypair, decimals: int = 6) -> Pubkey:
        """A real mint of the SPL Token program."""
        mint = Keypair()
        rent = self.svm.minimum_balance_for_rent_exemption(82)
        made = create_account(
            CreateAccountParams(
                from_pubkey=authority.pubkey(),
                to_pubkey=mint.pubkey(),
                lamports=rent,
                space=82,
                owner=TOKEN_PROGRAM,
            )
        )
        data = bytes([20, decimals]) + bytes(authority.pubkey()) + b"\x00"
        initialized = Instruction(
            TOKEN_PROGRAM, data, [AccountMeta(mint.pubkey(), is_signer=False, is_writable=True)]
        )
        self.execute([made, initialized], authority, mint)
        return mint.pubkey()

    def mint_to(self, owner: Pubkey, mint: Pubkey, base_units: int, authority: Keypair) -> None:
        account = get_associated_token_address(owner, mint)
        minted = Instruction(
            TOKEN_PROGRAM,
            bytes([7]) + base_units.to_bytes(8, "little"),
            [
                AccountMeta(mint, is_signer=False, is_writable=True),
                AccountMeta(account, is_signer=False, is_writable=True),
                AccountMeta(authority.pubkey(), is_signer=True, is_writable=False),
            ],
        )
        self.execute([create_token_account(authority.pubkey(), owner, mint), minted], authority)

    def execute(self, instructions: list[Instruction], *signers: Keypair) -> str:
        """Land a transaction at once; it must succeed."""
        message = Message.new_with_blockhash(
            instructions, signers[0].pubkey(), Hash.from_string(self.latest_hash)
        )
        landed = self.land(VersionedTransaction(message, list(signers)))
        assert landed.err is None, landed.err
        self.advance()
        return str(landed.transaction.signatures[0])

    def balance(self, owner: Pubkey, mint: Pubkey) -> int:
        """In base units."""
        return self.amount(get_associated_token_address(owner, mint))

    @property
    def latest_hash(self) -> str:
        return list(self.hashes)[-1]

    def is_valid(self, transaction: VersionedTransaction) -> bool:
        last = self.hashes.get(str(transaction.message.recent_blockhash))
        return last is not None and self.height <= last

    def amount(self, account: Pubkey) -> int:
        info = self.svm.get_account(account)
        if info is None or info.owner != TOKEN_PROGRAM or len(info.data) != 165:
            return 0
        return TokenAccount.from_bytes(info.data).amount

    def _amounts(self, transaction: VersionedTransaction) -> dict[Pubkey, int]:
        keys = transaction.message.account_keys
        return {key: self.amount(key) for key in keys if self.token(key) is not None}

    def token(self, account: Pubkey) -> TokenAccount | None:
        info = self.svm.get_account(account)
        if info is None or info.owner != TOKEN_PROGRAM or len(info.data) != 165:
            return None
        return TokenAccount.from_bytes(info.data)

    def land(self, transaction: VersionedTransaction) -> LandedTx:
        signature = str(transaction.signatures[0])
        if signature in self.landed:
            return self.landed[signature]
        before = self._amounts(transaction)
        result = self.svm.send_transaction(transaction)
        meta = result.meta() if isinstance(result, FailedTransactionMetadata) else result
        err = error_of(result.err()) if isinstance(result, FailedTransactionMetadata) else None
        self.landed[signature] = LandedTx(
            transaction=transaction,
            height=self.height,
            err=err,
            fee=meta.fee(),
            before=before,
            after=self._amounts(transaction),
            memo=_memo(transaction),
        )
        return self.landed[signature]


def error_of(err: object) -> Json:
    """As a node prints it: a name, or an object."""
    told = getattr(err, "to_json", None)
    return json.loads(told()) if told is not None else str(err).rsplit(".", 1)[-1]


def _memo(transaction: VersionedTransaction) -> str | None:
    message = transaction.message
    for instruction in message.instructions:
        if str(message.account_keys[instruction.program_id_index]).startswith("Memo"):
            text = bytes(instruction.data).decode()
            return f"[{len(text.encode())}] {text}"
    return None
