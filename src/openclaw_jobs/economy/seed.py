"""The configuration of the first start: the only place where economic numbers are written down.

The constants of the statistics that judge results are no configuration and stand beside their
formulas (`docs/decisions/0013-formulas-are-code.md`).

From then on the database holds what is in force. A field that a newer release adds to a section is
read from here until somebody sets it.
"""

from typing import Final

from openclaw_jobs.economy.models import (
    Abuse,
    Commissions,
    ComparisonRule,
    Config,
    Dispatch,
    Pack,
    Packs,
    PayloadLimits,
    Pricing,
    Quality,
    RateLimit,
    RateLimits,
    Retention,
    Signup,
    TierRates,
    Tiers,
    TierThreshold,
)

PRICING: Final = Pricing(
    base_cents={
        "default": 10,
        "general": 10,
        "coding": 30,
        "data": 20,
        "research": 30,
        "translation": 10,
        "writing": 15,
    },
    per_1000_chars_cents=2,
    min_cents=5,
    max_cents=5_000,
)

PACKS: Final = Packs(
    starter=Pack(cents=500, bonus_cents=0),
    standard=Pack(cents=2_000, bonus_cents=100),
    pro=Pack(cents=5_000, bonus_cents=500),
    business=Pack(cents=20_000, bonus_cents=3_000),
)

SIGNUP: Final = Signup(bonus_cents=100)

COMMISSIONS: Final = Commissions(
    rate_by_tier=TierRates(bronze=0.3, silver=0.25, gold=0.2, platinum=0.15),
    freeze_window_hours=24,
    min_withdrawal_cents=500,
    daily_withdrawal_limit_cents=50_000,
    require_verified_email=True,
    payout_change_delay_hours=24,
    # Nothing is paid out unseen until an operator says so.
    auto_approve_under_cents=0,
)

# Quality starts at 0.9 for a worker without a record and rises with each good outcome, so gold
# asks for no bad record and platinum for a proven one.
TIERS: Final = Tiers(
    silver=TierThreshold(completed=25, completion_rate=0.9, credit_rate=0.1, quality=0.85),
    gold=TierThreshold(completed=200, completion_rate=0.95, credit_rate=0.05, quality=0.9),
    platinum=TierThreshold(completed=1_000, completion_rate=0.98, credit_rate=0.02, quality=0.95),
)

DISPATCH: Final = Dispatch(
    lease_seconds=120,
    max_attempts=3,
    fairness_percent=20,
    strikes=3,
    suspension_seconds=3_600,
    queue_expiry_seconds=86_400,
    task_fault_after=2,
    cents_to_seconds=1,
    max_price_bonus_seconds=300,
)

QUALITY: Final = Quality(
    enabled=True,
    shadow_rate=0.02,
    spot_check_rate=None,
    benchmark_rate=0.02,
    check_delay_seconds=900,
    daily_budget_percent=16,
    budget_floor_cents=500,
    thresholds={"default": ComparisonRule(method="token_sort", threshold=None)},
    separate_by_address=True,
    credit_window_hours=24,
    auto_credit_rate=0.2,
    auto_credit_min_tasks=20,
)

RATE_LIMITS: Final = RateLimits(
    connect=RateLimit(limit=3, per_seconds=60),
    work_next=RateLimit(limit=30, per_seconds=60),
    task_submit=RateLimit(limit=20, per_seconds=60),
    work_submit=RateLimit(limit=600, per_seconds=60),
    auth_failures=RateLimit(limit=300, per_seconds=60),
    withdraw=RateLimit(limit=5, per_seconds=60),
    deposit=RateLimit(limit=5, per_seconds=60),
    heartbeat=RateLimit(limit=1_200, per_seconds=60),
    worker_write=RateLimit(limit=600, per_seconds=60),
    buyer_write=RateLimit(limit=600, per_seconds=60),
    api_read=RateLimit(limit=600, per_seconds=60),
    stream=RateLimit(limit=600, per_seconds=60),
    webhook=RateLimit(limit=1_200, per_seconds=60),
    sign_in=RateLimit(limit=20, per_seconds=60),
    email_code=RateLimit(limit=30, per_seconds=600),
    health=RateLimit(limit=1_200, per_seconds=60),
    admin=RateLimit(limit=600, per_seconds=60),
)

PAYLOAD_LIMITS: Final = PayloadLimits(
    worker_connect=16_384,
    task_input=131_072,
    work_submit=262_144,
    worker_profile=8_192,
    small_body=4_096,
    webhook=524_288,
)

RETENTION: Final = Retention(task_text_days=365)

# Loose enough for honest newcomers and for offices behind one address; a public market may tighten.
ABUSE: Final = Abuse(
    window_hours=24,
    unfinished_claims_min=100,
    unfinished_rate_limit=0.9,
    new_worker_completed=20,
    new_worker_max_concurrent=100,
    workers_per_network_per_day=100,
    sign_ups_per_network_per_day=20,
    bonuses_per_network_per_day=3,
    one_bonus_per_mailbox=True,
    bonus_for_disposable_mail=False,
    separate_own_workers=True,
    payout_changes_max=3,
    payout_changes_days=7,
    rejected_credits_max=3,
    scan_texts=True,
)

DEFAULT_CONFIG: Final = Config(
    pricing=PRICING,
    packs=PACKS,
    signup=SIGNUP,
    commissions=COMMISSIONS,
    tiers=TIERS,
    dispatch=DISPATCH,
    quality=QUALITY,
    rate_limits=RATE_LIMITS,
    payload_limits=PAYLOAD_LIMITS,
    retention=RETENTION,
    abuse=ABUSE,
    versions={},
)
"""Every section as seeded. Its `versions` are empty, as none of it was read from a database."""
