"""Telling an answer from a refusal to answer."""

import re
from typing import Final

_MAX_CHARS: Final = 800
_HEAD_CHARS: Final = 240

_DO: Final = (
    r"(?:help|assist|do|provide|answer|comply|fulfil+|complete|access|browse|open|process|generate"
    r"|write|create|translate|perform|carry|support|continue|respond|engage|discuss|share|give"
    r"|proceed|see|view|read|find|determine|offer)"
)
_REFUSAL: Final = re.compile(
    rf"""
      \bi(?:\ am|'m)\ (?:really\ |so\ |very\ )?sorry\b(?!\ (?:to\ hear|for|about|that\ you))
    | \A(?:i\ )?(?:apologi[sz]e|sorry)\b(?!\ (?:to\ hear|for|about|that\ you))
    | \bas\ an?\ (?:ai|artificial|large\ language|language)\b
    | \bi\ (?:can(?:\ ?not|'t)|could(?:\ not|n't)|(?:am|'m)\ not\ able\ to|am\ unable\ to
        |won't\ be\ able\ to|will\ not\ be\ able\ to|won't|must\ decline\ to)
        \ (?:be\ able\ to\ )?{_DO}\b
    | \bi'm\ (?:unable|not\ able)\ to\ {_DO}\b
    | \bi\ (?:do\ not|don't)\ have\ (?:the\ )?(?:access|ability|permission|information|enough)\b
    | \Aerror:\ | \Asomething\ went\ wrong\b
    | \bes\ tut\ mir\ leid\b | \bich\ kann\ [^.]{{0,60}}\ nicht\b
    | \b(?:je\ suis\ désolée?|lo\ siento|mi\ dispiace)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether a plain text is a short one that opens with declining, excusing or failing.

    A long text is an answer, even one that begins with an apology.
    """
    return len(text) <= _MAX_CHARS and _REFUSAL.search(text[:_HEAD_CHARS]) is not None
