"""What is read for the Solana rail: its history for reconciliation, keys, chains and addresses."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.token import ID as TOKEN_PROGRAM

from openclaw_jobs.payments.providers import PayoutOrder, ProviderUnavailable
from openclaw_jobs.payments.providers.solana import Solana, read_keypair
from openclaw_jobs.payments.providers.solana_rules import (
    USDC_BY_GENESIS,
    KeypairError,
    token_account,
    wallet,
)
from tests.fakes.solana_rpc import SolanaNode

DOLLAR = 1_000_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def node() -> AsyncIterator[SolanaNode]:
    async with SolanaNode() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as opened:  # noqa: S501 - http
        yield opened


@pytest.fixture
def payer(node: SolanaNode) -> Keypair:
    keypair = Keypair()
    node.chain.fund(keypair.pubkey())
    return keypair


async def pay(node: SolanaNode, rail: Solana, number: int, cents: int) -> str:
    order = PayoutOrder(
        payout_id=f"pay_{number}",
        attempt=1,
        key=f"pay_{number}:1",
        amount_cents=cents,
        address=str(Keypair().pubkey()),
    )
    prepared = await rail.prepare(order)
    await rail.send(
        PayoutOrder(
            payout_id=order.payout_id,
            attempt=1,
            key=order.key,
            amount_cents=cents,
            address=order.address,
            reference=prepared.reference,
            signed=prepared.signed,
            valid_until=prepared.valid_until,
        )
    )
    node.chain.advance(10)
    assert prepared.reference
    return prepared.reference


def transfer_in(node: SolanaNode, sender: Keypair, to: Pubkey, mint: Pubkey, units: int) -> None:
    keys = (token_account(sender.pubkey(), mint), token_account(to, mint))
    moved = Instruction(
        TOKEN_PROGRAM,
        bytes([3]) + units.to_bytes(8, "little"),
        [
            AccountMeta(keys[0], is_signer=False, is_writable=True),
            AccountMeta(keys[1], is_signer=False, is_writable=True),
            AccountMeta(sender.pubkey(), is_signer=True, is_writable=False),
        ],
    )
    node.chain.execute([moved], sender)


async def test_records_are_what_the_chain_moved(
    node: SolanaNode, http: httpx.AsyncClient, payer: Keypair
) -> None:
    stranger = Keypair()
    node.chain.fund(stranger.pubkey())
    mint = node.chain.create_mint(stranger)
    node.chain.mint_to(payer.pubkey(), mint, 1_000 * DOLLAR, stranger)
    node.chain.mint_to(stranger.pubkey(), mint, 10 * DOLLAR, stranger)
    rail = Solana(node.url, payer, mint=mint, http=http)
    first = await pay(node, rail, 1, 12_34)
    transfer_in(node, stranger, payer.pubkey(), mint, 5 * DOLLAR)
    transfer_in(node, stranger, payer.pubkey(), mint, 9_999)  # dust: not a cent
    second = await pay(node, rail, 2, 50_00)
    assert await rail.records(LONG_AGO, FAR) == []  # nothing is final yet
    node.chain.finalize()

    found = await rail.records(LONG_AGO, FAR)
    assert [(r.amount_cents, r.key, r.fee_cents) for r in found] == [
        (1_000_00, None, 0),
        (-12_34, "pay_1:1", 0),
        (5_00, None, 0),
        (-50_00, "pay_2:1", 0),
    ]
    assert (found[1].reference, found[3].reference) == (first, second)
    assert all(record.at.tzinfo is not None for record in found)

    # A window is [since, until).
    assert await rail.records(found[1].at, found[3].at) == found[1:3]
    assert await rail.records(found[3].at + timedelta(seconds=1), FAR) == []


async def test_records_are_read_page_by_page(
    node: SolanaNode, http: httpx.AsyncClient, payer: Keypair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_jobs.payments.providers.solana._PAGE", 2)
    mint = node.chain.create_mint(payer)
    node.chain.mint_to(payer.pubkey(), mint, 1_000 * DOLLAR, payer)
    rail = Solana(node.url, payer, mint=mint, http=http)
    for number in range(4):
        await pay(node, rail, number, 100 + number)
    node.chain.finalize()
    found = await rail.records(LONG_AGO, FAR)
    assert [r.amount_cents for r in found] == [1_000_00, -100, -101, -102, -103]
    assert node.calls("getSignaturesForAddress") == 3


async def test_records_are_whole_or_not_at_all(
    node: SolanaNode, http: httpx.AsyncClient, payer: Keypair
) -> None:
    mint = node.chain.create_mint(payer)
    node.chain.mint_to(payer.pubkey(), mint, 1_000 * DOLLAR, payer)
    rail = Solana(node.url, payer, mint=mint, http=http)
    await pay(node, rail, 1, 500)
    node.chain.finalize()
    for method in ("getSignaturesForAddress", "getTransaction"):
        node.fail_on = {method}
        with pytest.raises(ProviderUnavailable):
            await rail.records(LONG_AGO, FAR)
    node.fail_on = set()
    assert len(await rail.records(LONG_AGO, FAR)) == 2


@pytest.mark.parametrize("genesis", list(USDC_BY_GENESIS))
async def test_the_chain_chooses_the_token(
    node: SolanaNode, http: httpx.AsyncClient, payer: Keypair, genesis: str
) -> None:
    usdc = USDC_BY_GENESIS[genesis]
    made = node.chain.svm.get_account(node.chain.create_mint(payer))
    assert made is not None
    node.chain.svm.set_account(usdc, Account(made.lamports, made.data, made.owner))
    node.chain.mint_to(payer.pubkey(), usdc, 20 * DOLLAR, payer)
    node.genesis = genesis
    rail = Solana(node.url, payer, http=http)
    await pay(node, rail, 1, 5_00)
    assert node.chain.balance(payer.pubkey(), usdc) == 15 * DOLLAR
    assert node.calls("getGenesisHash") == 1


async def test_an_unknown_chain_needs_its_token_named(
    node: SolanaNode, http: httpx.AsyncClient, payer: Keypair
) -> None:
    rail = Solana(node.url, payer, http=http)
    with pytest.raises(ProviderUnavailable, match="SOLANA_USDC_MINT"):
        await pay(node, rail, 1, 5_00)


def test_a_key_is_read_in_each_usual_form(tmp_path: Path) -> None:
    keypair = Keypair()
    numbers = json.dumps(list(bytes(keypair)))
    file = tmp_path / "id.json"
    file.write_text(numbers + "\n", encoding="utf-8")
    for setting in (numbers, str(keypair), f" {keypair}\n", str(file)):
        assert read_keypair(setting) == keypair


def test_a_key_that_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("[1, 2, 3]", encoding="utf-8")
    secret = str(Keypair())
    for setting in (secret[:-4], secret + "zz", "[300]", "[1,2", "nowhere.json", str(broken)):
        with pytest.raises(KeypairError) as caught:
            read_keypair(setting)
        assert secret[:20] not in str(caught.value)


def test_only_a_wallet_is_an_address() -> None:
    keypair = Keypair()
    assert wallet(str(keypair.pubkey())) == keypair.pubkey()
    mint = next(iter(USDC_BY_GENESIS.values()))
    for address in ("", "x", "0" * 44, str(token_account(keypair.pubkey(), mint)), "é" * 44):
        assert wallet(address) is None
