"""Tokens that prove a form or a fetch comes from a page of ours, and values only we can have made.

Both are HMAC-SHA-256 under the server's secret. A CSRF token belongs to one cookie, so that a
token that somebody got for a browser of their own is of no use in another's.
"""

import base64
import hashlib
import hmac

__all__ = ["Signer"]


class Signer:
    """Makes and checks tokens under `secret`, which every node of a site must share."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        """Without the secret."""
        return "Signer()"

    def csrf_token(self, cookie: str) -> str:
        """The token of the browser that sends `cookie` (a session, or a visitor's)."""
        return self._tag("csrf", cookie.encode(errors="surrogatepass"))

    def is_csrf_token(self, token: str, cookie: str) -> bool:
        """Whether `token` is that of `cookie`; takes as long for a near miss as for a far one."""
        given = token.encode(errors="surrogatepass")
        return hmac.compare_digest(given, self.csrf_token(cookie).encode())

    def sign(self, purpose: str, value: bytes) -> str:
        """`value` as text that a cookie can hold, with a proof that it is of us and for this."""
        body = base64.urlsafe_b64encode(value).decode().rstrip("=")
        return f"{body}.{self._tag(purpose, value)}"

    def unsign(self, purpose: str, text: str) -> bytes | None:
        """What was signed for this purpose; None if `text` is no such thing."""
        body, _, tag = text.partition(".")
        try:
            value = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        wanted = self._tag(purpose, value)
        given = tag.encode(errors="surrogatepass")
        return value if hmac.compare_digest(given, wanted.encode()) else None

    def _tag(self, purpose: str, value: bytes) -> str:
        # A purpose holds no NUL, so no two pairs of purpose and value are signed alike.
        digest = hmac.digest(self._secret, purpose.encode() + b"\x00" + value, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
