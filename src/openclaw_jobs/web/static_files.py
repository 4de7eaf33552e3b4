"""The files under `/static`: in memory, under addresses that change with them.

All share one version, the hash of them all, as a folder: `/static/3f2a…/app.js`. So a script finds
its neighbours by a relative path, and whatever has that address can be kept for ever.
"""

import gzip
import hashlib
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["StaticFile", "StaticFiles"]

FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_SMALLER: Final = frozenset({".css", ".js", ".json", ".svg", ".txt", ".webmanifest"})
_VERSION_CHARS: Final = 16


class StaticFile(msgspec.Struct, frozen=True):
    """One file: what it is, and what it holds, plain and compressed where that makes it smaller."""

    media_type: str
    etag: str
    content: bytes
    gzipped: bytes | None


class StaticFiles:
    """The files of a folder, as they were at the start.

    Args:
        folder: Where they are.
        watch: Look again at each call whether one has changed, for who works on them.
    """

    def __init__(self, folder: Path = FOLDER, *, watch: bool = False) -> None:
        self._folder = folder
        self._watch = watch
        self._seen: frozenset[tuple[str, int, int]] | None = None
        self.version = ""
        self._files: dict[str, StaticFile] = {}
        self._load()

    def url(self, name: str) -> str:
        """The address of a file.

        Raises:
            KeyError: There is no such file.
        """
        if self._watch:
            self._load()
        if name not in self._files:
            raise KeyError(f"web/static holds no {name!r}")
        return f"/static/{self.version}/{name}"

    def find(self, name: str) -> StaticFile | None:
        """A file by its name, or None."""
        return self._files.get(name)

    def _load(self) -> None:
        paths = sorted(p for p in self._folder.rglob("*") if p.suffix in _TYPES and p.is_file())
        seen = frozenset((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in paths)
        if seen == self._seen:
            return
        files: dict[str, StaticFile] = {}
        whole = hashlib.sha256()
        for path in paths:
            name = path.relative_to(self._folder).as_posix()
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            whole.update(f"{name} {digest}\n".encode())
            small = gzip.compress(content, mtime=0) if path.suffix in _SMALLER else None
            files[name] = StaticFile(
                media_type=_TYPES[path.suffix],
                etag=f'"{digest[:32]}"',
                content=content,
                gzipped=small if small is not None and len(small) < len(content) else None,
            )
        self._seen, self._files = seen, files
        self.version = whole.hexdigest()[:_VERSION_CHARS]
