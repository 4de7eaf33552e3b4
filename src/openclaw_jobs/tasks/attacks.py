"""What in a text may attack whoever reads it: pure rules, which never change the text.

A prompt may try to turn a worker against its owner, a result may try the same with its buyer or
with the program that reads on. Rules see known shapes, not intent: a warning is a hint, and no
warning proves nothing. `docs/how-to/fight-abuse.md` describes each code; `tests/tasks` measures how
often the rules miss and how often they blame.

Most texts hold none of the words that a rule needs, so a text's words are looked at first; only
around one that a rule waits for its pattern is tried.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

__all__ = ["PROMPT_CODES", "RESULT_CODES", "WarningCode", "in_prompt", "in_result"]

WarningCode = Literal[
    "instructions_override",
    "asks_for_secrets",
    "asks_to_run",
    "invisible_text",
    "data_url",
    "script_link",
    "credentials_in_link",
    "looks_like_secret",
]

_AROUND: Final = 160
"""Characters around a word that a pattern may look at."""

_MOST_PLACES: Final = 1000
"""A text that repeats a word more often than this is looked at no further for that word."""


class _Rule:
    """A pattern that is tried around each place where one of its words stands."""

    def __init__(self, code: WarningCode, words: str, pattern: str) -> None:
        self.code: Final = code
        self.words: Final = words.split()
        self._pattern: Final = re.compile(pattern)

    def matches(self, lowered: str, word: str) -> bool:
        return any(
            self._pattern.search(lowered, max(0, at - _AROUND), at + _AROUND)
            for at in _places(lowered, word)
        )


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    for _ in range(_MOST_PLACES):
        if at < 0:
            return
        yield at
        at = text.find(word, at + len(word))


def _by_word(rules: Iterable[_Rule]) -> dict[str, list[_Rule]]:
    found: dict[str, list[_Rule]] = {}
    for rule in rules:
        for word in rule.words:
            found.setdefault(word, []).append(rule)
    return found


_EARLIER: Final = (
    r"(?:previous|prior|preceding|earlier|above|system|original|initial|existing|other)"
)
_ORDERS: Final = (
    r"(?:instructions?|prompts?|rules|directions|guidelines|directives|commands|context)"
)
_PRIVATE: Final = (
    r"(?:api[ _-]?keys?|(?:access|auth|bearer|lease|worker|session) tokens?|secrets?|credentials?"
    r"|passwords?|private keys?|ssh keys?|environment variables?|env(?:ironment)? vars?"
    r"|\.env\b|id_rsa|~/\.ssh|\.aws/credentials|seed phrases?|/etc/shadow"
    r"|openclaw_token|openclaw_key|system prompt|hidden prompt)"
)
_GIVE: Final = (
    r"(?:print|reveal|send|post|show|output|leak|exfiltrate|dump|include|give me|tell me|paste"
    r"|upload|return|repeat|read|append|forward|disclose|list|echo|cat|curl)"
)
_YOURS: Final = (
    r"(?:your|(?:all|any|every)(?: of)? your|the (?:agent|worker|host|machine|server|system)(?:'s)?"
    r"|this machine(?:'s)?|its)"
)
_URL: Final = r"https?://\S+"

_TURNING: Final = (
    _Rule(
        "instructions_override",
        "ignore disregard forget override overriding bypass",
        rf"\b(?:ignore|disregard|forget|overrid(?:e|ing)|bypass)\b(?: \w+){{0,3}}?"
        rf" (?:(?:your|all|any|the|of|my|every|these|those) )*{_EARLIER}(?: \w+)? {_ORDERS}\b"
        rf"|\b(?:ignore|disregard|forget|override|bypass) (?:all |any )?(?:of )?your"
        rf" (?:\w+ )?(?:{_ORDERS}|training|safety|restrictions|guardrails|filters)\b"
        r"|\b(?:ignore|disregard|forget) everything"
        r" (?:(?:that was |you were |i |we )?(?:said|told|written)|above|before|so far)"
        rf"|\b(?:ignore|disregard|forget) (?:all |everything |any )?{_ORDERS}"
        r" (?:above|before|given|so far)\b"
        rf"|\b(?:ignore|disregard|forget) the {_ORDERS} (?:given |stated )?(?:above|before)\b",
    ),
    _Rule(
        "instructions_override",
        "now jailbreak jailbroken mode",
        r"\byou are now (?:in |an? )?(?:\w+ ){0,2}?"
        r"(?:developer mode|dan\b|jailbroken|unrestricted|unfiltered|free (?:of|from)|root\b)"
        r"|\bfrom now on,? (?:you )?(?:will |must |should |only |always )*"
        r"(?:obey|ignore|act as (?:if you|an? un)|follow only|have no (?:restrictions|rules))"
        r"|\b(?:enable|enter|activate|switch to) (?:developer|jailbreak|god) mode\b"
        r"|\bdo anything now\b",
    ),
    _Rule(
        "instructions_override",
        "im_start system inst sys endoftext",
        r"<\|im_start\|>|<\|system\|>|\[/inst\]|<<sys>>|<\|endoftext\|>"
        r"|(?:^|\n)\s*\[system\]|(?:^|\n)### system(?: prompt| message| override)?:",
    ),
    _Rule(
        "instructions_override",
        "instructions instruction override prompt",
        r"\b(?:new|real|true|updated) instructions? (?:from|by) (?:the )?(?:system|admin|developer"
        r"|operator|owner|user|platform)\b|\b(?:system|admin) override\s*[:!]"
        r"|\b(?:here|these) are (?:your |the )?(?:new|real) instructions\b"
        r"|(?:^|\n)\W*new instructions?\s*:|\bend of prompt\b\W+\w+",
    ),
    _Rule(
        "asks_for_secrets",
        "key keys apikey api_key token tokens secret secrets credential credentials password"
        " passwords environment environ env vars id_rsa ssh aws phrase phrases shadow"
        " openclaw_token openclaw_key prompt instructions",
        rf"\b{_GIVE}\b(?: \w+){{0,4}}? {_YOURS}(?: \w+){{0,2}}? {_PRIVATE}"
        rf"|\b{_GIVE}\b[^.\n]{{0,60}}(?:id_rsa|~/\.ssh|\.aws/credentials|/etc/shadow"
        rf"|openclaw_token|openclaw_key)"
        rf"|\b(?:send|post|upload|forward|exfiltrate|leak)\b[^.\n]{{0,40}}\b{_PRIVATE}[^.\n]{{0,40}}"
        rf"(?:to {_URL}|to \S+@\S+)"
        rf"|\b{_GIVE}\b(?: \w+){{0,3}}? (?:all|any|every) {_PRIVATE}[^.\n]{{0,20}}"
        r"\b(?:you|available to you)\b"
        r"|\bwhat (?:is|are) your (?:api[ _-]?keys?|system prompt|access tokens?|credentials"
        r"|environment variables|initial instructions)",
    ),
    _Rule(
        "asks_to_run",
        "curl wget rm base64 bin powershell nc tcp chmod invoke iex",
        r"\b(?:curl|wget)\b[^\n|]{0,120}\|\s*(?:sudo )?(?:ba|z|da)?sh\b"
        r"|\b(?:run|execute|paste|type|enter|start|launch)\b[^\n]{0,60}"
        r"(?:\bcurl |\bwget |rm -rf|base64 -d|powershell|/bin/(?:ba)?sh|chmod \+x)"
        r"|\bbase64 -d\b[^\n]{0,40}\|\s*(?:ba)?sh\b|/dev/tcp/\d|\bnc -e\b"
        r"|\brm -rf\s+(?:/|~)(?:\s|\*|$)"
        r"|\bpowershell\b[^\n]{0,60}-e(?:nc(?:odedcommand)?)?\b|\binvoke-expression\b[^\n]{0,60}http"
        r"|\biex\s*\(",
    ),
    _Rule(
        "asks_to_run",
        "command commands script scripts shell terminal machine answer answering sandbox",
        r"\b(?:run|execute) (?:the following|this) (?:shell |bash |terminal |system )?"
        r"(?:command|script)s?\b[^.\n]{0,50}"
        r"\bon (?:your|the) (?:machine|host|server|system|computer)"
        r"|\b(?:run|execute)\b[^.\n]{0,50}\bin your (?:shell|terminal|sandbox)\b"
        r"|\b(?:before|after) (?:you )?answer(?:ing)?\b[^.\n]{0,30}\b(?:run|execute)\b",
    ),
    _Rule(
        "data_url",
        "data",
        r"data:(?:text/(?:html|javascript)|application/(?:javascript|x-|octet-stream|xhtml)"
        r"|image/svg)[\w+.;=-]*,",
    ),
)  # fmt: skip

_LEADING: Final = (
    _Rule(
        "script_link",
        "javascript vbscript script iframe onerror onload data",
        r"(?:\]\(|href\s*=\s*[\"']?|src\s*=\s*[\"']?|<)\s*(?:javascript|vbscript|data:text/html)[:;,]"
        r"|(?:^|\s)(?:javascript|vbscript):\s*(?:alert|fetch|eval|window|document|location|void)"
        r"|<img\b[^>\n]{0,80}\bonerror\s*=|<(?:svg|body|iframe)\b[^>\n]{0,80}\bonload\s*=",
    ),
    _Rule(
        "credentials_in_link",
        "http https",
        r"\bhttps?://[^\s/@:\"'<>]{1,64}:[^\s/@\"'<>]{1,64}@[\w.-]+"
        r"|\bhttps?://[^\s\"'<>]{1,120}[?&](?:access_token|api_?key|auth|password|passwd|secret"
        r"|token|session(?:_?id)?|cookie)=(?!\.\.\.|<|\{|x{3,}|your)[^\s&\"'<>]{6,}",
    ),
)  # fmt: skip

_SECRET_WORDS: Final = (
    "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "sk_live_", "rk_live_", "sk-", "xoxb-",
    "xoxp-", "AIza", "-----BEGIN", "ocb_", "ocw_", "eyJ", "glpat-", "npm_",
)  # fmt: skip
_SECRETS: Final = re.compile(
    r"\b(?:AKIA|ASIA)(?!\w*EXAMPLE)[0-9A-Z]{16}\b|\bgh[pos]_[A-Za-z0-9]{36}\b"
    r"|\bgithub_pat_\w{60,}|\b[sr]k_live_[A-Za-z0-9]{16,}"
    r"|\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}|\bxox[bp]-[0-9A-Za-z-]{20,}|\bAIza[\w-]{35}"
    r"|-----BEGIN (?:RSA |EC |OPENSSH |DSA |ENCRYPTED )?PRIVATE KEY-----"
    r"|\boc[bw]_[A-Za-z0-9_-]{24,}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}|\bglpat-[\w-]{20}|\bnpm_[A-Za-z0-9]{36}\b"
)

# What is drawn as nothing: tags (U+E0000), bidirectional overrides and isolates, and runs of
# zero-width characters. A single one is in honest text: joiners in emoji and Indic scripts, a soft
# hyphen, a mark of byte order at the start. Flags of regions are spelled in tags behind U+1F3F4.
_INVISIBLE: Final = re.compile(
    "(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0000-\U000e007f]{2}"
    "|[\u202d\u202e]"
    "|[\u200b\u2060\u2061-\u2064\ufeff\u180e]{3}"
    "|[\u200b\u200c\u200d\u2060\ufeff]{6}"
)
_SEPARATORS: Final = re.compile("[\u200b\u2060\u00ad\ufeff]")
_SPACES: Final = re.compile(r"[^\S\n]+")
_WORDS: Final = re.compile(r"[a-z0-9_]+")

_PROMPT_RULES: Final = _by_word(_TURNING)
_RESULT_RULES: Final = _by_word(_TURNING + _LEADING)

PROMPT_CODES: Final = frozenset(
    {"instructions_override", "asks_for_secrets", "asks_to_run", "invisible_text", "data_url"}
)
RESULT_CODES: Final = PROMPT_CODES | {"script_link", "credentials_in_link", "looks_like_secret"}


def in_prompt(texts: Iterable[str]) -> list[WarningCode]:
    """What in the texts of a task may attack the worker that reads them; codes, sorted.

    The same texts always give the same codes, whatever kind of task they are in.
    """
    found: set[WarningCode] = set()
    for text in texts:
        found.update(_look(text, _PROMPT_RULES))
    return sorted(found)


def in_result(text: str) -> list[WarningCode]:
    """What in a result may attack its buyer, or whatever reads on; codes, sorted."""
    found = set(_look(text, _RESULT_RULES))
    if any(word in text for word in _SECRET_WORDS) and _SECRETS.search(text):
        found.add("looks_like_secret")
    return sorted(found)


def _look(text: str, rules: Mapping[str, Sequence[_Rule]]) -> Iterator[WarningCode]:
    if not text.isascii():
        if _INVISIBLE.search(text):
            yield "invisible_text"
        # A word with nothing in between its letters reads as the word.
        text = _SEPARATORS.sub("", text)
    lowered = text.lower()
    if "  " in lowered or "\t" in lowered:
        lowered = _SPACES.sub(" ", lowered)
    for word in rules.keys() & set(_WORDS.findall(lowered)):
        for rule in rules[word]:
            if rule.matches(lowered, word):
                yield rule.code
