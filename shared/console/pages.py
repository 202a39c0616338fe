"""What a page is given and what it returns, without a web framework; `functions/console.py` adapts it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.console import words
from shared.errors import BadDelivery, describe
from shared.storage.sessions import Session
from shared.timestamps import parse_time

ROOT = "/api/console"
NOBODY = Session("", "")
TEMPLATES = Path(__file__).parent / "templates"
_MAX_FORM_FIELDS = 1100


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `headers` with lower-case names; `page` is what follows the console's address.

    `loopback`: the browser has come to this very machine, where nobody listens in and there is no certificate.
    """

    method: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    loopback: bool = False

    def form(self) -> dict[str, list[str]]:
        """The form's fields. Raises `BadDelivery` for what is none."""
        try:
            return parse_qs(self.body.decode(), max_num_fields=_MAX_FORM_FIELDS, errors="strict")
        except ValueError as error:
            raise BadDelivery("bad_form", "This is not a form of the console.") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; the headers that every page has are there."""

    status: int
    html: str
    headers: Mapping[str, str]


def page(template: str, *, status: int = 200, script: str = "", **context: Any) -> Answer:
    """A page from its template; `script` names the one file of a script that it may run."""
    code = _file(script) if script else ""
    always = {"root": ROOT, "here": template.partition(".")[0], "now": datetime.now(UTC), "session": NOBODY}
    html = _environment().get_template(template).render(always | {"script": _ours(code)} | context)
    return Answer(status, html, _headers(script=code))


def refused(error: Exception) -> Answer:
    """The page for what could not be done, with what to do next."""
    described = describe(error)
    title = "Settings are incomplete" if described.code == "not_configured" else "Not done"
    title = "Out of reach" if described.service else title
    return page("message.html", status=described.status, title=title, text=described.words)


def redirect(to: str, *, cookie: str = "", **query: str) -> Answer:
    """Go on to another page of the console, with GET."""
    location = f"{ROOT}/{to}" + (f"?{urlencode(query)}" if query else "")
    return Answer(303, "", {**_headers(cookie=cookie), "Location": location})


def nothing(*, cookie: str = "") -> Answer:
    """Done, and nothing to show."""
    return Answer(204, "", _headers(cookie=cookie))


@cache
def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _ours(text: str) -> Markup:
    """Text that we wrote, to be printed as it is: escaped it would no longer fit its digest in the policy."""
    return Markup(text)  # noqa: S704 - from our own files only


def _headers(*, script: str = "", cookie: str = "") -> dict[str, str]:
    """Nothing from elsewhere, nothing stored, nothing framed; style and script only as we wrote them."""
    policy = {
        "default-src": "'none'",
        "style-src": _digest(_file("style.css")),
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    if script:
        policy |= {"script-src": _digest(script), "connect-src": "'self'"}
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return headers | ({"Set-Cookie": cookie} if cookie else {})


@cache
def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    """Everything that a template prints is escaped, whatever it is; a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "moment": _moment,
        "value": words.value,
        "pretty": words.pretty,
        "lasting": words.lasting,
        "outcome": words.outcome,
        "part": words.part,
    }
    made.globals |= {"style": _ours(_file("style.css")), "tone": words.tone}
    return made


def _moment(text: str | datetime | None) -> Markup:
    """A time as people read it, in UTC; what is none is shown as it is."""
    if not text:
        return Markup("{}").format(words.NONE)
    try:
        moment = (text if isinstance(text, datetime) else parse_time(text)).astimezone(UTC)
    except ValueError:
        return Markup("{}").format(text)
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), f"{moment:%d %b %Y, %H:%M:%S} UTC"
    )
