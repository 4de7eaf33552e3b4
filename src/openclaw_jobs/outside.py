"""What this server reaches beyond itself: Stripe, payout rails, sign-in, mail, traces."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from openclaw_jobs import __version__
from openclaw_jobs.identity.mail.rules import parse_smtp_url
from openclaw_jobs.identity.mail.smtp import Mailer, SmtpMailer
from openclaw_jobs.identity.oauth import GitHub, Google, Provider
from openclaw_jobs.kit.clock import Clock
from openclaw_jobs.kit.tracing import OFF, Tracing, TracingUnavailableError, open_tracing
from openclaw_jobs.market.decide_payout import Providers
from openclaw_jobs.payments.deposits import DepositDesk, open_desk
from openclaw_jobs.payments.providers.paypal import LIVE, SANDBOX
from openclaw_jobs.payments.providers.setup import open_providers
from openclaw_jobs.settings import Settings, SettingsError

__all__ = ["make_mailer", "make_providers", "open_payout_rails", "open_stripe_desk", "open_traces"]


@contextlib.contextmanager
def open_traces(settings: Settings) -> Iterator[Tracing]:
    """Where spans go, for the length of the block; off unless the environment asks for them.

    Raises:
        SettingsError: It does, and the extra `otel` is not installed.
    """
    if not settings.tracing:
        yield OFF
        return
    with contextlib.ExitStack() as stack:
        try:
            tracing = stack.enter_context(open_tracing("openclaw-jobs", __version__))
        except TracingUnavailableError as error:
            raise SettingsError(f"OTEL_TRACES_EXPORTER: {error}") from None
        yield tracing


def open_stripe_desk(settings: Settings) -> contextlib.AbstractAsyncContextManager[DepositDesk]:
    """Where deposits are taken, for the length of the block."""
    return open_desk(
        secret_key=settings.stripe_secret_key,
        webhook_secret=settings.stripe_webhook_secret,
        api_base=settings.stripe_api_base,
        prices=settings.stripe_prices,
        public_url=settings.public_url,
    )


@contextlib.asynccontextmanager
async def open_payout_rails(settings: Settings, clock: Clock) -> AsyncIterator[Providers]:
    """Who pays workers, for the length of the block.

    Raises:
        SettingsError: A rail is set up with something that it can't use.
    """
    paypal = settings.paypal
    rails = open_providers(
        paypal=None if paypal is None else (paypal.client_id, paypal.client_secret),
        paypal_api_base=settings.paypal_api_base or (LIVE if settings.is_production else SANDBOX),
        solana_rpc_url=settings.solana_rpc_url,
        solana_keypair=settings.solana_keypair,
        solana_usdc_mint=settings.solana_usdc_mint,
        clock=clock,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(rails)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        yield found


def make_mailer(settings: Settings) -> Mailer | None:
    """Who takes letters; None where `SMTP_URL` is not set.

    Raises:
        SettingsError: It is no address of a mail server.
    """
    if settings.smtp_url is None:
        return None
    try:
        server = parse_smtp_url(settings.smtp_url, settings.public_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return SmtpMailer(server)


def make_providers(settings: Settings, clock: Clock) -> dict[str, Provider]:
    """With whose accounts people can sign in."""
    found: dict[str, Provider] = {}
    if settings.google is not None:
        client = settings.google
        found["google"] = Google(
            client.client_id, client.client_secret, issuer=settings.google_issuer, clock=clock
        )
    if settings.github is not None:
        client = settings.github
        found["github"] = GitHub(
            client.client_id,
            client.client_secret,
            base_url=settings.github_base_url,
            api_base=settings.github_api_base,
        )
    return found
