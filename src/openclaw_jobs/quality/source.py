"""Comparing programs by their tokens: comments, spacing, quotes and local names are free.

No parser of any language runs here, so no text can crash or stall one. Two programs that do the
same in different ways are not recognised as such; `docs/explanation/comparison.md` says how often.
"""

import re
from collections.abc import Iterator
from typing import Final

from openclaw_jobs.quality.lexicon import word_set

_FENCED: Final = re.compile(
    r"^[ \t]{0,9}(?:```|~~~)[ \t]{0,9}([\w+#.-]{0,20})[^\n]{0,80}\n", re.MULTILINE
)
_FENCE_END: Final = re.compile(r"^[ \t]{0,9}(?:```|~~~)[ \t]*$", re.MULTILINE)
_TEXT_TAGS: Final = frozenset({"json", "text", "txt", "markdown", "md", "csv", "plain"})

_SHEBANG: Final = "#!"
_CODE_LINE: Final = re.compile(
    r"""[ \t]*(?:
        (?:async[ ])?def[ ]\w+\(|class[ ]\w+|import[ ][\w.]+[ ]*;?$|from[ ][\w.]+[ ]import[ ]
      | (?:export[ ])?(?:async[ ])?function\b.*\(|(?:const|let|var)[ ]\w+
      | (?:public|private|static)\b
      | \#include\b|\#!|return\b|(?:if|for|while|elif|else|try|except)\b.*[:{]$
      | (?:SELECT|INSERT|UPDATE|DELETE|CREATE|select|insert|update|delete|create)[ ].*
        (?:from|FROM|into|INTO|set|SET|table|TABLE)\b
      | .*[;{}]$|\w+(?:,[ ]\w+)*[ ]=[ ]\S|\w+\.\w+\(.*\)$
    )""",
    re.VERBOSE,
)
_ASSIGNMENT: Final = re.compile(r"[^(){};]*")
_CODE_SHARE: Final = 0.5
_SQL: Final = re.compile(
    r"\A\s*(?:--[^\n]*\n\s*)*(?:select|insert|update|delete|create|with)\b", re.IGNORECASE
)
_SQL_SIGNS: Final = re.compile(
    r"\b(?:where|join|order by|group by|values|limit)\b[^.]|;\s*\Z", re.IGNORECASE
)
_INDENTED: Final = re.compile(
    r"^[ \t]*(?:async |class |def |if |for |while |try|with ).*:[ \t]*(?:#.*)?$", re.MULTILINE
)


_DOC: Final = '"' * 3


def _lexer(comment: str) -> re.Pattern[str]:
    # What is opened and never closed reaches to the end of its line or text: scanning on for the
    # end from each of many openings would take time quadratic in a hostile text.
    return re.compile(
        rf"""
          (?P<doc>{_DOC}(?:[^"]|"(?!""))*(?:{_DOC}|\Z)|'''(?:[^']|'(?!''))*(?:'''|\Z))
        | (?P<string>[fFrRbBuU]{{0,2}}"(?:[^"\\\n]|\\.)*(?:"|(?=\n)|\\?\Z)
            |[fFrRbBuU]{{0,2}}'(?:[^'\\\n]|\\.)*(?:'|(?=\n)|\\?\Z)|`(?:[^`\\]|\\.)*(?:`|\\?\Z))
        | (?P<comment>{comment})
        | (?P<name>[^\W\d]\w*)
        | (?P<number>\d[\w.]*)
        | (?P<newline>\n[ \t]*)
        | (?P<space>[ \t\r\f\v]+)
        | (?P<op>[=!<>]==?|=>|->|:=|\+\+|--|\*\*|//|&&|\|\||<<|>>|[-+*/%&|^]=|.)
        """,
        re.VERBOSE | re.DOTALL,
    )


_BLOCK_COMMENT: Final = r"/\*(?:[^*]|\*(?!/))*(?:\*/|\*?\Z)"
_HASH_COMMENT: Final = r"\#[^\n]*"
_SQL_LEXER: Final = _lexer(rf"--[^\n]*|{_BLOCK_COMMENT}")
_INDENTED_LEXER: Final = _lexer(_HASH_COMMENT)
# `#` opens a comment in a shell, a directive in C and a colour in CSS.
_OTHER_LEXER: Final = _lexer(
    rf"//[^\n]*|{_BLOCK_COMMENT}|(?<!\S)\#(?![0-9a-fA-F]{{3,8}}\b|include|define|if|el|end|pragma|!)[^\n]*"
)
_KEYWORDS: Final = word_set(
    """
    and as assert async await break case catch class const continue def default del delete
    do elif else end except export extends false finally fn for from func function global if
    implements import in interface is lambda let match new nil none nonlocal not null or
    pass private protected public raise return self static super switch then this throw true
    try type typeof undefined use using var void where while with yield
    """
)
_TYPES: Final = word_set(
    """
    int long float double bool boolean char string auto byte short
    """
)
_RESERVED: Final = _KEYWORDS | _TYPES
_DEFINERS: Final = frozenset({"def", "function", "fn", "func"})


def blocks(text: str) -> tuple[str, str] | None:
    """The fenced code of an answer, joined, and its language; None without any."""
    found: list[str] = []
    language = ""
    at = 0
    while (start := _FENCED.search(text, at)) is not None:
        end = _FENCE_END.search(text, start.end())
        if start[1].lower() not in _TEXT_TAGS:
            found.append(text[start.end() : end.start() if end else len(text)])
            language = language or start[1].lower()
        if end is None:
            break
        at = end.end()
    return ("\n".join(found), language) if found else None


def program(text: str) -> str | None:
    """The program in an answer: its fenced blocks, or all of it where it reads like code."""
    fenced = blocks(text)
    if fenced is not None:
        return fenced[0] if fenced[1] or _reads_like_code(fenced[0]) else None
    return text if _reads_like_code(text) else None


def _reads_like_code(text: str) -> bool:
    if text.startswith(_SHEBANG):
        return True
    lines = [line for line in text.splitlines() if line.strip()]
    if _SQL.match(text) and _SQL_SIGNS.search(text):
        return True
    if len(lines) == 1 and _ASSIGNMENT.fullmatch(lines[0][:300]):
        return False  # "x = 2" is as often a solution as a program
    hits = sum(_CODE_LINE.match(line[:300]) is not None for line in lines)
    return bool(lines) and hits >= _CODE_SHARE * len(lines)


def _string(text: str) -> str:
    """A string whose quotes are the same wherever the choice is free."""
    prefix = text[: len(text) - len(text.lstrip("fFrRbBuU"))]
    rest = text[len(prefix) :]
    inner = rest[1:-1]
    if rest[0] == "`" or rest[-1] != rest[0] or '"' in inner or "'" in inner or "\\" in inner:
        return text
    return f'{prefix.lower().replace("u", "")}"{inner}"'


def _closed(part: str) -> bool:
    """Whether a comment or docstring ends before the text does."""
    if part.startswith("/*"):
        return len(part) >= len("/**/") and part.endswith("*/")
    quotes = part[:3]
    return quotes not in {_DOC, "'''"} or (len(part) >= len(_DOC * 2) and part.endswith(quotes))


def _raw(text: str, *, indented: bool, sql: bool) -> Iterator[tuple[str, str]]:
    """The tokens that count, as (kind, text); indentation as tokens where it has a meaning."""
    lexer = _SQL_LEXER if sql else _INDENTED_LEXER if indented else _OTHER_LEXER
    depth = 0
    levels = [0]
    fresh = True  # at the beginning of a line, where a string stands for itself: a docstring
    margin = 0
    for match in lexer.finditer(text):
        kind, part = match.lastgroup or "op", match[0]
        if kind == "newline":
            fresh, margin = True, len(part.expandtabs()) - 1
            continue
        docstring = kind == "doc" and fresh and not depth
        # One that is never closed would hide the rest of the text.
        if kind == "space" or ((kind == "comment" or docstring) and _closed(part)):
            continue
        if fresh and indented and not depth:
            while margin < levels[-1]:
                levels.pop()
                yield "indent", "\t<"
            if margin > levels[-1]:
                levels.append(margin)
            yield "indent", "\t" * len(levels)
        fresh = False
        if kind == "op":
            depth = max(0, depth + (part in "([{") - (part in ")]}"))
        if kind == "string":
            yield kind, _string(part)
        elif part != ";":
            yield kind, part.lower() if sql and kind == "name" else part


def _is_bound(before: str, after: str, *, depth: int, parameter: bool) -> bool:
    """Whether a name between two tokens is one that the program gives to its own."""
    if after == "(":
        return False
    return (
        parameter
        or before in _TYPES
        or before in {"let", "const", "var", "for", "lambda"}
        or (before == "," and after == "in")
        or (depth == 0 and after in {"=", ":="})
        or (depth == 0 and after == "," and before.startswith("\t"))
    )


def _bound(found: list[tuple[str, str]]) -> set[str]:
    """The names of a program's parameters and variables; they are free, unlike its functions."""
    names: set[str] = set()
    depth = 0
    parameters = 0  # the depth of the brackets that hold a definition's parameters
    texts = ["", "", *(part for _, part in found), ""]
    for index, (kind, part) in enumerate(found, start=2):
        before, after = texts[index - 1], texts[index + 1]
        if kind == "op" and part in {"(", "[", "{"}:
            depth += 1
            if part == "(" and (texts[index - 2] in _DEFINERS or before in _DEFINERS):
                parameters = depth
        elif kind == "op" and part in {")", "]", "}"}:
            parameters = 0 if depth == parameters else parameters
            depth = max(0, depth - 1)
        elif kind == "name" and before != "." and part.lower() not in _RESERVED:
            parameter = 0 < parameters == depth and before in {"(", ",", "*", "**"}
            if _is_bound(before, after, depth=depth, parameter=parameter):
                names.add(part)
    return names


def tokens(text: str) -> list[str]:
    """A program as its tokens, each local name as the number of its first appearance."""
    sql = _SQL.match(text) is not None
    indented = _INDENTED.search(text) is not None
    raw = list(_raw(text.strip() + "\n", indented=indented, sql=sql))
    bound = set() if sql else _bound(raw)
    numbers: dict[str, str] = {}
    found = []
    for index, (kind, part) in enumerate(raw):
        if kind == "name" and part in bound and not (index and raw[index - 1][1] == "."):
            found.append(numbers.setdefault(part, f"\N{SECTION SIGN}{len(numbers)}"))
        else:
            found.append(part)
    return found
