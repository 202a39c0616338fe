"""The people and rows that every sandbox starts with; other parts of the sandbox import them to refer to the same ones.

| who | ids | e-mail |
|---|---|---|
| application user | `10000000-…-000` | |
| Sales Rep One … Three (users) | `10000000-…-001` …, Entra object ids `1a000000-…-001` … | `rep.one@example.com` … |
| Contact One … Six | `20000000-…-001` … `006` | `contact.one@example.com` … |
| Lead One … Four | `30000000-…-001` … `004` | `lead.one@example.com` … |
| Opportunity One … Three | `40000000-…-001` … `003`, of contacts one to three | |
| Account One | `50000000-…-001` | `office@example.com` |
| Team One | `60000000-…-001` | |

`Former Rep` (`10000000-…-009`) has left the company: the user is disabled. One address (contact six) carries capitals,
as real ones do.
"""

from __future__ import annotations

from typing import Final

from sandbox.dataverse.schema import ACCOUNT, CONTACT, LEAD, OPPORTUNITY, SYSTEM_USER, TEAM
from sandbox.dataverse.store import Store

_TAIL: Final = "-0000-4000-8000-000000000"
NUMBERS: Final = ("One", "Two", "Three", "Four", "Five", "Six")


def _ids(prefix: str, many: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{_TAIL}{number:03}" for number in range(1, many + 1))


APP_USER_ID: Final = f"10000000{_TAIL}000"
APP_USER_OBJECT_ID: Final = f"1a000000{_TAIL}000"
USER_IDS: Final = _ids("10000000", 3)
USER_OBJECT_IDS: Final = _ids("1a000000", 3)
DISABLED_USER_ID: Final = f"10000000{_TAIL}009"
DISABLED_USER_OBJECT_ID: Final = f"1a000000{_TAIL}009"
DISABLED_USER_EMAIL: Final = "former.rep@example.com"
USER_EMAILS: Final = ("rep.one@example.com", "rep.two@example.com", "rep.three@example.com")
CONTACT_IDS: Final = _ids("20000000", 6)
CONTACT_EMAILS: Final = (
    "contact.one@example.com",
    "contact.two@example.com",
    "contact.three@example.com",
    "contact.four@example.com",
    "contact.five@example.com",
    "Contact.Six@Example.com",
)
LEAD_IDS: Final = _ids("30000000", 4)
LEAD_EMAILS: Final = ("lead.one@example.com", "lead.two@example.com", "lead.three@example.com", "lead.four@example.com")
OPPORTUNITY_IDS: Final = _ids("40000000", 3)
ACCOUNT_ID: Final = _ids("50000000", 1)[0]
TEAM_ID: Final = _ids("60000000", 1)[0]
BUSINESS_UNIT_ID: Final = f"70000000{_TAIL}001"
ORGANIZATION_ID: Final = f"80000000{_TAIL}001"


def seed(store: Store) -> None:
    """Put the default rows into an empty store."""
    store.app_user_id = APP_USER_ID
    store.business_unit_id = BUSINESS_UNIT_ID
    _users(store)
    store.put(ACCOUNT, {"accountid": ACCOUNT_ID, "name": "Account One", "emailaddress1": "office@example.com"})
    store.put(TEAM, {"teamid": TEAM_ID, "name": "Team One", "teamtype": 0, "isdefault": False})
    _people(store)
    for row_id, contact_id, number in zip(OPPORTUNITY_IDS, CONTACT_IDS, NUMBERS, strict=False):
        store.put(
            OPPORTUNITY,
            {
                "opportunityid": row_id,
                "name": f"Opportunity {number}",
                "statecode": 0,
                "statuscode": 1,
                "_parentcontactid_value": contact_id,
                "_customerid_value": ACCOUNT_ID,
                "_ownerid_value": USER_IDS[0],
            },
            targets={
                "_parentcontactid_value": "contact",
                "_customerid_value": "account",
                "_ownerid_value": "systemuser",
            },
        )


def _users(store: Store) -> None:
    store.put(
        SYSTEM_USER,
        {
            "systemuserid": APP_USER_ID,
            "azureactivedirectoryobjectid": APP_USER_OBJECT_ID,
            "applicationid": f"1b000000{_TAIL}000",
            "fullname": "# Outreach Sync",
            "accessmode": 4,
            "isdisabled": False,
        },
    )
    people = (
        *zip(USER_IDS, USER_OBJECT_IDS, USER_EMAILS, (f"Sales Rep {number}" for number in NUMBERS), strict=False),
        (DISABLED_USER_ID, DISABLED_USER_OBJECT_ID, DISABLED_USER_EMAIL, "Former Rep"),
    )
    for user_id, object_id, email, name in people:
        first, last = name.rsplit(" ", 1)
        store.put(
            SYSTEM_USER,
            {
                "systemuserid": user_id,
                "azureactivedirectoryobjectid": object_id,
                "fullname": name,
                "firstname": first,
                "lastname": last,
                "internalemailaddress": email,
                "domainname": email,
                "accessmode": 0,
                "isdisabled": user_id == DISABLED_USER_ID,
            },
        )


def _people(store: Store) -> None:
    for table, label, ids, emails in (
        (CONTACT, "Contact", CONTACT_IDS, CONTACT_EMAILS),
        (LEAD, "Lead", LEAD_IDS, LEAD_EMAILS),
    ):
        for row_id, email, number in zip(ids, emails, NUMBERS, strict=False):
            store.put(
                table,
                {
                    table.key: row_id,
                    "firstname": label,
                    "lastname": number,
                    "fullname": f"{label} {number}",
                    "emailaddress1": email,
                    "statecode": 0,
                    "statuscode": 1,
                    "merged": False,
                    "_ownerid_value": USER_IDS[0],
                },
                targets={"_ownerid_value": "systemuser"},
            )
