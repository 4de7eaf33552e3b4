"""Which spellings of an e-mail address reach one mailbox: for comparing only, never for sending."""

from typing import Final

__all__ = ["is_disposable", "mailbox_of"]

_DOTS_MEAN_NOTHING: Final = frozenset({"gmail.com", "googlemail.com"})

_SERVICES: Final = """
    10minutemail.com 20minutemail.com anonbox.net burnermail.io discard.email dispostable.com
    dropmail.me emailondeck.com fakeinbox.com getairmail.com getnada.com grr.la guerrillamail.biz
    guerrillamail.com guerrillamail.net guerrillamail.org guerrillamailblock.com incognitomail.org
    inboxkitten.com mail-temp.com mailcatch.com maildrop.cc mailinator.com mailinator.net
    mailnesia.com mailsac.com mintemail.com moakt.com mohmal.com mytemp.email nada.email
    pokemail.net sharklasers.com spam4.me spamgourmet.com temp-mail.io temp-mail.org tempail.com
    tempmail.dev tempmailo.com tempr.email throwawaymail.com trash-mail.com trashmail.com
    trashmail.de trashmail.net yopmail.com yopmail.fr yopmail.net
"""
_DISPOSABLE: Final = frozenset(_SERVICES.split())
"""Services that give anybody a mailbox for minutes. Never complete: a hurdle, not a wall."""


def mailbox_of(email: str) -> str:
    """One form for all spellings of a mailbox: no case, no `+tag`, in Gmail no dots.

    A provider that delivers `a+b@` and `a@` to different people is not known; should there be one,
    they are taken for one.
    """
    local, _, domain = email.strip().lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTS_MEAN_NOTHING:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def is_disposable(email: str) -> bool:
    """Whether an address is of a known throw-away mail service, or of a part of one."""
    parts = email.strip().lower().rpartition("@")[2].split(".")
    return any(".".join(parts[at:]) in _DISPOSABLE for at in range(len(parts) - 1))
