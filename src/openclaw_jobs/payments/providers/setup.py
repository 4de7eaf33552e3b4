"""Opens the rails that this server is set up for."""

import contextlib
from collections.abc import AsyncIterator, Mapping

from openclaw_jobs.kit.clock import Clock
from openclaw_jobs.payments.providers.base import PayoutProvider, ProviderName
from openclaw_jobs.payments.providers.manual import ManualProvider
from openclaw_jobs.payments.providers.paypal import PayPal

__all__ = ["open_providers"]


@contextlib.asynccontextmanager
async def open_providers(
    *,
    paypal: tuple[str, str] | None,
    paypal_api_base: str,
    solana_rpc_url: str | None,
    solana_keypair: str | None,
    solana_usdc_mint: str | None,
    clock: Clock,
) -> AsyncIterator[Mapping[ProviderName, PayoutProvider]]:
    """The rails by name for the length of the block; paying by hand is always one of them.

    Args:
        paypal: Client id and secret of PayPal's API, or None.
        paypal_api_base: Where that API is.
        solana_rpc_url: A node; without it or the keypair nobody is paid by Solana.
        solana_keypair: `SOLANA_KEYPAIR`.
        solana_usdc_mint: The token, where it isn't the USDC of mainnet or devnet.
        clock: Tells the time.

    Raises:
        ValueError: The keypair or the mint can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        found: dict[ProviderName, PayoutProvider] = {"manual": ManualProvider()}
        if paypal is not None:
            client_id, secret = paypal
            rail = PayPal(client_id, secret, api_base=paypal_api_base, clock=clock)
            stack.push_async_callback(rail.aclose)
            found["paypal"] = rail
        if solana_rpc_url is not None and solana_keypair is not None:
            # Loads `solders`, which only a server that pays by it has to.
            from openclaw_jobs.payments.providers.solana import (  # noqa: PLC0415
                Solana,
                read_keypair,
                read_mint,
            )

            keypair, mint = read_keypair(solana_keypair), read_mint(solana_usdc_mint)
            chain = Solana(solana_rpc_url, keypair, mint=mint)
            stack.push_async_callback(chain.aclose)
            found["solana"] = chain
        yield found
