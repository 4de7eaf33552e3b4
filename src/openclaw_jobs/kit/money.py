"""Money is an integer of US cents everywhere; this module only renders it."""


def format_cents(cents: int) -> str:
    """`123456` as `$1,234.56`, a negative amount with a leading minus sign."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
