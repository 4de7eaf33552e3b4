"""The pages: what a person sees of the marketplace, rendered here and served without script.

To add a page, write `web/<area>.py` with handlers and a list of them, and name the module in
`web/routes.py`::

    from litestar import get, post

    from openclaw_jobs.kit.doors import page_options
    from openclaw_jobs.web.forms import form
    from openclaw_jobs.web.pages import Page, PageRequest, redirect, render, site_of, viewer_of


    @get("/receipts/{deposit_id:str}", opt=page_options(auth="buyer"))
    async def receipt(request: PageRequest, deposit_id: FromPath[str]) -> Page:
        found = await get_receipt(site_of(request).market, buyer_of(request), deposit_id)
        return render(request, "receipt.html", title="Receipt", receipt=found)


    @post("/profile", opt=page_options(auth="user", rate="buyer_write"), status_code=303)
    async def save(request: PageRequest) -> Page:
        fields = await form(request, "name")
        ...
        return redirect(request, "/profile", flash=("success", "Saved."))


    HANDLERS: Final = [receipt, save]

What has happened before a handler runs: the session was looked up (`viewer_of(request)`), whoever
may not see the page was sent to the sign-in (401) or told so (403), the rate limit was counted, and
an unsafe method was held against forgery: its `Origin` is ours and it carries the CSRF token, in
the form's field `csrf_token` or in the header `X-CSRF-Token`. No handler needs to check any of it.

A refusal is a `kit.errors.Problem` as everywhere; a browser gets it as a page (`error.html`), a
fetch that does not accept HTML as a problem document. Only market/ opens transactions.

Every template has:

- `page`: `title`, `description`, `path`, `canonical` (a URL);
- `viewer`: `signed_in`, `user_id`, `name`, `email`, `buyer_id`, `is_operator`, `worker_id`,
  `session_id` (None where it does not apply);
- `csrf_token`: for `<meta>` and the hidden field; naming it in a template sets the visitor's cookie
  where nobody is signed in;
- `theme`: `light`, `dark` or None (the reader's system decides), from the cookie `theme`, in
  production `__Host-theme`;
- `static(name)`: the address of a file in `web/static`, to be kept for ever;
- `flashes`: what the page before wants said, each with `kind` (`success`, `info`, `error`) and
  `text`; naming it takes them;
- `public_url`, `environment` (`development` or `production`), `providers` (sign-ins on offer).

and the filters `money` (cents to `$1,234.56`), `isotime`, `when` (UTC for people),
`distance` (`3 minutes ago`), `plural`, `markdown` (a worker's text, harmless whatever it holds)
and `json_attr` (data for script, in an attribute). Undefined names are errors. Script, style and
pictures come from `static` alone: the Content-Security-Policy (`web/headers.py`) allows nothing
inline.
"""
