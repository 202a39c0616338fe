"""What the stand-in for Dataverse takes is held against the library that Dataverse is built on."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sandbox.dataverse.app import create_app
from sandbox.dataverse.schema import APPOINTMENT, Column, Navigation
from sandbox.dataverse.seed import CONTACT_IDS
from sandbox.dataverse.store import Store
from tests.tools import odata
from tests.tools.odata import Taken, taking

API = "/api/data/v9.2"
ONE = f"{API}/appointments(20000000-0000-4000-8000-000000000001)"
CONTACT = f"/contacts({CONTACT_IDS[0]})"
HEADERS = {"Content-Type": "application/json", "If-None-Match": "*"}

WRONG: list[tuple[str, str, str, str]] = [
    ("GET", f"{API}/appointment", "", ""),
    ("GET", f"{API}/appointments", "$select=colour", ""),
    ("GET", f"{API}/appointments", "$filter=subject%20is%20%27x%27", ""),
    ("GET", f"{API}/appointments", "$filter=subject%20eq%201", ""),
    ("GET", ONE, "$expand=parties", ""),
    ("PATCH", ONE, "", '{"colour": "red"}'),
    ("PATCH", ONE, "", '{"scheduledstart": "tomorrow"}'),
    ("PATCH", ONE, "", '{"regardingobjectid@odata.bind": "/nobodies(1)"}'),
]


@pytest.fixture(autouse=True)
def _library() -> None:
    if (missing := odata.missing()) is not None:
        pytest.skip(missing)


def taken(*requests: tuple[str, str, str, str], store: Store | None = None) -> Taken:
    """As if the stand-in had taken these."""
    made = Taken()
    for method, path, query, body in requests:
        made.note(store or Store(), method=method, path=path, query=query, body=body.encode())
    return made


def test_the_library_refuses_what_it_should() -> None:
    """Names, types, operators and addresses: each of these alone is found."""
    assert taken(*WRONG).refused().count("    -> ") == len(WRONG)


def test_an_organisations_own_columns_are_known() -> None:
    """By the type that they have there; the same name with another type in another organisation disturbs nobody."""
    organisations: list[tuple[Column, Any]] = [(Column("new_a", "String"), "x"), (Column("new_a", "Integer"), 1)]
    made = Taken()
    for column, value in organisations:
        store = Store()
        lookup = Navigation("new_Who_Appointment", "new_who", ("contact",))
        store.tables["appointments"] = APPOINTMENT.extended(column, Column("new_who", "Lookup"), navigations=(lookup,))
        body = f'{{"new_a": {value!r}, "new_Who_Appointment@odata.bind": "{CONTACT}"}}'.replace("'", '"')
        made.note(store, method="PATCH", path=ONE, query="", body=body.encode())
        made.note(store, method="GET", path=ONE, query="$select=new_a,_new_who_value", body=b"")
    assert made.refused() == ""
    made.note(Store(), method="PATCH", path=ONE, query="", body=b'{"new_b": 1}')
    assert "new_b" in made.refused()


async def test_what_is_answered_well_is_remembered() -> None:
    """And nothing else: what the stand-in refuses need not be right."""
    store = Store()
    with taking() as remembered:
        async with TestClient(TestServer(create_app(store))) as client:
            assert (await client.get(f"{API}/contacts?$select=fullname")).status == 200
            assert (await client.get(f"{API}/contacts?$select=colour")).status == 400
    assert len(remembered) == 1
    assert remembered.refused() == ""
