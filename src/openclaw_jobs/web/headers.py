"""What every page tells the browser that it may do."""

from typing import Final

__all__ = ["page_headers"]

# Stripe's checkout is where the form of a deposit leads; a redirect after a form counts as its
# action. Sign-ins lead to Google and GitHub by a plain link.
_FORM_TARGETS: Final = "'self' https://checkout.stripe.com"
_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`, under which a browser tells our own forms' origin as `null`.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(),"
        " magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Vary": "Cookie",
}


def page_headers(
    *, production: bool, private: bool, form_targets: tuple[str, ...] = ()
) -> dict[str, str]:
    """The headers of a page.

    Args:
        production: Whether the site is reached over HTTPS for good.
        private: Whether somebody is signed in: then nothing of it is kept anywhere.
        form_targets: Further origins that a form may lead to.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self';"
        " connect-src 'self'; manifest-src 'self'; object-src 'none'; base-uri 'none';"
        " frame-ancestors 'none';"
        f" form-action {' '.join((_FORM_TARGETS, *form_targets))}"
    )
    headers = dict(_COMMON)
    if production:
        policy += "; upgrade-insecure-requests"
    headers["Content-Security-Policy"] = policy
    headers["Cache-Control"] = "private, no-store" if private else "private, no-cache"
    return headers
