"""What the configuration's page says of each field, taken from the reference.

`python -m tests.web.config_help` writes it anew after the reference has changed.
"""

import json
import re
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
HELP: Final = _ROOT / "src/openclaw_jobs/web/config_help.json"
REFERENCE: Final = _ROOT / "docs/reference/configuration.md"
_LINK: Final = re.compile(r"\[([^]]+)\]\([^)]+\)")


def from_reference() -> dict[str, dict[str, str]]:
    """By section: what it is (under ""), and what each of its fields is."""
    found: dict[str, dict[str, str]] = {}
    for part in re.split(r"^## ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name = re.match(r"`(\w+)`\n\n", part)
        if name is None:
            continue
        body = part[name.end() :]
        section: dict[str, str] = {}
        if not body.startswith("|"):
            section[""] = _plain(re.split(r"(?<=\.) ", body.split("\n")[0])[0])
        for row in re.findall(r"^\| `([\w.]+)` \| ([^|]*?) ?\|", body, flags=re.MULTILINE):
            if row[1]:
                section[row[0]] = _plain(row[1])
        found[name[1]] = section
    return found


def _plain(text: str) -> str:
    words = _LINK.sub(r"\1", text).replace("`", "")
    return words[:1].upper() + words[1:]


def written() -> str:
    """The file."""
    return json.dumps(from_reference(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    HELP.write_text(written(), encoding="utf-8")
