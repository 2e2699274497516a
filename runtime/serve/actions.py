"""What a click does: keep the picture that is shown, or put a hard one into its class."""

import hmac
import logging
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from edgevit.runtime.serve.answers import TEXT, PageState, Response

LONGEST_BODY = 4096
"""Bytes of what a button sends."""
MOST_FIELDS = 8

log = logging.getLogger(__name__)


def read_fields(text: str) -> dict[str, str]:
    """Return the fields of a query or a form; none of what is no form."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        return {}


def act(state: PageState, path: str, fields: Mapping[str, str]) -> Response:
    """Do what a click asks for, and answer with the page again; or say in a line why not."""
    action = ACTIONS.get(path)
    if action is None:
        return Response(404, TEXT, b"there is nothing to send here; see /\n")
    given = fields.get("secret", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), state.secret.encode()):
        return Response(403, TEXT, b"this click does not come from the page as it is now; load the page again\n")
    try:
        told = action(state, fields)
    except (ValueError, FileNotFoundError) as error:
        return Response(409, TEXT, f"{error}\n".encode("utf-8", "replace"))
    except OSError as error:
        log.error("a picture cannot be saved: %s", error.strerror or error)
        return Response(507, TEXT, f"not saved: {error.strerror or error}\n".encode("utf-8", "replace"))
    # with 303 a browser without the page's script shows the page again
    return Response(303, TEXT, f"{told}\n".encode("utf-8", "replace"))


def _keep(state: PageState, fields: Mapping[str, str]) -> str:
    if state.clicks is None:
        raise ValueError("this page has no classes to save pictures in; use edgevit collect")
    return state.clicks.keep(fields.get("label", ""))


def _sort(state: PageState, fields: Mapping[str, str]) -> str:
    moved = state.hard.sort(fields.get("name", ""), fields.get("label", ""))
    return f"{moved.name} is in {moved.parent.name}"


ACTIONS: dict[str, Callable[[PageState, Mapping[str, str]], str]] = {"/keep": _keep, "/sort": _sort}
