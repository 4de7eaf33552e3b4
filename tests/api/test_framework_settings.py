"""The environment is read once, and everything that is wrong is said at once."""

import ipaddress
from typing import Any

import pytest

from openclaw_jobs.settings import OAuthClient, Settings, SettingsError

PRODUCTION = {
    "OPENCLAW_ENV": "production",
    "ADMIN_TOKEN": "admin-hunter2",
    "SESSION_SECRET": "session-hunter2",
    "STRIPE_SECRET_KEY": "sk_hunter2",
    "STRIPE_WEBHOOK_SECRET": "whsec_hunter2",
}


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert not settings.is_production
    assert settings.effective_log_format == "console"
    assert settings.database_url is None


def test_production_is_complete_or_refused_in_one_message() -> None:
    assert Settings.from_environment(PRODUCTION).effective_log_format == "json"
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"OPENCLAW_ENV": "production", "ADMIN_TOKEN": " "})
    for name in ("ADMIN_TOKEN", "SESSION_SECRET", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
        assert name in str(error.value)


def test_only_development_can_be_told_to_die() -> None:
    failpoint = {"OPENCLAW_FAILPOINT": "payout.sent"}
    assert Settings.from_environment(failpoint).failpoint == "payout.sent"
    with pytest.raises(SettingsError, match="OPENCLAW_FAILPOINT is refused in production"):
        Settings.from_environment(PRODUCTION | failpoint)


@pytest.mark.parametrize("missing", sorted(set(PRODUCTION) - {"OPENCLAW_ENV"}))
def test_production_names_what_is_missing_and_no_more(missing: str) -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(SettingsError) as error:
        Settings.from_environment(environ)
    assert missing in str(error.value)
    for other in set(PRODUCTION) - {missing, "OPENCLAW_ENV"}:
        assert other not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENCLAW_ENV", "staging"),
        ("OPENCLAW_FAILPOINT", "payout.nowhere"),
        ("PUBLIC_URL", "example.com"),
        ("PUBLIC_URL", "ftp://example.com"),
        ("PUBLIC_URL", "http://["),
        ("STRIPE_API_BASE", "//no-scheme"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy.example"),
        ("DB_POOL_MIN_SIZE", "0"),
        ("DB_POOL_MAX_SIZE", "many"),
        ("DB_POOL_MIN_SIZE", "50"),
        ("DB_STATEMENT_TIMEOUT_S", "nan"),
        ("DB_PREPARE", "perhaps"),
        ("DB_PREPARE", "false"),  # without the way past the proxy
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("NODE_ID", "a b"),
        ("EVENTS_RETENTION_HOURS", "1.5"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"LOG_LEVEL": "loud", "TRUSTED_PROXIES": "x", "NODE_ID": "/"})
    for name in ("LOG_LEVEL", "TRUSTED_PROXIES", "NODE_ID"):
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"PUBLIC_URL": "https://jobs.example/"}, "public_url", "https://jobs.example"),
        ({"OPENCLAW_ENV": "Development"}, "environment", "development"),
        ({"LOG_LEVEL": "debug"}, "log_level", "DEBUG"),
        ({"DB_PREPARE": "no", "DATABASE_DIRECT_URL": "host=db"}, "db_prepare", False),
        ({"DB_POOL_MIN_SIZE": "2", "DB_POOL_MAX_SIZE": "2"}, "db_pool_max_size", 2),
        (
            {"TRUSTED_PROXIES": "10.0.0.0/8, ::1,"},
            "trusted_proxies",
            (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
        ),
        ({"STRIPE_PRICE_PRO": "price_1"}, "stripe_prices", {"pro": "price_1"}),
        (
            {"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "s"},
            "google",
            OAuthClient("id", "s"),
        ),
        ({"PAYPAL_CLIENT_ID": "id", "PAYPAL_SECRET": "s"}, "paypal", OAuthClient("id", "s")),
        ({"DATABASE_URL": "  "}, "database_url", None),
    ],
)
def test_values_are_read(environ: dict[str, str], field: str, value: Any) -> None:  # noqa: ANN401
    assert getattr(Settings.from_environment(environ), field) == value


@pytest.mark.parametrize(
    "environ",
    [
        {"GITHUB_CLIENT_ID": "id"},
        {"GITHUB_CLIENT_SECRET": "s"},
        {"PAYPAL_SECRET": "s"},
        {"SOLANA_KEYPAIR": "[1]"},
        {"SOLANA_RPC_URL": "https://host"},
    ],
)
def test_half_a_pair_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"GITHUB|PAYPAL|SOLANA"):
        Settings.from_environment(environ)


def test_secrets_are_in_no_representation() -> None:
    environ = {**PRODUCTION, "GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "hunter2"}
    settings = Settings.from_environment(environ)
    shown = [repr(settings), str(settings), f"{settings}", repr([*settings.__rich_repr__()])]
    shown.append(repr(settings.google))
    assert "hunter2" not in "".join(shown)
    assert "admin_token" in repr(settings)


def test_a_bad_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"SOLANA_RPC_URL": "wss://host/?key=hunter2"})
    assert "hunter2" not in str(error.value)
