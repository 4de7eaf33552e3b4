"""What the next page is to say: a signed cookie, shown once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from openclaw_jobs.kit.csrf import Signer

__all__ = ["MAX_AGE", "Flash", "FlashKind", "read_flashes", "sign_flashes"]

FlashKind = Literal["success", "info", "error"]

MAX_AGE: Final = timedelta(minutes=1)
_PURPOSE: Final = "flash"
_MOST: Final = 4
_MAX_CHARS: Final = 500


class Flash(msgspec.Struct, frozen=True, array_like=True):
    """One message."""

    kind: FlashKind
    text: str


_DECODER: Final = msgspec.json.Decoder(list[Flash])


def sign_flashes(signer: Signer, flashes: Sequence[Flash]) -> str:
    """The cookie's value; only the first few are kept, and none is longer than a cookie bears."""
    kept = [Flash(f.kind, f.text[:_MAX_CHARS]) for f in flashes[:_MOST]]
    return signer.sign(_PURPOSE, msgspec.json.encode(kept))


def read_flashes(signer: Signer, cookie: str | None) -> list[Flash]:
    """What a cookie tells; nothing if it is none that we made."""
    value = None if not cookie else signer.unsign(_PURPOSE, cookie)
    if value is None:
        return []
    try:
        return _DECODER.decode(value)
    except msgspec.DecodeError:
        return []
