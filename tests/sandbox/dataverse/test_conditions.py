from __future__ import annotations

import pytest

from tests.sandbox.dataverse.org import ID, OTHER_ID, RETURN, Org, appointment, error_code


async def etag(org: Org) -> str:
    return str((await org.read())["@odata.etag"])


async def test_without_a_condition_a_patch_is_an_upsert(org: Org) -> None:
    """The first PATCH creates, the second updates; both answer 204."""
    for subject in ("One", "Two"):
        response = await org.api.patch(f"/appointments({ID})", json=appointment(subject=subject))
        assert response.status_code == 204
    assert (await org.read())["subject"] == "Two"


async def test_an_upsert_tells_by_status_what_it_did(org: Org) -> None:
    """With return=representation an upsert answers 201 for a create and 200 for an update."""
    statuses = [
        (await org.api.patch(f"/appointments({ID})", json=appointment(), headers=RETURN)).status_code for _ in range(2)
    ]
    assert statuses == [201, 200]


async def test_update_only_refuses_an_absent_row(org: Org) -> None:
    """If-Match: * answers 404 where there is no row and creates none."""
    response = await org.update(appointment())
    assert (response.status_code, error_code(response)) == (404, "0x80040217")
    assert org.store.appointments == {}


async def test_a_fence_on_an_absent_row_is_a_404(org: Org) -> None:
    """If-Match with a version answers 404 where the row was deleted."""
    response = await org.update(appointment(), **{"If-Match": 'W/"1"'})
    assert (response.status_code, error_code(response)) == (404, "0x80040217")


async def test_the_fence_lets_the_current_version_through(org: Org) -> None:
    """If-Match with the current version updates and gives a new version."""
    await org.create()
    before = await etag(org)
    response = await org.update({"subject": "New"}, **{"If-Match": before, **RETURN})
    assert response.status_code == 200
    assert response.json()["@odata.etag"] == await etag(org) != before


async def test_the_fence_stops_a_stale_version(org: Org) -> None:
    """If-Match with an older version answers 412 and changes nothing."""
    await org.create()
    stale = await etag(org)
    await org.update({"subject": "New"})
    response = await org.update({"subject": "Zombie"}, **{"If-Match": stale})
    assert (response.status_code, error_code(response)) == (412, "0x80060882")
    assert (await org.read())["subject"] == "New"


async def test_every_write_gives_a_new_version(org: Org) -> None:
    """Versions grow with each write, even when nothing changes."""
    versions = []
    await org.create()
    for _ in range(3):
        versions.append(int((await etag(org))[3:-1]))
        await org.update({"subject": "Demo"})
    assert versions == sorted(set(versions))


async def test_unchanged_columns_are_counted(org: Org) -> None:
    """Writing a column with the value it has is counted, because it fires business logic for nothing."""
    await org.create()
    await org.update({"subject": "Demo", "location": "Room"})
    assert (await org.view("counters"))["unchanged_columns_written"] == 1


async def test_a_delete_may_be_fenced(org: Org) -> None:
    """DELETE obeys If-Match, and a second DELETE finds nothing."""
    await org.create()
    stale = await etag(org)
    await org.update({"subject": "New"})
    answers = [
        await org.api.delete(f"/appointments({ID})", headers={"If-Match": stale}),
        await org.api.delete(f"/appointments({ID})", headers={"If-Match": await etag(org)}),
        await org.api.delete(f"/appointments({ID})"),
    ]
    assert [answer.status_code for answer in answers] == [412, 204, 404]


async def test_an_unchanged_row_is_not_sent_again(org: Org) -> None:
    """GET with If-None-Match answers 304 while the version is the same."""
    await org.create()
    known = await etag(org)
    first = await org.api.get(f"/appointments({ID})", headers={"If-None-Match": known})
    await org.update({"subject": "New"})
    second = await org.api.get(f"/appointments({ID})", headers={"If-None-Match": known})
    assert (first.status_code, second.status_code) == (304, 200)


async def test_an_expanded_read_is_always_sent(org: Org) -> None:
    """GET with $expand never answers 304, because parties may have changed without the row."""
    await org.create()
    response = await org.api.get(
        f"/appointments({ID})",
        params={"$expand": "appointment_activity_parties"},
        headers={"If-None-Match": await etag(org)},
    )
    assert response.status_code == 200


@pytest.mark.parametrize("value", ['"123"', "123", 'W/"abc"', 'W/"1", W/"2"', ""])
async def test_an_etag_of_another_shape_is_refused(org: Org, value: str) -> None:
    """Only * and W/"number" are conditions."""
    await org.create()
    assert (await org.update({"subject": "New"}, **{"If-Match": value})).status_code == 400


async def test_both_conditions_at_once_are_refused(org: Org) -> None:
    """If-Match and If-None-Match contradict each other."""
    assert (await org.update(appointment(), **{"If-None-Match": "*"})).status_code == 400


async def test_if_none_match_null_is_no_condition(org: Org) -> None:
    """Microsoft's samples send If-None-Match: null with every request."""
    await org.create()
    assert (await org.update({"subject": "New"}, **{"If-None-Match": "null"})).status_code == 204


async def test_a_fence_needs_optimistic_concurrency(org: Org) -> None:
    """Where the table has optimistic concurrency off, a version in If-Match is refused and * is not."""
    await org.create()
    await org.lever("switches", optimistic_concurrency=False)
    fenced = await org.update({"subject": "New"}, **{"If-Match": await etag(org)})
    assert (fenced.status_code, error_code(fenced)) == (400, "0x8006088d")
    assert (await org.update({"subject": "New"})).status_code == 204


async def test_conditions_are_per_row(org: Org) -> None:
    """Writing one row leaves the version of another as it is."""
    await org.create()
    known = await etag(org)
    await org.create(OTHER_ID)
    assert await etag(org) == known
