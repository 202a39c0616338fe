"""Who gets in, what a form must bring, and what every answer says to browsers and caches."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from sandbox.outreach.deliveries import MeetingScript
from shared.admin.admin import MAX_REASON
from shared.console.access import ROLE
from shared.console.pages import Answer, Request
from shared.storage.sessions import LENGTH, TABLE
from tests.product.bench import Installation

PAGES = (
    "home",
    "find",
    "meeting",
    "event",
    "deadletters",
    "preview",
    "nowhere",
    "replay",
    "dismiss",
    "sign-out",
    "session",
)
SHOWN = ("home", "deadletters", "preview", "sign-in")


TENANT = "7e000000-0000-4000-8000-000000000000"
PLATFORM = {"WEBSITE_AUTH_ENABLED": "True", "AZURE_TENANT_ID": TENANT}
TENANT_CLAIM = "http://schemas.microsoft.com/identity/claims/tenantid"


def principal(
    *roles: str,
    kind: str = "roles",
    provider: str = "aad",
    tenants: Iterable[str] = (TENANT,),
    claim: str = TENANT_CLAIM,
    who: str = "11111111-1111-4111-8111-111111111111",
) -> dict[str, str]:
    """The headers that App Service Authentication adds for a person."""
    claims = [{"typ": kind, "val": role} for role in roles] + [{"typ": claim, "val": tenant} for tenant in tenants]
    content = {"auth_typ": provider, "claims": claims, "role_typ": "roles"}
    return {"x-ms-client-principal": encoded(content), "x-ms-client-principal-id": who}


def encoded(content: Any) -> str:
    """`content` as the platform writes it into its header."""
    return base64.b64encode(json.dumps(content).encode()).decode()


def cookie_of(answer: Answer) -> str:
    """The cookie that an answer sets, as a browser sends it back."""
    return answer.headers["Set-Cookie"].partition(";")[0]


async def signed_in(product: Installation) -> Request:
    """A request of somebody who has signed in with the key."""
    answer = await product.runtime.console.sign_in(Request("POST", "session"))
    return Request("GET", "home", headers={"cookie": cookie_of(answer)})


async def form_token(product: Installation, request: Request) -> str:
    """What the forms of this session hold."""
    answer = await product.runtime.console.show(replace(request, page="preview"))
    found = re.search(r'name="form" value="([0-9a-f]{64})"', answer.html)
    assert found
    return found[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("page", PAGES)
async def test_nobody_sees_anything_without_a_session(product: Installation, page: str, method: str) -> None:
    """Every page asks to sign in, whether it exists or not, and tells nothing else."""
    await product.sync(MeetingScript(1).booked())
    for cookie in ("", "__Host-console=", "__Host-console=made-up", "console=x", "a=b; __Host-console=ü"):
        headers = {"cookie": cookie, "x-functions-key": "guessed", **principal(ROLE)}
        answer = await product.runtime.console.show(Request(method, page, query={"id": "1"}, headers=headers))
        assert answer.status == 401
        assert "Admin key" in answer.html
        assert "meeting:1" not in answer.html
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("page", SHOWN)
async def test_what_every_page_says_to_browsers(product: Installation, page: str) -> None:
    """Nothing from elsewhere, nothing framed, nothing kept, no script but the one of the sign-in page."""
    request = replace(await signed_in(product), page=page) if page != "sign-in" else Request("GET", page)
    answer = await product.runtime.console.show(request)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert ("script-src" in policy) == ("<script>" in answer.html) == (page == "sign-in")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", answer.html)
    assert not re.search(r"\son\w+=|\sstyle=", answer.html)


async def test_the_cookie(product: Installation) -> None:
    """No script can read it, no other site use it, no plain http gets it; what is stored does not give it away.

    Only on the browser's own machine, where there is no certificate, it is not kept from plain http.
    """
    answer = await product.runtime.console.sign_in(Request("POST", "session"))
    assert answer.status == 204
    name, _, token = cookie_of(answer).partition("=")
    assert name == "__Host-console"
    for attribute in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
        assert f"; {attribute}" in answer.headers["Set-Cookie"]
    plain = await product.runtime.console.sign_in(Request("POST", "session", loopback=True))
    assert cookie_of(plain).startswith("console=")
    assert "Secure" not in plain.headers["Set-Cookie"]
    rows = await product.runtime._table(TABLE).query("PartitionKey eq @s", {"s": "session"}, limit=10)
    assert len(rows) == 2
    assert token not in json.dumps(rows, default=str)


async def test_the_key_in_the_address_is_left_behind(product: Installation) -> None:
    """A browser that brings it there gets a session and another address; a script with the header gets the page."""
    console = product.runtime.console
    answer = await console.enter(Request("GET", "", query={"code": "the-key"}))
    assert (answer.status, answer.headers["Location"]) == (303, "/api/console/home")
    assert "the-key" not in str(answer.headers)
    shown = await console.show(Request("GET", "home", headers={"cookie": cookie_of(answer)}))
    assert shown.status == 200
    page = await console.enter(Request("GET", "", headers={"x-functions-key": "the-key"}))
    assert page.status == 200
    assert "At a glance" in page.html
    assert "Set-Cookie" not in page.headers


async def test_a_session_ends(product: Installation) -> None:
    """By itself after some hours, and for good when somebody signs out; old rows are tidied away."""
    request = await signed_in(product)
    assert (await product.runtime.console.show(request)).status == 200
    product.runtime.later = LENGTH + timedelta(seconds=1)
    assert (await product.runtime.console.show(request)).status == 401
    second = await signed_in(product)
    assert len(await product.runtime._table(TABLE).query("PartitionKey eq @s", {"s": "session"}, limit=10)) == 1
    body = urlencode({"form": await form_token(product, second)}).encode()
    out = await product.runtime.console.show(replace(second, method="POST", page="sign-out", body=body))
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert (await product.runtime.console.show(second)).status == 401


@pytest.mark.parametrize("page", ["replay", "dismiss", "preview", "find", "sign-out"])
async def test_a_form_must_be_ours(product: Installation, page: str) -> None:
    """Without the token of this very session nothing is done: not without one, not with another's."""
    failed = await product.sync(MeetingScript(1).booked(startTime="nonsense"))
    request, other = await signed_in(product), await signed_in(product)
    for token in ("", "made-up", "ü", await form_token(product, other)):
        body = urlencode({"form": token, "all": "yes", "id": failed["correlationId"], "reason": "x"}).encode()
        answer = await product.runtime.console.show(replace(request, method="POST", page=page, body=body))
        assert answer.status == 400
    assert len(await product.dead_letters()) == 1
    assert (await product.runtime.console.show(request)).status == 200


async def test_replay_sends_what_was_chosen(product: Installation) -> None:
    """One dead letter goes by its id, all by their button; what is not chosen stays."""
    for number in (1, 2, 3):
        await product.sync(MeetingScript(number).booked(startTime="nonsense"))
    chosen = (await product.dead_letters())[0]["correlationId"]
    request = await signed_in(product)
    token = await form_token(product, request)
    body = urlencode({"form": token, "id": chosen}).encode()
    answer = await product.runtime.console.show(replace(request, method="POST", page="replay", body=body))
    assert answer.headers["Location"] == "/api/console/deadletters?replayed=1"
    assert len(await product.dead_letters()) == 2
    body = urlencode({"form": token, "all": "yes"}).encode()
    await product.runtime.console.show(replace(request, method="POST", page="replay", body=body))
    assert await product.dead_letters() == []


@pytest.mark.parametrize(
    ("headers", "by"),
    [({}, "_master"), (principal(ROLE), "11111111-1111-4111-8111-111111111111")],
    ids=["with the key", "signed in by the platform"],
)
async def test_who_sent_it_again_or_dismissed_it_is_recorded(
    product: Installation, caplog: pytest.LogCaptureFixture, headers: dict[str, str], by: str
) -> None:
    """In the journal and in the log: the name of the key, or the person's id; what nobody touched names nobody."""
    caplog.set_level("INFO", logger="outreach_dynamics")
    await product.restart(**PLATFORM)
    again, gone, _ = [await product.sync(MeetingScript(number).booked(startTime="nonsense")) for number in (1, 2, 3)]
    assert {again["by"], gone["by"]} == {None}
    begin = Request("GET", "home", headers=headers) if headers else Request("POST", "session")
    entered = await (product.runtime.console.show(begin) if headers else product.runtime.console.sign_in(begin))
    request = Request("GET", "home", headers={**headers, "cookie": cookie_of(entered)})
    token = await form_token(product, request)

    async def press(page: str, entry: dict[str, Any]) -> dict[str, Any]:
        body = urlencode({"form": token, "id": entry["correlationId"], "reason": "x"}).encode()
        await product.runtime.console.show(replace(request, method="POST", page=page, body=body))
        await product.work()
        found = await product.correlation(entry["correlationId"])
        assert found is not None
        shown = await product.runtime.console.show(replace(request, page="event", query={"id": entry["correlationId"]}))
        assert by in shown.html
        return found

    assert (await press("replay", again))["by"] == by
    assert (await press("dismiss", gone))["by"] == by
    lines = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert {line["what"]: line["by"] for line in lines if "by" in line} == {"sent_again": by, "dismissed": by}


async def test_dismiss_lets_go_of_what_was_chosen(product: Installation) -> None:
    """One dead letter goes by its id and with a reason; without one, or with no id, none does."""
    first, second = [await product.sync(MeetingScript(number).booked(startTime="nonsense")) for number in (1, 2)]
    request = await signed_in(product)
    token = await form_token(product, request)

    async def dismiss(**fields: str) -> Answer:
        body = urlencode({"form": token, **fields}).encode()
        return await product.runtime.console.show(replace(request, method="POST", page="dismiss", body=body))

    for reason in ({}, {"reason": "  "}, {"reason": "x" * (MAX_REASON + 1)}):
        answer = await dismiss(id=first["correlationId"], **reason)
        assert (answer.status, "Say why in a few words" in answer.html) == (400, True)
    assert (await dismiss(reason="x", all="yes")).headers["Location"].endswith("?dismissed=0")
    assert len(await product.dead_letters()) == 2
    answer = await dismiss(id=first["correlationId"], reason="Deleted in Outreach.")
    assert answer.headers["Location"] == "/api/console/deadletters?dismissed=1"
    (left,) = await product.dead_letters()
    assert left["correlationId"] == second["correlationId"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=1" for _ in range(2000))])
async def test_what_is_no_form_is_refused(product: Installation, body: bytes) -> None:
    """Bytes and floods of fields are told so."""
    request = await signed_in(product)
    answer = await product.runtime.console.show(replace(request, method="POST", page="replay", body=body))
    assert answer.status == 400


async def test_the_platform_may_sign_people_in(product: Installation) -> None:
    """With App Service Authentication on, a person with the role gets in and stays in; without it nobody does."""
    await product.restart(**PLATFORM)
    console = product.runtime.console
    entered = await console.show(Request("GET", "home", headers=principal("Reader", ROLE)))
    assert entered.status == 200
    again = principal(ROLE) | {"cookie": cookie_of(entered)}
    assert "Set-Cookie" not in (await console.show(Request("GET", "home", headers=again))).headers
    for headers in (principal("Reader"), principal(), principal(ROLE, kind="name"), {"x-ms-client-principal": "e30="}):
        assert (await console.show(Request("GET", "home", headers=headers))).status == 401
    for broken in ("%%%", encoded([]), encoded({"claims": [1]}), encoded({"claims": [{"typ": [], "val": {}}]})):
        headers = principal(ROLE) | {"x-ms-client-principal": broken}
        assert (await console.show(Request("GET", "home", headers=headers))).status == 401


@pytest.mark.parametrize(
    "stranger",
    [
        {"provider": "google"},
        {"provider": "github"},
        {"provider": ""},
        {"tenants": ()},
        {"tenants": ("7f000000-0000-4000-8000-000000000000",)},
        {"tenants": (TENANT, "7f000000-0000-4000-8000-000000000000")},
        {"tenants": ("",)},
        {"claim": "issuer"},
        {"who": ""},
        {"who": " "},
    ],
    ids=str,
)
async def test_only_people_of_our_own_tenant_come_in(product: Installation, stranger: dict[str, Any]) -> None:
    """Whom another provider or tenant signs in, or somebody without an id, is nobody, whatever role they bring."""
    await product.restart(**PLATFORM)
    answer = await product.runtime.console.show(Request("GET", "home", headers=principal(ROLE, **stranger)))
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    short = principal(ROLE, claim="tid", tenants=(TENANT.upper(),))
    assert (await product.runtime.console.show(Request("GET", "home", headers=short))).status == 200


@pytest.mark.parametrize("tenant", ["", "common", "contoso.onmicrosoft.com"])
async def test_without_a_tenant_the_platforms_sign_in_opens_nothing(product: Installation, tenant: str) -> None:
    """Nobody can tell then whose people are ours; the admin key still works."""
    await product.restart(WEBSITE_AUTH_ENABLED="True", AZURE_TENANT_ID=tenant)
    for headers in (principal(ROLE), principal(ROLE, tenants=(tenant,)), principal(ROLE, tenants=())):
        assert (await product.runtime.console.show(Request("GET", "home", headers=headers))).status == 401
    assert (await product.runtime.console.show(await signed_in(product))).status == 200
    report = await product.status()
    assert "AZURE_TENANT_ID is not the GUID of a tenant" in report["parts"]["settings"]["reason"]


async def test_a_persons_session_is_theirs(product: Installation) -> None:
    """A cookie of somebody whom the platform signed in is worth nothing without that sign-in."""
    await product.restart(**PLATFORM)
    console = product.runtime.console
    entered = await console.show(Request("GET", "home", headers=principal(ROLE)))
    alone = {"cookie": cookie_of(entered)}
    assert (await console.show(Request("GET", "home", headers=alone))).status == 401
    lost = principal("Reader") | alone
    assert (await console.show(Request("GET", "home", headers=lost))).status == 401


async def test_headers_of_a_stranger_count_for_nothing(product: Installation) -> None:
    """Where the platform does not sign people in, anybody could send its headers: they are not read."""
    answer = await product.runtime.console.show(Request("GET", "home", headers=principal(ROLE)))
    assert answer.status == 401


async def test_who_signs_in_again_after_a_form_goes_on_where_it_was(product: Installation) -> None:
    """A session ends while somebody reads; the form's own address, asked for again, leads to the page that had it."""
    request = await signed_in(product)
    for form, page in (("replay", "deadletters"), ("dismiss", "deadletters"), ("sign-out", "home")):
        answer = await product.runtime.console.show(replace(request, page=form))
        assert (answer.status, answer.headers["Location"]) == (303, f"/api/console/{page}")
    assert len(await product.runtime._table(TABLE).query("PartitionKey eq @s", {"s": "session"}, limit=10)) == 1


async def test_what_is_looked_for_is_in_no_address(product: Installation) -> None:
    """Words of a title may be a name, and addresses reach logs: only the session that asked can read its own."""
    await product.sync(MeetingScript(1).booked(title="Demo for Jane Doe"))
    request, other = await signed_in(product), await signed_in(product)
    body = urlencode({"form": await form_token(product, request), "q": "jane doe"}).encode()
    answer = await product.runtime.console.show(replace(request, method="POST", page="find", body=body))
    address, _, query = answer.headers["Location"].partition("?")
    assert (answer.status, address) == (303, "/api/console/find")
    assert "jane" not in query.lower()
    asked = {"s": parse_qs(query)["s"][0]}
    assert "Demo for Jane Doe" in (await product.runtime.console.show(replace(request, page="find", query=asked))).html
    for stranger, wrong in ((other, asked), (request, {"s": "made-up"}), (request, {"s": "ü"}), (request, {})):
        shown = await product.runtime.console.show(replace(stranger, page="find", query=wrong))
        assert (shown.status, shown.headers["Location"]) == (303, "/api/console/home")
