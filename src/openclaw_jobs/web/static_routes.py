"""`/static/…` and the files that browsers ask for by themselves."""

from typing import Final

from litestar import get
from litestar.params import FromPath

from openclaw_jobs.kit.doors import route_options
from openclaw_jobs.kit.errors import not_found
from openclaw_jobs.web.pages import Page, PageRequest, site_of

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "public, no-cache"
_NOT_MODIFIED: Final = 304
_FAVICON: Final = "favicon.svg"


def _serve(request: PageRequest, name: str, *, for_ever: bool) -> Page:
    found = site_of(request).files.find(name)
    if found is None:
        raise not_found("file")
    headers = {
        "Cache-Control": _FOR_EVER if for_ever else _ASK_AGAIN,
        "ETag": found.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if found.etag in request.headers.get("if-none-match", ""):
        return Page(None, status_code=_NOT_MODIFIED, headers=headers)
    content = found.content
    if found.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = found.gzipped, "gzip"
    if found.media_type == "image/svg+xml":
        # Opened as a page of its own, a drawing could run script.
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; object-src 'none'; base-uri 'none';"
            " frame-ancestors 'none'"
        )
    return Page(content, media_type=found.media_type, headers=headers)


@get("/static/{version:str}/{name:path}", opt=route_options(auth="public"))
async def static_file(request: PageRequest, version: FromPath[str], name: FromPath[str]) -> Page:
    """A file; under an address of another version it is served too, but not to be kept.

    That happens while some nodes already run a new version and others do not yet.
    """
    current = version == site_of(request).files.version
    return _serve(request, str(name).lstrip("/"), for_ever=current)


@get("/favicon.svg", opt=route_options(auth="public"))
async def favicon(request: PageRequest) -> Page:
    """The icon, where browsers and others look for it."""
    return _serve(request, _FAVICON, for_ever=False)


HANDLERS: Final = [static_file, favicon]
