"""Forms: read strictly, after the door has bounded them and seen that they come from our pages."""

from openclaw_jobs.kit.errors import invalid
from openclaw_jobs.kit.forms import parse_form
from openclaw_jobs.web.pages import PageRequest

__all__ = ["form", "form_list"]

_CSRF = "csrf_token"


async def form(request: PageRequest, *names: str, max_chars: int = 2000) -> dict[str, str]:
    """The fields of a form, stripped; one that was not sent is empty, as a box without a tick is.

    Args:
        request: Whose body it is.
        names: All fields that the form has; another is refused, and so is one that comes twice.
        max_chars: The longest that any of them may be.

    Raises:
        Problem: 422 `validation_failed`; 413 over the route's `body_limit`.
    """
    sent = await form_list(request, *names, max_chars=max_chars)
    for name, values in sent.items():
        if len(values) > 1:
            raise invalid(name, "It was sent more than once.")
    return {name: (sent.get(name) or [""])[0] for name in names}


async def form_list(
    request: PageRequest, *names: str, max_chars: int = 2000
) -> dict[str, list[str]]:
    """As `form`, for fields that may come several times (boxes of one name): all values of each.

    Raises:
        Problem: 422 `validation_failed`; 413 over the route's `body_limit`.
    """
    sent = parse_form(await request.body())
    sent.pop(_CSRF, None)
    for name, values in sent.items():
        if name not in names:
            raise invalid(name, "This form has no such field.")
        if any(len(value) > max_chars for value in values):
            raise invalid(name, f"At most {max_chars} characters fit.")
    return {name: [value.strip() for value in values] for name, values in sent.items()}
