"""Payouts in USDC against the real Solana runtime, through a node that misbehaves on request."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from openclaw_jobs.payments.providers import (
    Failed,
    Outcome,
    Paid,
    PayoutOrder,
    ProviderUnavailable,
    Sent,
    Unknown,
)
from openclaw_jobs.payments.providers.solana import Solana
from openclaw_jobs.payments.providers.solana_rules import token_account
from tests.fakes.solana_chain import FINALITY, VALIDITY, SolanaChain
from tests.fakes.solana_rpc import SolanaNode

DOLLAR = 1_000_000
"""A dollar in base units of USDC."""


def client(timeout_s: float = 5.0) -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=timeout_s, trust_env=False, verify=False)  # noqa: S501 - http


@dataclass
class Desk:
    """A platform's wallet with 1,000 dollars, and a node."""

    node: SolanaNode
    chain: SolanaChain
    mint: Pubkey
    keypair: Keypair
    authority: Keypair
    rail: Solana
    worker: Pubkey

    def order(self, cents: int = 12_34, *, attempt: int = 1, address: str = "") -> PayoutOrder:
        return PayoutOrder(
            payout_id="pay_1",
            attempt=attempt,
            key=f"pay_1:{attempt}",
            amount_cents=cents,
            address=address or str(self.worker),
        )

    async def signed(self, order: PayoutOrder) -> PayoutOrder:
        """The order as it is stored after `prepare`."""
        prepared = await self.rail.prepare(order)
        return PayoutOrder(
            payout_id=order.payout_id,
            attempt=order.attempt,
            key=order.key,
            amount_cents=order.amount_cents,
            address=order.address,
            reference=prepared.reference,
            signed=prepared.signed,
            valid_until=prepared.valid_until,
        )

    def received(self) -> int:
        return self.chain.balance(self.worker, self.mint)

    def restarted(self) -> Solana:
        """The same rail in a new process: nothing is remembered."""
        return Solana(self.node.url, self.keypair, mint=self.mint, http=self.rail._http)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with SolanaNode() as node, client() as http:
        authority, keypair = Keypair(), Keypair()
        chain = node.chain
        for owner in (authority, keypair):
            chain.fund(owner.pubkey())
        mint = chain.create_mint(authority)
        chain.mint_to(keypair.pubkey(), mint, 1_000 * DOLLAR, authority)
        chain.finalize()
        rail = Solana(node.url, keypair, mint=mint, http=http)
        yield Desk(node, chain, mint, keypair, authority, rail, Keypair().pubkey())


async def settle(desk: Desk, order: PayoutOrder) -> Outcome:
    desk.chain.finalize()
    return await desk.rail.check(order)


async def test_a_new_wallet_is_paid_to_the_cent(desk: Desk) -> None:
    assert desk.chain.svm.get_account(token_account(desk.worker, desk.mint)) is None
    order = await desk.signed(desk.order(12_34))
    assert order.valid_until == desk.chain.height + VALIDITY
    assert await desk.rail.send(order) == Sent(order.reference)
    assert await desk.rail.check(order) == Sent(order.reference)  # processed
    desk.chain.advance(FINALITY - 1)
    assert await desk.rail.check(order) == Sent(order.reference)  # confirmed, and could be undone
    assert await settle(desk, order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000
    assert desk.chain.balance(desk.keypair.pubkey(), desk.mint) == 1_000 * DOLLAR - 12_340_000


async def test_a_wallet_that_has_an_account_is_paid_into_it(desk: Desk) -> None:
    desk.chain.mint_to(desk.worker, desk.mint, 5 * DOLLAR, desk.authority)
    order = await desk.signed(desk.order(1))
    await desk.rail.send(order)
    assert isinstance(await settle(desk, order), Paid)
    assert desk.received() == 5 * DOLLAR + 10_000


async def test_preparing_moves_nothing_and_signs_what_is_stored(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    assert desk.node.calls("sendTransaction") == 0
    assert desk.received() == 0
    assert order.signed
    assert order.reference


async def test_sending_twice_pays_once(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    outcomes = await asyncio.gather(*(desk.rail.send(order) for _ in range(20)))
    assert set(outcomes) == {Sent(order.reference)}
    desk.chain.advance()
    assert await desk.rail.send(order) == Sent(order.reference)
    assert await settle(desk, order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000


async def test_an_answer_that_is_lost_is_found_by_asking(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.node.drop_after.add("sendTransaction")
    assert isinstance(await desk.rail.send(order), Unknown)
    desk.node.drop_after.clear()
    assert await settle(desk, order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000


async def test_half_an_answer_and_a_late_one_are_unknown(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.node.garble.add("sendTransaction")
    assert isinstance(await desk.rail.send(order), Unknown)
    desk.node.garble.clear()
    desk.node.delay_s = 1.0
    async with client(0.1) as http:
        hasty = Solana(desk.node.url, desk.keypair, mint=desk.mint, http=http)
        assert isinstance(await hasty.send(order), Unknown)
        assert isinstance(await hasty.check(order), Unknown)
    desk.node.delay_s = 0.0
    assert await settle(desk, order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000


async def test_a_crash_before_sending_is_healed_by_checking(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.chain.advance(VALIDITY - 1)
    rail = desk.restarted()
    assert await rail.check(order) == Sent(order.reference)  # it sends the stored bytes
    desk.chain.finalize()
    assert await rail.check(order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000


async def test_a_crash_after_sending_is_healed_by_checking(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    await desk.rail.send(order)
    desk.chain.finalize()
    assert await desk.restarted().check(order) == Paid(order.reference, fee_cents=0)
    assert desk.node.calls("sendTransaction") == 1
    # Much later, too: its bytes have long expired.
    desk.chain.advance(10_000)
    assert await desk.restarted().check(order) == Paid(order.reference, fee_cents=0)


async def test_a_lost_transaction_is_sent_again_while_it_may_land(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.node.lose = True
    for _ in range(3):
        desk.chain.advance(10)
        assert await desk.rail.check(order) == Sent(order.reference)
    assert desk.received() == 0
    desk.node.lose = False
    assert await desk.rail.check(order) == Sent(order.reference)
    assert await settle(desk, order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000
    sent = {params[0] for method, params in desk.node.requests if method == "sendTransaction"}
    assert len(sent) == 1


async def test_an_expired_transaction_fails_and_a_new_attempt_pays_once(desk: Desk) -> None:
    first = await desk.signed(desk.order())
    desk.node.lose = True
    await desk.rail.send(first)
    assert first.valid_until is not None
    # Not before the last valid block is final, and a margin behind it.
    while desk.chain.height - FINALITY <= first.valid_until + 150:
        assert not isinstance(await desk.rail.check(first), Failed), desk.chain.height
        desk.chain.advance(25)
    outcome = await desk.rail.check(first)
    assert isinstance(outcome, Failed)
    assert "expired" in outcome.reason

    desk.node.lose = False
    second = await desk.signed(desk.order(attempt=2))
    assert second.reference != first.reference
    await desk.rail.send(second)
    assert isinstance(await desk.rail.send(first), Unknown)  # the chain refuses the old bytes
    assert await settle(desk, second) == Paid(second.reference, fee_cents=0)
    assert isinstance(await desk.rail.check(first), Failed)
    assert desk.received() == 12_340_000


async def test_one_that_lands_in_its_last_block_is_never_taken_for_expired(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.node.hold = True
    await desk.rail.send(order)
    assert order.valid_until is not None
    desk.chain.advance(order.valid_until - desk.chain.height)
    assert not isinstance(await desk.rail.check(order), Failed)
    desk.node.release()
    for _ in range(30):
        assert not isinstance(await desk.rail.check(order), Failed)
        desk.chain.advance(20)
    assert await desk.rail.check(order) == Paid(order.reference, fee_cents=0)
    assert desk.received() == 12_340_000


@pytest.mark.parametrize("method", ["getEpochInfo", "getSignatureStatuses"])
async def test_a_node_that_is_away_is_unknown_and_never_a_failure(desk: Desk, method: str) -> None:
    order = await desk.signed(desk.order())
    desk.chain.expire()
    desk.node.fail_on = {method}
    assert isinstance(await desk.rail.check(order), Unknown)
    desk.node.fail_on = set()
    desk.node.refuse = {method: (-32005, "Node is behind by 42 slots")}
    assert isinstance(await desk.rail.check(order), Unknown)
    desk.node.refuse = {}
    await desk.node.stop()
    assert isinstance(await desk.rail.check(order), Unknown)
    assert isinstance(await desk.rail.send(order), Unknown)
    with pytest.raises(ProviderUnavailable):
        await desk.rail.prepare(desk.order(attempt=2))
    await desk.node.start()
    assert isinstance(await desk.rail.check(order), Failed)


async def test_a_node_that_lags_or_has_forgotten_proves_nothing(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    await desk.rail.send(order)
    paid = desk.node.chain.landed.pop(str(order.reference))  # this node doesn't know it
    desk.chain.expire()
    desk.node.lag_slots = 1_000
    assert isinstance(await desk.rail.check(order), Unknown)
    desk.node.lag_slots = 0
    desk.node.first_height = desk.chain.height - 100
    assert isinstance(await desk.rail.check(order), Unknown)
    desk.node.refuse = {"getFirstAvailableBlock": (-32601, "Method not found")}
    assert isinstance(await desk.rail.check(order), Unknown)
    desk.node.refuse, desk.node.first_height = {}, 0
    desk.node.chain.landed[str(order.reference)] = paid
    assert await desk.rail.check(order) == Paid(order.reference, fee_cents=0)


async def test_another_chain_proves_nothing(desk: Desk) -> None:
    order = await desk.signed(desk.order())
    desk.chain.expire()
    other = Solana(desk.node.url, desk.keypair, mint=Keypair().pubkey(), http=desk.rail._http)
    outcome = await other.check(order)
    assert isinstance(outcome, Unknown)
    assert "chain" in outcome.reason


async def test_too_little_money_signs_nothing_and_waits_for_a_top_up(desk: Desk) -> None:
    order = desk.order(1_000_01)
    with pytest.raises(ProviderUnavailable, match="holds 100000 cents of USDC, 100001 are"):
        await desk.rail.prepare(order)
    desk.chain.mint_to(desk.keypair.pubkey(), desk.mint, 10_000, desk.authority)
    stored = await desk.signed(order)
    await desk.rail.send(stored)
    assert await settle(desk, stored) == Paid(stored.reference, fee_cents=0)
    assert desk.received() == 1_000_010_000


async def test_no_sol_for_fees_signs_nothing(desk: Desk) -> None:
    poor = Keypair()
    desk.chain.fund(poor.pubkey(), 2_000_000)
    desk.chain.mint_to(poor.pubkey(), desk.mint, 50 * DOLLAR, desk.authority)
    rail = Solana(desk.node.url, poor, mint=desk.mint, http=desk.rail._http)
    with pytest.raises(ProviderUnavailable, match="lamports of SOL"):
        await rail.prepare(desk.order())
    # A recipient that has an account costs no rent.
    desk.chain.mint_to(desk.worker, desk.mint, DOLLAR, desk.authority)
    assert (await rail.prepare(desk.order())).signed


async def test_money_that_is_gone_by_the_time_of_sending_pays_nobody(desk: Desk) -> None:
    orders = [
        await desk.signed(desk.order(700_00, attempt=number, address=str(Keypair().pubkey())))
        for number in (1, 2)
    ]
    assert await desk.rail.send(orders[0]) == Sent(orders[0].reference)
    refused = await desk.rail.send(orders[1])
    assert isinstance(refused, Unknown)  # the same bytes could be on their way already
    assert "refuses (-32002)" in refused.reason
    desk.chain.expire()
    assert await desk.rail.check(orders[0]) == Paid(orders[0].reference, fee_cents=0)
    assert isinstance(await desk.rail.check(orders[1]), Failed)


async def test_what_the_chain_refuses_on_landing_is_failed_once_final(desk: Desk) -> None:
    orders = [
        await desk.signed(desk.order(700_00, attempt=number, address=str(Keypair().pubkey())))
        for number in (1, 2)
    ]
    desk.node.hold = True
    for order in orders:
        assert isinstance(await desk.rail.send(order), Sent)
    desk.node.release()
    assert await desk.rail.check(orders[1]) == Sent(orders[1].reference)
    desk.chain.finalize()
    assert await desk.rail.check(orders[0]) == Paid(orders[0].reference, fee_cents=0)
    refused = await desk.rail.check(orders[1])
    assert isinstance(refused, Failed)
    assert "the chain refused it" in refused.reason


async def test_addresses_that_no_key_signs_for_are_failed_unsigned(desk: Desk) -> None:
    own_token_account = token_account(desk.keypair.pubkey(), desk.mint)
    for address in (
        "not-an-address",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        str(own_token_account),  # off the curve
        str(desk.mint),  # owned by a program
        str(desk.keypair.pubkey()),  # ourselves
    ):
        order = await desk.signed(desk.order(address=address))
        assert order.signed is None, address
        assert isinstance(await desk.rail.send(order), Failed)
        assert isinstance(await desk.rail.check(order), Failed)
    assert desk.node.calls("sendTransaction") == 0


async def test_a_mint_that_is_not_like_usdc_is_refused(desk: Desk) -> None:
    wrong = desk.chain.create_mint(desk.authority, decimals=9)
    for mint in (wrong, Keypair().pubkey()):
        rail = Solana(desk.node.url, desk.keypair, mint=mint, http=desk.rail._http)
        with pytest.raises(ProviderUnavailable, match="no mint with 6 decimals"):
            await rail.prepare(desk.order())
