"""A worker's withdrawal, carried by the marketplace over the real rails' own code to its end."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from openclaw_jobs.kit.clock import SystemClock
from openclaw_jobs.market import work_payouts as working
from openclaw_jobs.payments.providers import PayoutProvider
from openclaw_jobs.payments.providers.base import ProviderName
from openclaw_jobs.payments.providers.paypal import PayPal
from openclaw_jobs.payments.providers.solana import Solana
from tests.fakes.paypal import FEE_CENTS, PayPalServer
from tests.fakes.solana_rpc import SolanaNode
from tests.payments.payout_steps import (
    PAYPAL,
    DiedError,
    approve,
    available,
    die,
    earn,
    open_market,
    rich_worker,
    state,
    withdraw,
    work,
)
from tests.running import Json, Node, Party

DOLLAR = 1_000_000


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as opened:  # noqa: S501 - http
        yield opened


@pytest.fixture
async def chain() -> AsyncIterator[SolanaNode]:
    async with SolanaNode() as running:
        yield running


@pytest.fixture
async def paypal() -> AsyncIterator[PayPalServer]:
    async with PayPalServer(registered={PAYPAL}) as running:
        yield running


def attach(node: Node, rail: PayoutProvider) -> None:
    providers = cast("dict[ProviderName, PayoutProvider]", node.services.providers)
    providers[rail.name] = rail


def attach_solana(node: Node, chain: SolanaNode, http: httpx.AsyncClient) -> tuple[Solana, Pubkey]:
    """Pay from a wallet that holds 1,000 dollars."""
    keypair, authority = Keypair(), Keypair()
    for owner in (keypair, authority):
        chain.chain.fund(owner.pubkey())
    mint = chain.chain.create_mint(authority)
    chain.chain.mint_to(keypair.pubkey(), mint, 1_000 * DOLLAR, authority)
    chain.chain.finalize()
    rail = Solana(chain.url, keypair, mint=mint, http=http)
    attach(node, rail)
    return rail, mint


def attach_paypal(node: Node, server: PayPalServer, http: httpx.AsyncClient) -> PayPal:
    rail = PayPal("app", "app-secret", api_base=server.url, clock=SystemClock(), http=http)
    attach(node, rail)
    return rail


async def solana_worker(node: Node) -> tuple[Party, Pubkey]:
    """A worker with $10 to withdraw to a new wallet."""
    await open_market(node)
    worker, wallet = await node.worker(), Keypair().pubkey()
    await earn(node, worker)
    bound = {"method": "solana", "address": str(wallet)}
    await worker.ok("POST", "/api/worker/bind-payout", bound)
    return worker, wallet


def dies_once(monkeypatch: pytest.MonkeyPatch, step: str, *, before: bool) -> None:
    """Have the process end at a step of the next turn."""
    real = getattr(working, step)

    async def dying(*args: Json, **named: Json) -> Json:
        monkeypatch.setattr(working, step, real)
        if not before:
            await real(*args, **named)
        die()

    monkeypatch.setattr(working, step, dying)


STEPS = [("prepare", False), ("send", True), ("send", False), ("record_outcome", True)]


@pytest.mark.parametrize(("step", "before"), STEPS)
async def test_a_solana_payout_survives_a_death_at_each_step(
    node: Node,
    chain: SolanaNode,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    before: bool,  # noqa: FBT001
) -> None:
    _, mint = attach_solana(node, chain, http)
    worker, wallet = await solana_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    dies_once(monkeypatch, step, before=before)
    with pytest.raises(DiedError):
        await work(node)
    await work(node)
    chain.chain.finalize()
    await work(node, 2)
    assert await state(node, payout) == "paid"
    assert chain.chain.balance(wallet, mint) == 10 * DOLLAR
    assert await available(worker) == 0
    await node.prove()


@pytest.mark.parametrize(("step", "before"), STEPS)
async def test_a_paypal_payout_survives_a_death_at_each_step(
    node: Node,
    paypal: PayPalServer,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    before: bool,  # noqa: FBT001
) -> None:
    attach_paypal(node, paypal, http)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    dies_once(monkeypatch, step, before=before)
    with pytest.raises(DiedError):
        await work(node)
    await work(node)
    paypal.process()
    await work(node, 2)
    assert await state(node, payout) == "paid"
    assert (paypal.received[PAYPAL], len(paypal.batches)) == (1_000, 1)
    assert await available(worker) == 0
    await node.prove()


async def test_a_transaction_that_expires_gives_the_money_back_and_a_retry_pays_once(
    node: Node, chain: SolanaNode, http: httpx.AsyncClient
) -> None:
    rail, mint = attach_solana(node, chain, http)
    worker, wallet = await solana_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    chain.lose = True
    await work(node, 3)
    assert await state(node, payout) == "submitted"
    assert await available(worker) == 0
    chain.chain.expire()
    await work(node)
    assert await state(node, payout) == "failed"
    assert await available(worker) == 1_000

    chain.lose = False
    await node.operator().ok("POST", f"/api/admin/payouts/{payout}/retry", {})
    await work(node)
    chain.chain.finalize()
    await work(node, 2)
    assert await state(node, payout) == "paid"
    assert chain.chain.balance(wallet, mint) == 10 * DOLLAR
    records = await rail.records(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    assert [one.amount_cents for one in records] == [1_000_00, -1_000]
    await node.prove()


async def test_a_wallet_without_money_makes_payouts_wait(
    node: Node, chain: SolanaNode, http: httpx.AsyncClient
) -> None:
    _, mint = attach_solana(node, chain, http)
    poor, authority = Keypair(), Keypair()
    chain.chain.fund(poor.pubkey())
    chain.chain.fund(authority.pubkey())
    mint = chain.chain.create_mint(authority)
    attach(node, Solana(chain.url, poor, mint=mint, http=http))
    worker, wallet = await solana_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    await work(node, 3)
    listed = (await node.operator().ok("GET", "/api/admin/payouts"))["payouts"][0]
    assert listed["payout_status"] == "submitting"
    assert "holds 0 cents of USDC" in listed["error"]
    chain.chain.mint_to(poor.pubkey(), mint, 10 * DOLLAR, authority)
    await work(node)
    chain.chain.finalize()
    await work(node)
    assert await state(node, payout) == "paid"
    assert chain.chain.balance(wallet, mint) == 10 * DOLLAR
    await node.prove()


async def test_a_lost_answer_of_paypal_is_unknown_and_paid_once(
    node: Node, paypal: PayPalServer, http: httpx.AsyncClient
) -> None:
    attach_paypal(node, paypal, http)
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    paypal.drop_after.add("POST /v1/payments/payouts")
    await work(node, 2)
    assert await state(node, payout) == "unknown"
    assert await available(worker) == 0
    paypal.drop_after.clear()
    paypal.process()
    await work(node)
    assert await state(node, payout) == "paid"
    assert paypal.received[PAYPAL] == 1_000
    await node.prove()


async def test_an_unclaimed_paypal_payout_comes_back_to_its_worker(
    node: Node, paypal: PayPalServer, http: httpx.AsyncClient
) -> None:
    rail = attach_paypal(node, paypal, http)
    paypal.registered.clear()
    worker = await rich_worker(node)
    payout = await withdraw(worker, 1_000)
    await approve(node, payout)
    await work(node)
    paypal.process()
    await work(node, 3)
    assert await state(node, payout) == "submitted"
    assert await available(worker) == 0
    paypal.give_back(PAYPAL)
    await work(node)
    assert await state(node, payout) == "returned"
    assert await available(worker) == 1_000
    now = datetime.now(UTC)
    records = await rail.records(now - timedelta(hours=1), now + timedelta(hours=1))
    assert sorted(one.amount_cents for one in records) == [-1_000, 1_000]
    assert sum(one.fee_cents for one in records) == FEE_CENTS
    await node.prove()
