"""The economy: every number that an operator may change while the marketplace runs.

`ConfigCache.current` is the configuration in force as one frozen `Config`; `service` reads and
writes it; `rules` derives prices and shares from it. No other module writes an economic number.
"""

from openclaw_jobs.economy.cache import ConfigCache
from openclaw_jobs.economy.models import (
    SECTIONS,
    Abuse,
    Commissions,
    ComparisonRule,
    Config,
    ConfigChange,
    ConfigEntry,
    ConfigKey,
    ConfigVersion,
    Dispatch,
    FieldChange,
    Pack,
    Packs,
    PayloadLimits,
    Pricing,
    Quality,
    RateLimit,
    RateLimits,
    Retention,
    Section,
    Signup,
    StoredConfigError,
    Tier,
    TierRates,
    Tiers,
    TierThreshold,
)
from openclaw_jobs.economy.rules import commission_bp, price_bonus_seconds, price_cents
from openclaw_jobs.economy.seed import DEFAULT_CONFIG

__all__ = [
    "DEFAULT_CONFIG",
    "SECTIONS",
    "Abuse",
    "Commissions",
    "ComparisonRule",
    "Config",
    "ConfigCache",
    "ConfigChange",
    "ConfigEntry",
    "ConfigKey",
    "ConfigVersion",
    "Dispatch",
    "FieldChange",
    "Pack",
    "Packs",
    "PayloadLimits",
    "Pricing",
    "Quality",
    "RateLimit",
    "RateLimits",
    "Retention",
    "Section",
    "Signup",
    "StoredConfigError",
    "Tier",
    "TierRates",
    "TierThreshold",
    "Tiers",
    "commission_bp",
    "price_bonus_seconds",
    "price_cents",
]
