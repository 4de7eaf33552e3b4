"""Which rails of this server can be compared."""

from collections.abc import Mapping

from openclaw_jobs.payments.deposits import StripeGateway
from openclaw_jobs.payments.deposits.records import StripeRecords
from openclaw_jobs.payments.providers import PayoutProvider
from openclaw_jobs.payments.providers.base import ProviderName
from openclaw_jobs.payments.reconciliation.models import RailRecords


def reconciled_rails(
    gateway: StripeGateway | None, providers: Mapping[ProviderName, PayoutProvider]
) -> list[RailRecords]:
    """Stripe and every provider that is set up; the bank's statement only an operator has."""
    rails: list[RailRecords] = [] if gateway is None else [StripeRecords(gateway)]
    return [*rails, *(rail for name, rail in providers.items() if name != "manual")]
