"""Who takes part: everybody once, in the role that people gave, and nobody looked up who is not news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.dataverse.seed import CONTACT_EMAILS, CONTACT_IDS, LEAD_IDS, USER_EMAILS, USER_IDS
from sandbox.outreach.deliveries import Delivery, MeetingScript, Target
from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.records import Record
from sandbox.outreach.seed import NEWCOMER, NEWCOMER_EMAIL
from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.meeting.delivery import Reference
from tests.product.bench import Installation

# Later than all that happened to a meeting before.
LATER = datetime(2026, 6, 1, tzinfo=UTC)
REQUIRED, OPTIONAL, ORGANIZER = 5, 6, 7
REP = (ORGANIZER, USER_IDS[0])


def attended_by(script: MeetingScript, *prospects: int) -> Delivery:
    """Outreach says who attends from now on."""
    return script.changed(relationships={"prospects": tuple(Target("prospect", number) for number in prospects)})


def contact(role: int, number: int) -> dict[str, Any]:
    """A party as it is written."""
    return {"participationtypemask": role, "partyid_contact@odata.bind": f"/contacts({CONTACT_IDS[number]})"}


def user(role: int, number: int) -> dict[str, Any]:
    """A party as it is written."""
    return {"participationtypemask": role, "partyid_systemuser@odata.bind": f"/systemusers({USER_IDS[number]})"}


def by_address(role: int, address: str) -> dict[str, Any]:
    """A party as it is written."""
    return {"participationtypemask": role, "addressused": address}


def known_by(product: Installation, number: int, email: str) -> None:
    """Outreach has a prospect without a connection, with this address."""
    product.outreach.put(Record("prospect", number, {"emails": [email]}))


def asked(product: Installation) -> tuple[int, int]:
    """How many calls Outreach and Dynamics have had."""
    return product.outreach.log.total, product.crm.log.total


class TestOnce:
    async def test_an_attendee_whom_a_person_made_optional_stays_so(self, product: Installation) -> None:
        """Whoever comes or goes in Outreach, a role that a person gave in Dynamics stays, and nobody is there twice."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[101, 102]))
        product.edit(appointment_activity_parties=[contact(OPTIONAL, 0), contact(REQUIRED, 1), user(ORGANIZER, 0)])
        await product.sync(attended_by(script, 101, 102, 103))
        others = {(REQUIRED, CONTACT_IDS[1]), (REQUIRED, CONTACT_IDS[2]), REP}
        assert product.parties() == {(OPTIONAL, CONTACT_IDS[0]), *others}
        await product.sync(attended_by(script, 102, 103))
        assert product.parties() == others

    async def test_who_is_invited_again_by_a_person_stays(self, product: Installation) -> None:
        """Whom Outreach took out and a person invites again is the person's, whatever Outreach says of the others."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[101, 102]))
        await product.sync(attended_by(script, 102))
        product.invite(REQUIRED, CONTACT_IDS[0])
        await product.sync(attended_by(script, 103))
        assert product.parties() == {(REQUIRED, CONTACT_IDS[0]), (REQUIRED, CONTACT_IDS[2]), REP}

    @pytest.mark.parametrize(
        ("theirs", "expected"),
        [
            (by_address(OPTIONAL, CONTACT_EMAILS[2].upper()), (OPTIONAL, CONTACT_IDS[2])),
            (contact(OPTIONAL, 2), (OPTIONAL, CONTACT_IDS[2])),
            (contact(REQUIRED, 2), (REQUIRED, CONTACT_IDS[2])),
        ],
        ids=["by address", "optional", "required"],
    )
    async def test_somebody_who_was_there_before_outreach_said_so(
        self, product: Installation, theirs: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        """A person invited them already, under whatever name: the role stays, and there is no second party."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[101]))
        product.edit(appointment_activity_parties=[contact(REQUIRED, 0), user(ORGANIZER, 0), theirs])
        await product.sync(attended_by(script, 101, 103))
        assert product.parties() == {(REQUIRED, CONTACT_IDS[0]), expected, REP}

    async def test_two_prospects_who_are_one_person(self, product: Installation) -> None:
        """By contact, or by an address in other dead letters: one party."""
        known_by(product, 501, CONTACT_EMAILS[0].upper())
        known_by(product, 502, "Nobody@Example.com")
        known_by(product, 503, "nobody@example.com")
        await product.sync(MeetingScript(1).booked(prospects=[101, 501, 502, 503]))
        assert product.parties() == {(REQUIRED, CONTACT_IDS[0]), (REQUIRED, "nobody@example.com"), REP}
        assert len(product.writes()[0]["appointment_activity_parties"]) == 3

    @pytest.mark.parametrize("organizer", [0, 1])
    async def test_the_organizer_is_no_attendee(self, product: Installation, organizer: int) -> None:
        """A prospect with the address of the owner, or of whom a person made the organizer, is not invited beside."""
        script = MeetingScript(1)
        known_by(product, 501, USER_EMAILS[organizer].upper())
        await product.sync(script.booked(prospects=[101], user=1))
        product.edit(appointment_activity_parties=[contact(REQUIRED, 0), user(ORGANIZER, organizer)])
        await product.sync(attended_by(script, 101, 501))
        assert product.parties() == {(REQUIRED, CONTACT_IDS[0]), (ORGANIZER, USER_IDS[organizer])}

    async def test_a_guest_who_gets_a_record_keeps_the_role(self, product: Installation) -> None:
        """Invited by address, made optional by a person, then known as a contact: optional, by the record."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[NEWCOMER]))
        product.edit(appointment_activity_parties=[by_address(OPTIONAL, NEWCOMER_EMAIL), user(ORGANIZER, 0)])
        product.crm.rows["contact"][CONTACT_IDS[4]].values["emailaddress1"] = NEWCOMER_EMAIL
        await product.restart()
        product.runtime.later = timedelta(minutes=20)
        await product.runtime.sweep.run()
        await product.work()
        assert product.parties() == {(OPTIONAL, CONTACT_IDS[4]), REP}


class TestOrganizer:
    async def test_whom_a_person_made_owner_and_organizer_stays_both(self, product: Installation) -> None:
        """Attendees, title, end: nothing but another owner in Outreach moves them."""
        script = MeetingScript(1)
        await product.sync(script.booked(user=1))
        product.edit(
            **{"ownerid@odata.bind": f"/systemusers({USER_IDS[1]})"},
            appointment_activity_parties=[contact(REQUIRED, 0), user(ORGANIZER, 1)],
        )
        await product.sync(attended_by(script, 101, 103))
        await product.sync(script.changed(title="Next"))
        await product.sync(script.completed())
        everybody = {(REQUIRED, CONTACT_IDS[0]), (REQUIRED, CONTACT_IDS[2])}
        assert product.appointment.values["_ownerid_value"] == USER_IDS[1]
        assert product.parties() == {*everybody, (ORGANIZER, USER_IDS[1])}
        await product.sync(script.changed(relationships={"user": Target("user", 3)}))
        assert product.appointment.values["_ownerid_value"] == USER_IDS[2]
        assert product.parties() == {*everybody, (ORGANIZER, USER_IDS[2])}

    async def test_another_owner_brings_nobody_back(self, product: Installation) -> None:
        """With the owner the organizer is written, and everybody else stays as people left it."""
        script = MeetingScript(1)
        await product.sync(script.booked(user=1, prospects=[101, 102]))
        product.edit(appointment_activity_parties=[contact(OPTIONAL, 1), user(ORGANIZER, 0)])
        await product.sync(script.changed(relationships={"user": Target("user", 2)}))
        assert product.parties() == {(OPTIONAL, CONTACT_IDS[1]), (ORGANIZER, USER_IDS[1])}

    async def test_an_owner_who_is_no_user_moves_nobody(self, product: Installation) -> None:
        """Neither owner nor organizer."""
        script = MeetingScript(1)
        await product.sync(script.booked(user=1))
        await product.sync(script.changed(relationships={"user": Target("user", 4)}))
        assert product.appointment.values["_ownerid_value"] == USER_IDS[0]
        assert REP in product.parties()


class TestLookUps:
    async def test_a_title_costs_no_look_up(self, product: Installation) -> None:
        """Whoever is nobody in Dynamics, and however long ago they were looked up."""
        script = MeetingScript(1)
        for number in range(501, 541):
            known_by(product, number, f"guest{number}@example.com")
        await product.sync(script.booked(prospects=range(501, 541), opportunity=304, user=4))
        await product.restart()
        product.runtime.later = timedelta(days=3)
        before = asked(product)
        await product.sync(script.changed(title="Next"))
        assert asked(product) == (before[0], before[1] + 1)

    async def test_only_what_changes_is_looked_up(self, product: Installation) -> None:
        """Another owner is asked for, and none of the attendees; and a delivery that says nothing asks for nobody."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[NEWCOMER, 101], user=1))
        await product.restart()
        product.runtime.later = timedelta(days=3)
        before = product.outreach.log.total
        await product.sync(script.changed(relationships={"user": Target("user", 2)}))
        assert product.outreach.log.total == before + 1
        now = asked(product)
        await product.sync(script.changed())
        assert asked(product) == now

    async def test_another_mapping_asks_again(self, product: Installation, tmp_path: Path) -> None:
        """Who is invited how follows from the mapping too."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[NEWCOMER, 101]))
        mapping = tmp_path / "mapping.json"
        mapping.write_text(DEFAULT_MAPPING_FILE.read_text().replace('"unresolved": "address"', '"unresolved": "skip"'))
        await product.restart(MAPPING_FILE=str(mapping))
        await product.sync(script.changed(title="Next"))
        assert product.parties() == {(REQUIRED, CONTACT_IDS[0]), REP}

    async def test_a_follow_up_looks_everybody_up(self, product: Installation) -> None:
        """Who is somebody by then gets in, though no event says so."""
        await product.sync(MeetingScript(1).booked(prospects=[NEWCOMER]))
        product.crm.rows["lead"][LEAD_IDS[2]].values["emailaddress1"] = NEWCOMER_EMAIL
        await product.restart()
        product.runtime.later = timedelta(minutes=20)
        await product.runtime.sweep.run()
        await product.work()
        assert product.parties() == {(REQUIRED, LEAD_IDS[2]), REP}


class TestDeletedInOutreach:
    @pytest.fixture(params=["404", "410"])
    async def deleted(self, request: pytest.FixtureRequest, product: Installation) -> Installation:
        """The newcomer was invited by address and prospect 101 by record; Outreach has deleted both since."""
        script = MeetingScript(1)
        await product.sync(script.booked(prospects=[NEWCOMER, 101]), script.changed(title="Next"))
        for number in (NEWCOMER, 101):
            del product.outreach.records["prospect"][number]
        if request.param == "410":
            faults = {"next": [{"kind": "410", "path": "/api/v2/prospects/"}] * 20}
            product.outreach.faults = FaultPlan.parse(faults)
        await product.restart()
        product.runtime.later = timedelta(days=2)
        return product

    async def test_nobody_is_invited_by_an_address_of_theirs(self, deleted: Installation) -> None:
        """A new meeting has the contact, because it is one in Dynamics; the address is used no more, and forgotten."""
        entry = await deleted.sync(MeetingScript(2).booked(prospects=[NEWCOMER, 101]))
        (made,) = (one for one in deleted.crm.appointments.values() if one.id == entry["appointmentId"])
        there = {(party.values["participationtypemask"], party.values["_partyid_value"]) for party in made.parties}
        assert (REQUIRED, CONTACT_IDS[0]) in there
        assert (REQUIRED, None) not in there
        cache = deleted.runtime._people
        assert await cache.last_known(Reference("prospect", str(NEWCOMER))) is None
        contact_one = await cache.last_known(Reference("prospect", "101"))
        assert contact_one is not None
        assert (contact_one.records[0].id, contact_one.email) == (CONTACT_IDS[0], None)

    async def test_who_stands_in_an_appointment_stays(self, deleted: Installation) -> None:
        """Whatever else changes, until Outreach says that they do not attend."""
        script = MeetingScript(1, now=LATER)
        await deleted.sync(attended_by(script, NEWCOMER, 101, 105))
        stayed = {(REQUIRED, NEWCOMER_EMAIL), (REQUIRED, CONTACT_IDS[0]), REP}
        assert deleted.parties() >= stayed
        await deleted.sync(attended_by(script, 105))
        assert not deleted.parties() & (stayed - {REP})
