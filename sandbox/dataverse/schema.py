"""What the stand-in knows of Dataverse's tables: columns, types, lengths and navigation properties.

Written by hand from Microsoft's table reference
(https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/appointment). `appointment` and
`activityparty` are complete; of the other tables only what a meeting sync reads is here. Checking of values is in
`values`, business rules are in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

ColumnType = Literal[
    "String",
    "Memo",
    "Integer",
    "BigInt",
    "Decimal",
    "Double",
    "Money",
    "Boolean",
    "DateTime",
    "DateOnly",
    "Uniqueidentifier",
    "Picklist",
    "MultiSelectPicklist",
    "State",
    "Status",
    "EntityName",
    "Lookup",
    "Owner",
    "PartyList",
    "Virtual",
]
RequiredLevel = Literal["None", "SystemRequired", "ApplicationRequired", "Recommended"]

EDM_TYPES: Final[dict[ColumnType, str]] = {
    "String": "Edm.String",
    "Memo": "Edm.String",
    "EntityName": "Edm.String",
    "Integer": "Edm.Int32",
    "Picklist": "Edm.Int32",
    "State": "Edm.Int32",
    "Status": "Edm.Int32",
    "BigInt": "Edm.Int64",
    "Decimal": "Edm.Decimal",
    "Double": "Edm.Double",
    "Money": "Edm.Decimal",
    "Boolean": "Edm.Boolean",
    "DateTime": "Edm.DateTimeOffset",
    "DateOnly": "Edm.Date",
    "MultiSelectPicklist": "Edm.String",
    "Uniqueidentifier": "Edm.Guid",
    "Lookup": "Edm.Guid",
    "Owner": "Edm.Guid",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `prop` is its name on the wire, `None` where the Web API does not show it.

    `least`, `most`: the limits of a number; `precision`: its digits behind the point; `labels`: those of `options`.
    """

    name: str
    type: ColumnType
    create: bool = True
    update: bool = True
    max_length: int | None = None
    required: RequiredLevel = "None"
    options: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    precision: int | None = None
    prop: str | None = ""

    def __post_init__(self) -> None:
        if self.prop == "":
            lookup = self.type in ("Lookup", "Owner")
            object.__setattr__(self, "prop", f"_{self.name}_value" if lookup else self.name)


@dataclass(frozen=True, slots=True)
class Navigation:
    """A single-valued navigation property: the name to bind, the lookup column behind it, its target tables."""

    name: str
    column: str
    targets: tuple[str, ...]


class Table:
    """One table with its columns by logical name, by wire name, and its navigation properties by name."""

    def __init__(
        self,
        logical_name: str,
        entity_set: str,
        key: str,
        *,
        name_column: str,
        columns: tuple[Column, ...],
        navigations: tuple[Navigation, ...] = (),
    ) -> None:
        self.logical_name = logical_name
        self.entity_set = entity_set
        self.key = key
        self.name_column = name_column
        self.columns = {column.name: column for column in columns}
        self.props = {column.prop: column for column in columns if column.prop}
        self.navigations = {navigation.name: navigation for navigation in navigations}

    def extended(self, *columns: Column, navigations: tuple[Navigation, ...] = ()) -> Table:
        """Return this table with custom columns and lookups, as an administrator would add them."""
        return Table(
            self.logical_name,
            self.entity_set,
            self.key,
            name_column=self.name_column,
            columns=(*self.columns.values(), *columns),
            navigations=(*self.navigations.values(), *navigations),
        )


def _strings(**lengths: int) -> tuple[Column, ...]:
    return tuple(Column(name, "String", max_length=length) for name, length in lengths.items())


def _of(column_type: ColumnType, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, column_type) for name in names)


def _read_only(column_type: ColumnType, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, column_type, create=False, update=False) for name in names)


def _hidden(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(replace(column, prop=None) for column in columns)


def _key(name: str) -> Column:
    return Column(name, "Uniqueidentifier", update=False, required="SystemRequired")


def _state(states: tuple[int, ...], statuses: tuple[int, ...]) -> tuple[Column, ...]:
    return (
        Column("statecode", "State", create=False, required="SystemRequired", options=states),
        Column("statuscode", "Status", options=statuses),
    )


_AUDIT: Final = (
    *_read_only("Lookup", "createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby"),
    *_read_only("DateTime", "createdon", "modifiedon"),
    *_read_only("BigInt", "versionnumber"),
)
_OWNED: Final = (
    Column("ownerid", "Owner", required="SystemRequired"),
    *_read_only("Lookup", "owningbusinessunit", "owningteam", "owninguser"),
)

# statuscode -> statecode, and the status reason a state takes when none is sent
APPOINTMENT_STATES: Final = {1: 0, 2: 0, 3: 1, 4: 2, 5: 3, 6: 3}
DEFAULT_STATUS: Final = {0: 1, 1: 3, 2: 4, 3: 5}
CLOSED_STATES: Final = frozenset({1, 2})
STATE_LABELS: Final = {0: "Open", 1: "Completed", 2: "Canceled", 3: "Scheduled"}
STATUS_LABELS: Final = {1: "Free", 2: "Tentative", 3: "Completed", 4: "Canceled", 5: "Busy", 6: "Out of Office"}

REQUIRED_ATTENDEE: Final = 5
OPTIONAL_ATTENDEE: Final = 6
ORGANIZER: Final = 7
REGARDING: Final = 8
OWNER: Final = 9
ATTENDEE_MASKS: Final = frozenset({REQUIRED_ATTENDEE, OPTIONAL_ATTENDEE, ORGANIZER})
PARTIES: Final = "appointment_activity_parties"

APPOINTMENT: Final = Table(
    "appointment",
    "appointments",
    "activityid",
    name_column="subject",
    columns=(
        _key("activityid"),
        *_strings(category=250, globalobjectid=300, location=200, subcategory=250, traversedpath=1250),
        *_strings(onlinemeetingchatid=150, onlinemeetingid=150, onlinemeetingjoinurl=1500),
        Column("subject", "String", max_length=200, required="ApplicationRequired"),
        Column("activityadditionalparams", "Memo", max_length=8192),
        Column("description", "Memo", max_length=1_048_576),
        Column("scheduledstart", "DateTime", required="ApplicationRequired"),
        Column("scheduledend", "DateTime", required="ApplicationRequired"),
        *_of("DateTime", "actualend", "actualstart", "lastonholdtime", "sortdate"),
        Column("overriddencreatedon", "DateTime", update=False),
        *_of("Boolean", "isalldayevent", "isbilled", "ismapiprivate", "isonlinemeeting", "isworkflowcreated"),
        Column("isdraft", "Boolean", required="SystemRequired"),
        *_of("Integer", "actualdurationminutes", "outlookownerapptid", "scheduleddurationminutes"),
        *_of("Integer", "timezoneruleversionnumber", "utcconversiontimezonecode"),
        Column("importsequencenumber", "Integer", update=False),
        Column("attachmenterrors", "Picklist", options=(0, 1)),
        Column("onlinemeetingtype", "Picklist", options=(1,)),
        Column("prioritycode", "Picklist", options=(0, 1, 2)),
        *_state((0, 1, 2, 3), tuple(APPOINTMENT_STATES)),
        *_of("Uniqueidentifier", "processid", "stageid"),
        Column("subscriptionid", "Uniqueidentifier", update=False, prop=None),
        *_of("Lookup", "regardingobjectid", "slaid", "transactioncurrencyid"),
        *_hidden(_of("PartyList", "optionalattendees", "organizer", "requiredattendees")),
        *_hidden(_of("EntityName", "owneridtype", "regardingobjecttypecode")),
        *_OWNED,
        *_AUDIT,
        *_read_only("EntityName", "activitytypecode"),
        *_read_only("Integer", "attachmentcount", "isunsafe", "onholdtime"),
        *_read_only("Decimal", "exchangerate"),
        *_read_only("DateTime", "formattedscheduledend", "formattedscheduledstart", "originalstartdate"),
        *_read_only("Picklist", "instancetypecode"),
        *_read_only("Boolean", "isregularactivity"),
        *_read_only("Memo", "modifiedfieldsmask", "safedescription"),
        *_read_only("Uniqueidentifier", "seriesid"),
        *_read_only("Lookup", "slainvokedid"),
        *_hidden(_read_only("String", "owneridname", "owneridyominame")),
    ),
    navigations=(
        Navigation("regardingobjectid_account_appointment", "regardingobjectid", ("account",)),
        Navigation("regardingobjectid_contact_appointment", "regardingobjectid", ("contact",)),
        Navigation("regardingobjectid_lead_appointment", "regardingobjectid", ("lead",)),
        Navigation("regardingobjectid_opportunity_appointment", "regardingobjectid", ("opportunity",)),
        Navigation("ownerid", "ownerid", ("systemuser", "team")),
        Navigation("ownerid_appointment", "ownerid", ("systemuser", "team")),
        Navigation("owningbusinessunit_appointment", "owningbusinessunit", ("businessunit",)),
        Navigation("owningteam_appointment", "owningteam", ("team",)),
        Navigation("owninguser_appointment", "owninguser", ("systemuser",)),
        Navigation("createdby_appointment", "createdby", ("systemuser",)),
        Navigation("createdonbehalfby_appointment", "createdonbehalfby", ("systemuser",)),
        Navigation("modifiedby_appointment", "modifiedby", ("systemuser",)),
        Navigation("modifiedonbehalfby_appointment", "modifiedonbehalfby", ("systemuser",)),
        Navigation("sla_appointment_sla", "slaid", ("sla",)),
        Navigation("transactioncurrencyid_appointment", "transactioncurrencyid", ("transactioncurrency",)),
    ),
)

ACTIVITY_PARTY: Final = Table(
    "activityparty",
    "activityparties",
    "activitypartyid",
    name_column="addressused",
    columns=(
        _key("activitypartyid"),
        *_strings(addressused=320, exchangeentryid=1024, externalid=200, externalidtype=200),
        *_strings(unresolvedpartyname=4000),
        *_of("Double", "effort"),
        Column(
            "participationtypemask", "Picklist", update=False, options=tuple(range(1, 14)), required="SystemRequired"
        ),
        *_of("Lookup", "activityid", "partyid"),
        *_hidden(_of("EntityName", "partyobjecttypecode")),
        *_read_only("Integer", "addressusedemailcolumnnumber"),
        *_read_only("Boolean", "donotemail", "donotfax", "donotphone", "donotpostalmail", "ispartydeleted"),
        *_read_only("Picklist", "instancetypecode"),
        *_read_only("Owner", "ownerid"),
        *_hidden(_read_only("EntityName", "owneridtype")),
        *_hidden(_read_only("Uniqueidentifier", "owningbusinessunit", "owninguser")),
        *_read_only("DateTime", "scheduledend", "scheduledstart"),
        *_read_only("BigInt", "versionnumber"),
    ),
    navigations=(
        Navigation("partyid_account", "partyid", ("account",)),
        Navigation("partyid_contact", "partyid", ("contact",)),
        Navigation("partyid_lead", "partyid", ("lead",)),
        Navigation("partyid_opportunity", "partyid", ("opportunity",)),
        Navigation("partyid_systemuser", "partyid", ("systemuser",)),
        Navigation("activityid_appointment", "activityid", ("appointment",)),
    ),
)

_PERSON: Final = (
    *_strings(firstname=50, lastname=50, jobtitle=100, telephone1=50, mobilephone=50),
    *_strings(emailaddress1=100, emailaddress2=100, emailaddress3=100),
    *_read_only("String", "fullname"),
    Column("description", "Memo", max_length=2000),
    *_read_only("Boolean", "merged"),
    *_OWNED,
    *_AUDIT,
)

CONTACT: Final = Table(
    "contact",
    "contacts",
    "contactid",
    name_column="fullname",
    columns=(
        _key("contactid"),
        *_PERSON,
        *_state((0, 1), (1, 2)),
        *_of("Lookup", "parentcustomerid", "originatingleadid"),
        *_read_only("Lookup", "masterid"),
    ),
    navigations=(
        Navigation("parentcustomerid_account", "parentcustomerid", ("account",)),
        Navigation("parentcustomerid_contact", "parentcustomerid", ("contact",)),
        Navigation("originatingleadid", "originatingleadid", ("lead",)),
        Navigation("masterid", "masterid", ("contact",)),
        Navigation("ownerid", "ownerid", ("systemuser", "team")),
    ),
)

LEAD: Final = Table(
    "lead",
    "leads",
    "leadid",
    name_column="fullname",
    columns=(
        _key("leadid"),
        *_strings(companyname=100, subject=300),
        *_PERSON,
        *_state((0, 1, 2), (1, 2, 3, 4, 5, 6, 7)),
        *_of("Lookup", "parentaccountid", "parentcontactid", "qualifyingopportunityid", "customerid"),
        *_read_only("Lookup", "masterid"),
    ),
    navigations=(
        Navigation("parentaccountid", "parentaccountid", ("account",)),
        Navigation("parentcontactid", "parentcontactid", ("contact",)),
        Navigation("qualifyingopportunityid", "qualifyingopportunityid", ("opportunity",)),
        Navigation("customerid_account", "customerid", ("account",)),
        Navigation("customerid_contact", "customerid", ("contact",)),
        Navigation("masterid", "masterid", ("lead",)),
        Navigation("ownerid", "ownerid", ("systemuser", "team")),
    ),
)

OPPORTUNITY: Final = Table(
    "opportunity",
    "opportunities",
    "opportunityid",
    name_column="name",
    columns=(
        _key("opportunityid"),
        *_strings(name=300),
        Column("description", "Memo", max_length=2000),
        *_state((0, 1, 2), (1, 2, 3, 4, 5)),
        *_of("Lookup", "customerid", "originatingleadid", "parentaccountid", "parentcontactid"),
        *_OWNED,
        *_AUDIT,
    ),
    navigations=(
        Navigation("customerid_account", "customerid", ("account",)),
        Navigation("customerid_contact", "customerid", ("contact",)),
        Navigation("originatingleadid", "originatingleadid", ("lead",)),
        Navigation("parentaccountid", "parentaccountid", ("account",)),
        Navigation("parentcontactid", "parentcontactid", ("contact",)),
        Navigation("ownerid", "ownerid", ("systemuser", "team")),
    ),
)

ACCOUNT: Final = Table(
    "account",
    "accounts",
    "accountid",
    name_column="name",
    columns=(
        _key("accountid"),
        *_strings(name=160, accountnumber=20, telephone1=50),
        *_strings(emailaddress1=100, emailaddress2=100, emailaddress3=100),
        *_read_only("Boolean", "merged"),
        *_state((0, 1), (1, 2)),
        *_of("Lookup", "primarycontactid"),
        *_read_only("Lookup", "masterid"),
        *_OWNED,
        *_AUDIT,
    ),
    navigations=(
        Navigation("primarycontactid", "primarycontactid", ("contact",)),
        Navigation("masterid", "masterid", ("account",)),
        Navigation("ownerid", "ownerid", ("systemuser", "team")),
    ),
)

SYSTEM_USER: Final = Table(
    "systemuser",
    "systemusers",
    "systemuserid",
    name_column="fullname",
    columns=(
        _key("systemuserid"),
        *_strings(firstname=256, lastname=256, internalemailaddress=100, domainname=1024),
        *_strings(personalemailaddress=100, title=128, windowsliveid=1024),
        *_read_only("String", "fullname"),
        *_of("Uniqueidentifier", "applicationid"),
        *_read_only("Uniqueidentifier", "azureactivedirectoryobjectid"),
        Column("accessmode", "Picklist", options=(0, 1, 2, 3, 4, 5)),
        *_of("Boolean", "isdisabled"),
        *_of("Lookup", "businessunitid"),
        *_AUDIT,
    ),
    navigations=(Navigation("businessunitid", "businessunitid", ("businessunit",)),),
)

TEAM: Final = Table(
    "team",
    "teams",
    "teamid",
    name_column="name",
    columns=(
        _key("teamid"),
        *_strings(name=160, emailaddress=100),
        Column("teamtype", "Picklist", update=False, options=(0, 1, 2, 3)),
        *_read_only("Boolean", "isdefault"),
        *_of("Lookup", "businessunitid"),
        *_AUDIT,
    ),
    navigations=(Navigation("businessunitid", "businessunitid", ("businessunit",)),),
)

TABLES: Final = (APPOINTMENT, ACTIVITY_PARTY, CONTACT, LEAD, OPPORTUNITY, ACCOUNT, SYSTEM_USER, TEAM)
