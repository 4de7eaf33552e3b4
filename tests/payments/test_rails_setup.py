"""Which rails a server has, by its environment."""

import contextlib

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from openclaw_jobs.kit.clock import SystemClock
from openclaw_jobs.outside import open_payout_rails
from openclaw_jobs.payments.providers.paypal import LIVE, SANDBOX, PayPal
from openclaw_jobs.payments.providers.solana import Solana
from openclaw_jobs.settings import Settings, SettingsError

PAYPAL = {"PAYPAL_CLIENT_ID": "id", "PAYPAL_CLIENT_SECRET": "secret"}
PRODUCTION = {
    "OPENCLAW_ENV": "production",
    "ADMIN_TOKEN": "a",
    "SESSION_SECRET": "b",
    "STRIPE_SECRET_KEY": "c",
    "STRIPE_WEBHOOK_SECRET": "d",
}


def solana(**more: str) -> dict[str, str]:
    return {"SOLANA_RPC_URL": "https://host", "SOLANA_KEYPAIR": str(Keypair())} | more


async def test_a_rail_is_there_when_its_names_are_set() -> None:
    for environ, names in (
        ({}, {"manual"}),
        (PAYPAL, {"manual", "paypal"}),
        (solana(), {"manual", "solana"}),
        (PAYPAL | solana(), {"manual", "paypal", "solana"}),
    ):
        settings = Settings.from_environment(environ)
        async with open_payout_rails(settings, SystemClock()) as rails:
            assert set(rails) == names
            assert all(rail.name == name for name, rail in rails.items())


@pytest.mark.parametrize(
    ("environ", "base"),
    [
        (PAYPAL, SANDBOX),
        (PAYPAL | PRODUCTION, LIVE),
        (PAYPAL | PRODUCTION | {"PAYPAL_API_BASE": SANDBOX}, SANDBOX),
    ],
)
async def test_only_production_pays_real_money(environ: dict[str, str], base: str) -> None:
    async with open_payout_rails(Settings.from_environment(environ), SystemClock()) as rails:
        paypal = rails["paypal"]
        assert isinstance(paypal, PayPal)
        assert paypal._base == base


async def test_another_token_can_be_named() -> None:
    mint = Pubkey.new_unique()
    settings = Settings.from_environment(solana(SOLANA_USDC_MINT=str(mint)))
    async with open_payout_rails(settings, SystemClock()) as rails:
        chain = rails["solana"]
        assert isinstance(chain, Solana)
        assert chain._token == mint


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        (solana(SOLANA_KEYPAIR="[1, 2, 3]"), "keypair"),
        (solana(SOLANA_KEYPAIR="missing.json"), "SOLANA_KEYPAIR"),
        (solana(SOLANA_USDC_MINT="usdc"), "SOLANA_USDC_MINT"),
    ],
)
async def test_what_cannot_be_used_stops_the_start(environ: dict[str, str], name: str) -> None:
    settings = Settings.from_environment(environ)
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(SettingsError, match=name):
            await stack.enter_async_context(open_payout_rails(settings, SystemClock()))
