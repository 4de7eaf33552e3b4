"""What in a text may attack whoever reads it: pure rules, which never change the text.

A prompt may try to turn a worker against its owner, a result may try the same with its buyer or
with the program that reads on. Rules see known shapes, not intent: a warning is a hint, and no
warning proves nothing. `docs/how-to/fight-abuse.md` describes each code; `tests/tasks` measures how
often the rules miss and how often they blame.

Most texts hold none of the words that a rule needs, so a text's words are looked at first; only
around one that a rule waits for its pattern is tried.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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

_REMEMBERED: Final = 10_000
_MOST_CHARS: Final = 65_536
"""Of a longer text the first and the last half of this are looked at: it is the same thread that
answers everybody, and a text can be made so that looking takes long."""

_AROUND: Final = 160
"""Characters around a word that a pattern may look at."""


class _Rule:
    """A pattern that is tried around each place where one of its words stands."""

    def __init__(self, code: WarningCode, words: str, pattern: str) -> None:
        self.code: Final = code
        self.words: Final = frozenset(words.split())
        self._pattern: Final = re.compile(pattern)

    def matches(self, lowered: str, words: Iterable[str]) -> bool:
        return any(
            self._pattern.search(lowered, start, end) for start, end in _around(lowered, words)
        )


def _around(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The parts of a text around these words, each part once however many are in it."""
    places = sorted(at for word in words for at in _places(text, word))
    start = end = -1
    for at in places:
        if at - _AROUND > end:
            if end >= 0:
                yield start, end
            start = max(0, at - _AROUND)
        end = at + _AROUND
    if end >= 0:
        yield start, end


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


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

PROMPT_CODES: Final = frozenset(
    {"instructions_override", "asks_for_secrets", "asks_to_run", "invisible_text", "data_url"}
)
RESULT_CODES: Final = PROMPT_CODES | {"script_link", "credentials_in_link", "looks_like_secret"}


class _Remembered:
    """What was found in texts lately, by their hashes: a result is read again and again."""

    def __init__(self, find: Callable[[str], tuple[WarningCode, ...]]) -> None:
        self._find: Final = find
        self._known: dict[bytes, tuple[WarningCode, ...]] = {}

    def __call__(self, text: str) -> tuple[WarningCode, ...]:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        found = self._known.get(digest)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                # The oldest goes: dictionaries keep the order of insertion.
                del self._known[next(iter(self._known))]
            found = self._known[digest] = self._find(text)
        return found


def in_prompt(texts: Iterable[str]) -> list[WarningCode]:
    """What in the texts of a task may attack the worker that reads them; codes, sorted.

    The same texts always give the same codes, whatever kind of task they are in.
    """
    return sorted({code for text in texts for code in _known_of_prompt(text)})


def in_result(text: str) -> list[WarningCode]:
    """What in a result may attack its buyer, or whatever reads on; codes, sorted."""
    return list(_known_of_result(text))


def _of_prompt(text: str) -> tuple[WarningCode, ...]:
    return tuple(sorted(set(_look(text, _TURNING))))


def _of_result(text: str) -> tuple[WarningCode, ...]:
    found = set(_look(text, _TURNING + _LEADING))
    if any(word in text for word in _SECRET_WORDS) and _SECRETS.search(text):
        found.add("looks_like_secret")
    return tuple(sorted(found))


_known_of_prompt: Final = _Remembered(_of_prompt)
_known_of_result: Final = _Remembered(_of_result)


def _look(text: str, rules: Sequence[_Rule]) -> Iterator[WarningCode]:
    if len(text) > _MOST_CHARS:
        text = f"{text[: _MOST_CHARS // 2]}\n{text[-_MOST_CHARS // 2 :]}"
    if not text.isascii():
        if _INVISIBLE.search(text):
            yield "invisible_text"
        # A word with nothing in between its letters reads as the word.
        text = _SEPARATORS.sub("", text)
    lowered = text.lower()
    if "  " in lowered or "\t" in lowered:
        lowered = _SPACES.sub(" ", lowered)
    here = set(_WORDS.findall(lowered))
    for rule in rules:
        words = rule.words & here
        if words and rule.matches(lowered, words):
            yield rule.code
