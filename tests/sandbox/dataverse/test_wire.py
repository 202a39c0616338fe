from __future__ import annotations

import pytest

from sandbox.dataverse.seed import CONTACT_IDS
from tests.sandbox.dataverse.org import ID, Org, appointment, error_code


async def test_every_answer_carries_the_headers_of_the_service(org: Org) -> None:
    """Good and bad answers name the OData version, the request and the limits."""
    for response in (await org.create(), await org.create(), await org.api.get("/nonsense")):
        assert response.headers["OData-Version"] == "4.0"
        assert response.headers["x-ms-service-request-id"] == response.headers["REQ_ID"]
        assert int(response.headers["x-ms-dop-hint"]) > 0
        assert int(response.headers["x-ms-ratelimit-burst-remaining-xrm-requests"]) >= 0
        assert response.headers["x-ms-ratelimit-time-remaining-xrm-requests"] == "1,200.00"
        assert "ARRAffinity" in response.headers["Set-Cookie"]


async def test_request_ids_differ(org: Org) -> None:
    """Each request has an id of its own, and the log knows it."""
    ids = [(await org.api.get("/WhoAmI")).headers["x-ms-service-request-id"] for _ in range(2)]
    logged = [entry["service_request_id"] for entry in (await org.view("requests"))["requests"]]
    assert ids == logged
    assert len(set(ids)) == 2


async def test_a_kept_cookie_is_noticed(org: Org) -> None:
    """A client that sends the affinity cookie back is counted."""
    org.api.cookies.clear()
    await org.api.get("/WhoAmI")
    org.api.cookies.clear()
    await org.api.get("/WhoAmI")
    assert "with_cookie" not in await org.view("counters")
    await org.api.get("/WhoAmI")
    assert (await org.view("counters"))["with_cookie"] == 1


@pytest.mark.parametrize("header", ["OData-Version", "OData-MaxVersion"])
async def test_another_odata_version_is_refused(org: Org, header: str) -> None:
    """Only OData 4.0 is spoken."""
    response = await org.api.get("/WhoAmI", headers={header: "3.0"})
    assert (response.status_code, error_code(response)) == (400, "0x80060888")


async def test_a_missing_odata_version_is_noticed(org: Org) -> None:
    """Requests without the version headers are answered and counted."""
    for header in ("OData-Version", "OData-MaxVersion"):
        del org.api.headers[header]
        assert (await org.api.get("/WhoAmI")).status_code == 200
    assert (await org.view("counters"))["without_odata_version"] == 2


@pytest.mark.parametrize(("version", "status"), [("v9.0", 200), ("v9.1", 200), ("v9.2", 200), ("v8.2", 404)])
async def test_the_versions_of_the_api(org: Org, version: str, status: int) -> None:
    """v9.0 to v9.2 are served, others are not."""
    assert (await org.api.get(str(org.api.base_url).replace("v9.2", version) + "WhoAmI")).status_code == status


@pytest.mark.parametrize(
    "path", ["", "nonsense", "Appointments", "appointment", "contacts/x", f"appointments({ID}", "$batch", "WhoAmI()/x"]
)
async def test_an_unknown_address_is_a_404(org: Org, path: str) -> None:
    """Addresses that do not exist, in this spelling, answer 404 in the error shape."""
    response = await org.api.get(f"/{path}")
    assert (response.status_code, error_code(response)) == (404, "0x80060888")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "contacts"),
        ("PATCH", f"contacts({CONTACT_IDS[0]})"),
        ("DELETE", f"contacts({CONTACT_IDS[0]})"),
        ("PATCH", "appointments"),
        ("DELETE", "appointments"),
        ("PUT", f"appointments({ID})"),
        ("POST", f"appointments({ID})"),
        ("POST", "WhoAmI"),
        ("POST", "EntityDefinitions(LogicalName='appointment')"),
        ("DELETE", f"appointments({ID})/appointment_activity_parties"),
        ("PATCH", f"appointments({ID})/subject"),
    ],
)
async def test_other_methods_are_refused(org: Org, method: str, path: str) -> None:
    """What the Web API or this stand-in does not do answers 405 and names what is possible."""
    response = await org.api.request(method, f"/{path}", json=appointment())
    assert response.status_code == 405
    assert response.headers["Allow"]


async def test_an_answer_is_json_of_odata(org: Org) -> None:
    """Bodies are JSON with minimal metadata, in UTF-8."""
    await org.create(ID, appointment(subject="Grüße"))
    response = await org.api.get(f"/appointments({ID})?$select=subject")
    assert response.headers["Content-Type"] == "application/json; odata.metadata=minimal"
    assert "Grüße".encode() in response.content
    assert response.headers["ETag"] == response.json()["@odata.etag"]
