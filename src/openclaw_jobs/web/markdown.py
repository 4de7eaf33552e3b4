"""A worker's text as HTML that can do nothing.

Three walls, each of which would do: the parser is told to take no HTML and to make links of three
schemes only; it makes no `<img>`, but a link that says where the picture is; and what it made goes
through a sanitiser that knows the few tags, classes and addresses that may come out. Behind them
stands the page's Content-Security-Policy, which allows no script and no foreign picture at all.

What is too long or takes too long to be made pretty is shown as it is.
"""

import re
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

__all__ = ["render_markdown"]

MAX_CHARS: Final = 300_000
"""Above, a text is shown as it is; a result is bounded by `payload_limits.work_submit` anyway."""
MAX_MARKERS: Final = 8_000
"""Above this many characters that mean something in Markdown, too."""
MAX_LINES: Final = 3_000
"""Above this many lines, too: a list has an item on each."""
_MAX_NESTING: Final = 20
_MAX_COLOURED_CHARS: Final = 30_000
_COLOUR_BUDGET_S: Final = 0.15

# Languages that people ask for; a rare lexer may have an expression that takes for ever.
_LANGUAGES: Final = {
    "bash": "Shell", "c": "C", "cpp": "C++", "csharp": "C#", "css": "CSS", "diff": "Diff",
    "dockerfile": "Dockerfile", "go": "Go", "html": "HTML", "ini": "INI", "java": "Java",
    "javascript": "JavaScript", "json": "JSON", "kotlin": "Kotlin", "lua": "Lua",
    "makefile": "Makefile", "php": "PHP", "python": "Python", "r": "R", "ruby": "Ruby",
    "rust": "Rust", "sql": "SQL", "swift": "Swift", "toml": "TOML", "tsx": "TSX",
    "typescript": "TypeScript", "xml": "XML", "yaml": "YAML",
}  # fmt: skip
_ALIASES: Final = {
    "c++": "cpp", "cs": "csharp", "golang": "go", "js": "javascript", "jsx": "javascript",
    "kt": "kotlin", "make": "makefile", "py": "python", "python3": "python", "rb": "ruby",
    "rs": "rust", "sh": "bash", "shell": "bash", "ts": "typescript", "yml": "yaml", "zsh": "bash",
}  # fmt: skip
_LINKABLE: Final = frozenset({"http", "https", "mailto"})
_MARKERS: Final = re.compile(r"[*_`~\[\]<>!|#&\\]")

_TAGS: Final = {
    "a", "blockquote", "br", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "a": {"href", "title", "class", "target"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
_CLASSES: Final = frozenset({"code", "code-bar", "highlight", "table-wrap", "remote", "right",
                             "center"} | set(STANDARD_TYPES.values()))  # fmt: skip


def _allowed(_tag: str, name: str, value: str) -> str | None:
    """An attribute's value if it may come out."""
    fits = {
        "class": value in _CLASSES,
        "tabindex": value == "0",
        "target": value == "_blank",
        "start": len(value) <= 9 and value.isdecimal(),  # noqa: PLR2004 - as Markdown has it
    }
    return value if fits.get(name, True) else None


_CLEANER: Final = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    attribute_filter=_allowed,
    url_schemes=set(_LINKABLE),
    url_relative="deny",
    link_rel="noopener nofollow ugc",
    strip_comments=True,
)


def _is_linkable(url: str) -> bool:
    """Whether a link may lead there: to a web page of its own address, or to a mailbox."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    if parts.scheme.lower() not in _LINKABLE:
        return False
    return parts.scheme.lower() == "mailto" or bool(parts.netloc)


class _Colours:
    """How much of this thread's time is left to colour the code of one text.

    The thread's own, as a busy machine is no reason to leave a short text grey; and without the
    making of a lexer, which happens once and is no text's fault.
    """

    def __init__(self) -> None:
        self._left = _COLOUR_BUDGET_S
        self._chars = _MAX_COLOURED_CHARS

    def html(self, code: str, language: str) -> str | None:
        """`code` with a span for each token that has a class; None if it would take too long."""
        self._chars -= len(code)
        if self._chars < 0 or self._left < 0:
            return None
        # Its expressions are compiled here when the first of its kind is made.
        lexer = get_lexer_by_name(language, stripnl=False)
        deadline = time.thread_time() + self._left
        pieces: list[str] = []
        for kind, text in lexer.get_tokens(code):
            self._left = deadline - time.thread_time()
            if self._left < 0:
                return None
            name = STANDARD_TYPES.get(kind, "")
            plain = escapeHtml(text)
            pieces.append(f'<span class="{name}">{plain}</span>' if name else plain)
        return "".join(pieces)


def _code(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    asked = token.info.strip().split(maxsplit=1)[0].lower() if token.info.strip() else ""
    language = _ALIASES.get(asked, asked)
    known = language in _LANGUAGES
    colours: _Colours = env["colours"]
    coloured = colours.html(token.content, language) if known else None
    body = escapeHtml(token.content) if coloured is None else coloured
    title = _LANGUAGES.get(language, "Text")
    return (
        f'<div class="code"><div class="code-bar"><span>{title}</span></div>'
        f'<pre tabindex="0"><code class="highlight">{body}</code></pre></div>'
    )


def _image(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    url = str(token.attrGet("src") or "")
    words = token.content.strip() or "picture"
    label = escapeHtml(f"Picture: {words}")
    if not _is_linkable(url) or url.lower().startswith("mailto"):
        return f"<span>{label}</span>"
    host = escapeHtml(urlsplit(url).netloc)
    return f'<a class="remote" href="{escapeHtml(url)}">{label} (on {host})</a>'


def _cell(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    style = str(token.attrs.pop("style", ""))
    for side in ("right", "center"):
        if style.endswith(side):
            token.attrSet("class", side)
    rendered: str = self.renderToken(tokens, index, options, env)
    return rendered


def _heading(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    # The page has headings of its own above; a text's are below them.
    token = tokens[index]
    token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
    rendered: str = self.renderToken(tokens, index, options, env)
    return rendered


def _table_open(*_: Any) -> str:  # noqa: ANN401
    return '<div class="table-wrap" tabindex="0"><table>\n'


def _table_close(*_: Any) -> str:  # noqa: ANN401
    return "</table></div>\n"


def _parser() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark", {"html": False, "linkify": False, "maxNesting": _MAX_NESTING}
    ).enable(["table", "strikethrough"])
    # Both hooks are the library's way to be told: attributes of the parser.
    parser.validateLink = _is_linkable  # type: ignore[method-assign]
    rules = {
        "fence": _code, "code_block": _code, "image": _image, "heading_open": _heading,
        "heading_close": _heading, "th_open": _cell, "td_open": _cell,
        "table_open": _table_open, "table_close": _table_close,
    }  # fmt: skip
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


_PARSER: Final = _parser()


def _plain(text: str) -> Markup:
    return Markup('<div class="code"><pre tabindex="0"><code>{}</code></pre></div>').format(text)


def render_markdown(text: str | None) -> Markup:
    """`text` as HTML of paragraphs, lists, tables, code and links, harmless whatever it holds."""
    if not text:
        return Markup("")
    # A lone surrogate is no text that could be sent.
    text = text.encode(errors="replace").decode()
    if (
        len(text) > MAX_CHARS
        or text.count("\n") > MAX_LINES
        or len(_MARKERS.findall(text)) > MAX_MARKERS
    ):
        return _plain(text)
    try:
        made = _PARSER.render(text, {"colours": _Colours()})
    except (RecursionError, ValueError):
        return Markup("<p>{}</p>").format(escape(text))
    cleaned = _CLEANER.clean(made).replace("<a ", '<a target="_blank" ')
    return Markup(cleaned)  # noqa: S704 - just cleaned  # nosec B704
