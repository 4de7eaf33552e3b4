"""Opens the rails that this server is set up for."""

import contextlib
from collections.abc import AsyncIterator, Mapping

from openclaw_jobs.kit.clock import Clock
from openclaw_jobs.payments.providers.base import PayoutProvider, ProviderName
from openclaw_jobs.payments.providers.manual import ManualProvider
from openclaw_jobs.payments.providers.paypal import PayPal
from openclaw_jobs.payments.providers.solana import Solana, read_keypair

__all__ = ["open_providers"]


@contextlib.asynccontextmanager
async def open_providers(
    *,
    paypal: tuple[str, str] | None,
    paypal_api_base: str,
    solana: tuple[str, str] | None,
    clock: Clock,
) -> AsyncIterator[Mapping[ProviderName, PayoutProvider]]:
    """The rails by name for the length of the block; paying by hand is always one of them.

    Args:
        paypal: Client id and secret of PayPal's API, or None.
        paypal_api_base: Where that API is.
        solana: Address of a node and `SOLANA_KEYPAIR`, or None.
        clock: Tells the time.

    Raises:
        KeypairError: The keypair can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        found: dict[ProviderName, PayoutProvider] = {"manual": ManualProvider()}
        if paypal is not None:
            client_id, secret = paypal
            rail = PayPal(client_id, secret, api_base=paypal_api_base, clock=clock)
            stack.push_async_callback(rail.aclose)
            found["paypal"] = rail
        if solana is not None:
            rpc_url, keypair = solana
            chain = Solana(rpc_url, read_keypair(keypair))
            stack.push_async_callback(chain.aclose)
            found["solana"] = chain
        yield found
