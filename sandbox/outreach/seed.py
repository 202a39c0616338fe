"""The Outreach side of the people whom every sandbox starts with; `sandbox.dataverse.seed` has the other side.

| prospect | in Dynamics | how Outreach says so |
|---|---|---|
| 101 | contact one | `dataConnections`, a list |
| 102 | contact two | one object, the id in braces and upper case |
| 103 | contact three | JSON in a string |
| 104 | lead one | a list, upper case |
| 105 | lead two and contact four | a list of both |
| 106 | contact five | no connection; `externalId` is the contact's id |
| 107 | contact six | no connection; the e-mail address, in other capitals |
| 108 | nobody | a newcomer |
| 109 | lead three | no connection; the e-mail address |
| 110 | lead four | a connection of another CRM first, then this one in an object keyed by nothing but a URL |

| user | in Dynamics |
|---|---|
| 1, 3 | sales rep one, three, by `dataConnections` |
| 2 | sales rep two, by e-mail |
| 4 | nobody |
| 9 | the rep who left, by e-mail |

Opportunity 301 by `dataConnections`, 302 by `customId`, 303 by JSON in a string, 304 nowhere. Account 201.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sandbox.dataverse.seed import (
    ACCOUNT_ID,
    CONTACT_EMAILS,
    CONTACT_IDS,
    DISABLED_USER_EMAIL,
    LEAD_EMAILS,
    LEAD_IDS,
    OPPORTUNITY_IDS,
    USER_EMAILS,
    USER_IDS,
)
from sandbox.outreach.records import Record

if TYPE_CHECKING:
    from sandbox.outreach.store import Store

SEEDED_AT: Final = "2026-01-01T08:00:00.000Z"
CONTACT_PROSPECTS: Final = (101, 102, 103, 105, 106, 107)
LEAD_PROSPECTS: Final = (104, 109, 110)
NEWCOMER: Final = 108
NEWCOMER_EMAIL: Final = "newcomer@example.com"
USERS: Final = (1, 2, 3)
UNKNOWN_USER: Final = 4
FORMER_USER: Final = 9
OPPORTUNITIES: Final = (301, 302, 303)
UNKNOWN_OPPORTUNITY: Final = 304
ACCOUNT: Final = 201


def connection(kind: str, record_id: str) -> dict[str, str]:
    """One item of `meta.dataConnections`."""
    url = f"https://crm.example.com/main.aspx?etn={kind.lower()}&pagetype=entityrecord&id={record_id}"
    return {"connection": "Dynamics", "type": kind, "id": record_id, "url": url}


def seed(store: Store) -> None:
    """Put the default records into an empty store."""
    for record in (*_prospects(), *_users(), *_deals()):
        store.put(record)


def _stamped(attributes: dict[str, Any]) -> dict[str, Any]:
    return {**attributes, "createdAt": SEEDED_AT, "updatedAt": SEEDED_AT}


def _prospects() -> list[Record]:
    braces = f"{{{CONTACT_IDS[1].upper()}}}"
    other_crm = {"connection": "Other", "type": "Lead", "id": "00Q000000000001AAA", "url": "https://other.example.com/"}
    by_url_only = {"connection": "Dynamics", "id": LEAD_IDS[3], "url": connection("lead", LEAD_IDS[3])["url"]}
    people: tuple[tuple[int, str, object, str | None], ...] = (
        (101, CONTACT_EMAILS[0], [connection("Contact", CONTACT_IDS[0])], None),
        (102, CONTACT_EMAILS[1], connection("Contact", braces), None),
        (103, CONTACT_EMAILS[2], json.dumps([connection("Contact", CONTACT_IDS[2])]), None),
        (104, LEAD_EMAILS[0], [connection("Lead", LEAD_IDS[0].upper())], None),
        (105, LEAD_EMAILS[1], [connection("Lead", LEAD_IDS[1]), connection("Contact", CONTACT_IDS[3])], None),
        (106, "prospect.six@example.com", [], CONTACT_IDS[4]),
        (107, CONTACT_EMAILS[5].lower(), None, None),
        (NEWCOMER, NEWCOMER_EMAIL, [], None),
        (109, LEAD_EMAILS[2], None, "CRM-109"),
        (110, LEAD_EMAILS[3], [other_crm, by_url_only], None),
    )
    return [
        Record(
            "prospect",
            number,
            _stamped({"firstName": "Prospect", "lastName": str(number), "emails": [email], "externalId": external_id}),
            {"owner": ("user", 1), "account": ("account", ACCOUNT)},
            connections,
        )
        for number, email, connections, external_id in people
    ]


def _users() -> list[Record]:
    people: tuple[tuple[int, str, object], ...] = (
        (1, USER_EMAILS[0], [connection("SystemUser", USER_IDS[0])]),
        (2, USER_EMAILS[1], None),
        (3, USER_EMAILS[2], connection("User", USER_IDS[2].upper())),
        (UNKNOWN_USER, "rep.elsewhere@example.com", []),
        (FORMER_USER, DISABLED_USER_EMAIL, None),
    )
    return [
        Record(
            "user",
            number,
            _stamped({"firstName": "Rep", "lastName": str(number), "email": email, "locked": False}),
            {},
            connections,
        )
        for number, email, connections in people
    ]


def _deals() -> list[Record]:
    deals: tuple[tuple[int, object, str | None], ...] = (
        (301, [connection("Opportunity", OPPORTUNITY_IDS[0])], None),
        (302, None, f"{{{OPPORTUNITY_IDS[1].upper()}}}"),
        (303, json.dumps(connection("Opportunity", OPPORTUNITY_IDS[2])), None),
        (UNKNOWN_OPPORTUNITY, [], "DEAL-304"),
    )
    opportunities = [
        Record(
            "opportunity",
            number,
            _stamped({"name": f"Opportunity {number}", "customId": custom_id}),
            {"owner": ("user", 1), "account": ("account", ACCOUNT)},
            connections,
        )
        for number, connections, custom_id in deals
    ]
    account = Record("account", ACCOUNT, _stamped({"name": "Account One"}), {}, [connection("Account", ACCOUNT_ID)])
    return [account, *opportunities]
