"""What the environment says, read once at the start.

Economic numbers are not here: they are the runtime configuration's (`economy/`).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from openclaw_jobs.kit.failpoints import POINTS

__all__ = ["OAuthClient", "Settings", "SettingsError"]

Environment = Literal["development", "production"]
LogFormat = Literal["json", "console"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IDEMPOTENCY_RETENTION_HOURS: Final = 24
"""How long an answer is kept to be repeated; the contract fixes it."""

_REQUIRED_IN_PRODUCTION: Final = (
    "ADMIN_TOKEN",
    "SESSION_SECRET",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
)
_PACKS: Final = ("starter", "standard", "pro", "business")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_NODE_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

T = TypeVar("T")


class SettingsError(ValueError):
    """The environment cannot be used as it is; the message names everything that is wrong."""


class OAuthClient(msgspec.Struct, frozen=True):
    """This site as a sign-in provider knows it."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"OAuthClient(client_id={self.client_id!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of one process; the names are those of the variables, in lower case.

    Attributes:
        environment: `OPENCLAW_ENV`.
        database_url: None starts the embedded PostgreSQL.
        database_direct_url: The way past a proxy that pools transactions, for LISTEN.
        google_issuer: Another OpenID provider in the place of Google.
        github_base_url: Another server in the place of GitHub's, with `github_api_base`.
        public_url: Where the site is reached from outside, without a trailing slash.
        stripe_prices: Stripe's price id for each pack that has one.
        trusted_proxies: Networks whose forwarding headers are believed.
        max_connections_per_address: Also the most requests of one address that wait.
        coverage_alert_percent: Below this share of what is owed the operator is told.
        db_prepare: False for a PgBouncer in transaction mode.
        node_id: What this process is called on its events; None lets it make one.
        log_format: None means `json` in production and `console` in development.
        events_retention_hours: How long a buyer's stream can be resumed.
        tracing: Whether spans are sent; says `OTEL_TRACES_EXPORTER`.
        failpoint: `OPENCLAW_FAILPOINT`, where to die, for tests; see `kit.failpoints`.
    """

    environment: Environment = "development"
    database_url: str | None = None
    database_direct_url: str | None = None
    admin_token: str | None = None
    session_secret: str | None = None
    public_url: str | None = None

    stripe_secret_key: str | None = None
    stripe_webhook_secret: str | None = None
    stripe_api_base: str | None = None
    stripe_prices: dict[str, str] = {}
    google: OAuthClient | None = None
    google_issuer: str | None = None
    github: OAuthClient | None = None
    github_base_url: str | None = None
    github_api_base: str | None = None
    paypal: OAuthClient | None = None
    paypal_api_base: str | None = None
    solana_rpc_url: str | None = None
    solana_keypair: str | None = None
    solana_usdc_mint: str | None = None
    smtp_url: str | None = None
    coverage_alert_percent: float = 100.0

    rate_limit_storage: str = "memory://"
    trusted_proxies: tuple[Network, ...] = ()
    max_connections_per_address: int = 500

    db_pool_min_size: int = 4
    db_pool_max_size: int = 16
    db_statement_timeout_s: float = 30.0
    db_idle_in_transaction_timeout_s: float = 30.0
    db_prepare: bool = True

    node_id: str | None = None
    log_level: LogLevel = "INFO"
    log_format: LogFormat | None = None
    events_retention_hours: int = 72
    shutdown_grace_s: float = 20.0
    tracing: bool = False
    failpoint: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read `environ`; a variable that is empty counts as not set.

        Raises:
            SettingsError: Something is wrong or, in production, missing; all of it in one message.
        """
        reader = _Reader(environ)
        given = _read(reader)
        if given["environment"] == "production":
            missing = [name for name in _REQUIRED_IN_PRODUCTION if reader.text(name) is None]
            if missing:
                reader.faults.append(
                    f"production needs {', '.join(missing)}: set them, or OPENCLAW_ENV=development"
                )
            if given["failpoint"] is not None:
                reader.faults.append("OPENCLAW_FAILPOINT is refused in production")
        if reader.faults:
            raise SettingsError("; ".join(reader.faults))
        return cls(**{name: value for name, value in given.items() if value is not None})

    @property
    def is_production(self) -> bool:
        """Whether development's conveniences are off."""
        return self.environment == "production"

    @property
    def is_https_only(self) -> bool:
        """Whether the site is reached over HTTPS for good, so that browsers may be told so."""
        return self.is_production and (self.public_url or "").startswith("https://")

    @property
    def effective_log_format(self) -> LogFormat:
        """The format of logs, chosen by the environment where none is set."""
        return self.log_format or ("json" if self.is_production else "console")

    def __repr__(self) -> str:
        """Which settings differ from their defaults, without values: many are secrets."""
        defaults = Settings()
        changed = [
            name
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(defaults, name)
        ]
        return f"Settings({', '.join(changed)})"

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - rich's protocol, and it must not show values
        """As `repr`."""
        yield repr(self)


def _read(reader: "_Reader") -> dict[str, Any]:
    minimum = reader.number("DB_POOL_MIN_SIZE", int, low=1, high=1000)
    maximum = reader.number("DB_POOL_MAX_SIZE", int, low=1, high=1000)
    defaults = Settings()
    low = defaults.db_pool_min_size if minimum is None else minimum
    high = defaults.db_pool_max_size if maximum is None else maximum
    if low > high:
        reader.faults.append(f"DB_POOL_MIN_SIZE ({low}) is more than DB_POOL_MAX_SIZE ({high})")
    if reader.flag("DB_PREPARE") is False and reader.text("DATABASE_DIRECT_URL") is None:
        reader.faults.append(
            "DB_PREPARE=false needs DATABASE_DIRECT_URL, the address of PostgreSQL itself"
        )
    if (reader.text("SOLANA_RPC_URL") is None) != (reader.text("SOLANA_KEYPAIR") is None):
        reader.faults.append("SOLANA_RPC_URL and SOLANA_KEYPAIR are of use only together")
    return {
        "environment": reader.choice("OPENCLAW_ENV", ("development", "production")),
        "database_url": reader.text("DATABASE_URL"),
        "database_direct_url": reader.text("DATABASE_DIRECT_URL"),
        "admin_token": reader.text("ADMIN_TOKEN"),
        "session_secret": reader.text("SESSION_SECRET"),
        "public_url": reader.url("PUBLIC_URL"),
        "stripe_secret_key": reader.text("STRIPE_SECRET_KEY"),
        "stripe_webhook_secret": reader.text("STRIPE_WEBHOOK_SECRET"),
        "stripe_api_base": reader.url("STRIPE_API_BASE"),
        "stripe_prices": {
            pack: price
            for pack in _PACKS
            if (price := reader.text(f"STRIPE_PRICE_{pack.upper()}")) is not None
        },
        "google": reader.client("GOOGLE"),
        "google_issuer": reader.url("GOOGLE_ISSUER"),
        "github": reader.client("GITHUB"),
        "github_base_url": reader.url("GITHUB_BASE_URL"),
        "github_api_base": reader.url("GITHUB_API_BASE"),
        "paypal": reader.client("PAYPAL"),
        "paypal_api_base": reader.url("PAYPAL_API_BASE"),
        "solana_rpc_url": reader.url("SOLANA_RPC_URL"),
        "solana_keypair": reader.text("SOLANA_KEYPAIR"),
        "solana_usdc_mint": reader.text("SOLANA_USDC_MINT"),
        "smtp_url": reader.text("SMTP_URL"),
        "coverage_alert_percent": reader.number("COVERAGE_ALERT_PERCENT", float, low=0, high=1000),
        "rate_limit_storage": reader.text("RATE_LIMIT_STORAGE"),
        "trusted_proxies": reader.networks("TRUSTED_PROXIES"),
        "max_connections_per_address": reader.number(
            "MAX_CONNECTIONS_PER_ADDRESS", int, low=1, high=1_000_000
        ),
        "db_pool_min_size": minimum,
        "db_pool_max_size": maximum,
        "db_statement_timeout_s": reader.number(
            "DB_STATEMENT_TIMEOUT_S", float, low=0.1, high=3600
        ),
        "db_idle_in_transaction_timeout_s": reader.number(
            "DB_IDLE_IN_TRANSACTION_TIMEOUT_S", float, low=0.1, high=3600
        ),
        "db_prepare": reader.flag("DB_PREPARE"),
        "node_id": reader.matching("NODE_ID", _NODE_ID),
        "log_level": reader.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR")),
        "log_format": reader.choice("LOG_FORMAT", ("json", "console")),
        "events_retention_hours": reader.number("EVENTS_RETENTION_HOURS", int, low=1, high=8760),
        "shutdown_grace_s": reader.number("SHUTDOWN_GRACE_S", float, low=0, high=3600),
        "tracing": reader.choice("OTEL_TRACES_EXPORTER", ("none", "otlp")) == "otlp",
        "failpoint": reader.choice("OPENCLAW_FAILPOINT", tuple(sorted(POINTS))),
    }


class _Reader:
    """Reads variables and collects what is wrong with them; never repeats a secret's value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        self.faults.append(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return None

    def number(self, name: str, kind: Callable[[str], T], *, low: float, high: float) -> T | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            number = kind(value)
            fits = low <= number <= high  # type: ignore[operator] # kind is int or float
        except ValueError:
            fits = False
        else:
            if fits:
                return number
        self.faults.append(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
        return None

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        self.faults.append(f"{name} must be true or false, not {value!r}")
        return None

    def matching(self, name: str, pattern: re.Pattern[str]) -> str | None:
        value = self.text(name)
        if value is None or pattern.fullmatch(value):
            return value
        self.faults.append(f"{name} must match {pattern.pattern}, not {value!r}")
        return None

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            # An RPC address may carry a key, so the value itself is not repeated.
            self.faults.append(f"{name} must be an http:// or https:// URL")
            return None
        return value.rstrip("/")

    def client(self, prefix: str) -> OAuthClient | None:
        client_id = self.text(f"{prefix}_CLIENT_ID")
        # PayPal's pair is named CLIENT_ID and SECRET, the others' CLIENT_ID and CLIENT_SECRET.
        client_secret = self.text(f"{prefix}_CLIENT_SECRET") or self.text(f"{prefix}_SECRET")
        if client_id is not None and client_secret is not None:
            return OAuthClient(client_id, client_secret)
        if client_id is not None:
            self.faults.append(f"{prefix}_CLIENT_ID is set without its {prefix}_CLIENT_SECRET")
        if client_secret is not None:
            self.faults.append(f"the secret of {prefix} is set without {prefix}_CLIENT_ID")
        return None

    def networks(self, name: str) -> tuple[Network, ...]:
        found: list[Network] = []
        for part in (self.text(name) or "").split(","):
            if not part.strip():
                continue
            try:
                found.append(ipaddress.ip_network(part.strip(), strict=False))
            except ValueError:
                self.faults.append(f"{name} must be CIDRs parted by commas, not {part.strip()!r}")
        return tuple(found)
