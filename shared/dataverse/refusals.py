"""What a refusal of Dynamics is about: one table, from its code to its meaning, and all that is learnt from it.

Codes: https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes. A message is
looked through for names of our own request alone: its columns, the records that it binds, two privileges. Names are not
translated; everything else in a message is, and is neither read nor kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from shared.meeting.ports import Guess
from shared.meeting.transforms import OWNER, PARTIES, REGARDING, STATE, CreatedByRow, CreatedOnRow
from shared.meeting.wire import Moment, Wire

CREATED_ON, CREATED_BY = CreatedOnRow.only, CreatedByRow.only
WISHES = frozenset({CREATED_ON, CREATED_BY})


class About(Enum):
    """What a code says something about, and so what it costs and what is remembered of it.

    PASSES      itself: the same is sent again later
    CLOSED      the state that the appointment is in: it is opened first
    CREATED_BY  acting for others, whoever they are: for an hour nobody is acted for
    RIGHTS      what somebody may do: the booker who is acted for, with this record, or else the owner. The meeting
                remembers the owner; of a booker nothing is remembered. Where the privilege for Created On is named,
                that is not asked for, for an hour
    OWNER       the owner, who may not own. The meeting remembers it
    COLUMN      one column, always the same one. The meeting remembers it
    DATE        a date, whichever: the only one there is, or the one that is named
    TIMES       the column that is named; else start and end, which may not fit each other or what a person set
    STATE       the state: that this status reason is none of its own. The meeting remembers it
    NAMED       the column that is named, if one is
    """

    PASSES = "passes"
    CLOSED = "closed"
    CREATED_BY = "created by"
    RIGHTS = "rights"
    OWNER = "owner"
    COLUMN = "column"
    DATE = "date"
    TIMES = "times"
    STATE = "state"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code means. `why`: the reason as people read it; `column`: the one that it is about."""

    about: About
    why: str = "it does not take this value"
    column: str = ""


MEANINGS: Mapping[str, Meaning] = {
    "0x80044150": Meaning(About.PASSES, "a deadlock in its database"),
    "0x80044151": Meaning(About.PASSES, "its database did not answer in time"),
    "0x8004418d": Meaning(About.PASSES, "no process is free for its plug-ins"),
    "0x80072322": Meaning(About.PASSES, "too many requests"),
    "0x80072321": Meaning(About.PASSES, "too much time of its servers"),
    "0x80072326": Meaning(About.PASSES, "too many requests at once"),
    "0x8004022e": Meaning(About.CLOSED, "the appointment is completed or canceled"),
    "0x80040233": Meaning(About.CLOSED, "the appointment is completed or canceled"),
    "0x8004a110": Meaning(About.CREATED_BY, "the app's user may not act for others"),
    "0x80040220": Meaning(About.RIGHTS, "a user lacks a privilege"),
    "0x80040231": Meaning(About.RIGHTS, "a user lacks a privilege"),
    "0x80048306": Meaning(About.RIGHTS, "a user may not use this record"),
    "0x80048405": Meaning(About.RIGHTS, "a user may not use this record"),
    "0x80040225": Meaning(About.RIGHTS, "the user is disabled"),
    "0x80042f09": Meaning(About.RIGHTS, "the user has no security role"),
    "0x8004022b": Meaning(About.OWNER, "the user is disabled"),
    "0x80040217": Meaning(About.NAMED, "there is no such record any more"),
    "0x80043506": Meaning(About.COLUMN, "somebody may not take part in an appointment, or not in this role", PARTIES),
    "0x80043507": Meaning(About.COLUMN, "an appointment cannot be about this record", REGARDING),
    "0x80040239": Meaning(About.DATE, "it takes no such date"),
    "0x80040203": Meaning(About.TIMES, "the appointment would end before it starts"),
    "0x80048408": Meaning(About.STATE, "its states have no such status reason"),
    "0x80040265": Meaning(About.NAMED, "a plug-in or rule of this organisation refuses this value"),
    "0x8006088a": Meaning(About.NAMED, "the table has no such column"),
    "0x80048d19": Meaning(About.NAMED, "the table has no such column, or one of another type"),
    "0x8004431a": Meaning(About.NAMED, "the column has no such choice"),
    "0x80044330": Meaning(About.NAMED, "the number is beyond the column; set minimum and maximum in the mapping"),
    "0x80044331": Meaning(About.NAMED, "the text is longer than the column; set max_length in the mapping"),
    "0x80040278": Meaning(About.NAMED, "the text holds a character that Dynamics does not take"),
}
_ANY = Meaning(About.NAMED)
# Users who are disabled: a look for who they are by now may show somebody else, or nobody.
DISABLED = frozenset({"0x80040225", "0x8004022b"})
PASSING = frozenset(code for code, meaning in MEANINGS.items() if meaning.about is About.PASSES)
CLOSED = frozenset(code for code, meaning in MEANINGS.items() if meaning.about is About.CLOSED)

_MAY_CREATE_EARLIER = "prvOverrideCreatedOnCreatedBy"
_MAY_ACT = "prvActOnBehalfOfAnotherUser"
_TIMES = frozenset({"scheduledstart", "scheduledend"})
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"""['"`(\[](\w+)['"`)\]]""")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a refused request asked for: columns with their values, Created On, and whom it was made for."""

    columns: Mapping[str, Any]
    wires: Mapping[str, Wire]
    created_on: str | None = None
    created_by: str | None = None

    @property
    def owner(self) -> str | None:
        """The id of the user or team."""
        value = self.columns.get(OWNER)
        return str(value).partition(":")[2] if value else None

    def names(self, column: str) -> frozenset[str]:
        """What the wire calls `column`, and the ids of the records that it binds, in lower case."""
        names = {column}
        for member, value in _members(self.wires[column].body(column, self.columns[column])):
            names.add(member.partition("@")[0].lower())
            if member.endswith("@odata.bind"):
                names.update(_GUID.findall(str(value).lower()))
        return frozenset(names)


def why(code: str) -> str:
    """The reason for a refusal with this code, as people read it."""
    return MEANINGS.get(code, _ANY).why


def guesses(code: str, said: str, asked: Asked) -> tuple[Guess, ...]:
    """What may have been refused, the likeliest first; empty where nothing is known. One alone is no guess.

    Each is a set of columns to do without, with `createdby` and `overriddencreatedon` among them.
    """
    meaning = MEANINGS.get(code, _ANY)
    match meaning.about:
        case About.CREATED_BY if asked.created_by:
            return (frozenset({CREATED_BY}),)
        case About.RIGHTS:
            return _rights(said, asked)
        case About.OWNER if asked.owner:
            return (frozenset({OWNER}),)
        case About.COLUMN if meaning.column in asked.columns:
            return (frozenset({meaning.column}),)
        case About.DATE if len(dates := list(_dates(asked))) == 1:
            return (frozenset(dates),)
        case About.TIMES if times := _TIMES.intersection(asked.columns):
            # The code says of any value that it does not fit. So the times are tried, and not taken for what it was.
            return _named(said, asked) or (times, frozenset())
    return _named(said, asked)


def guesses_of_state(code: str) -> tuple[Guess, ...]:
    """The same for a request that writes the state alone: whatever is refused, but for a right, is that."""
    return () if MEANINGS.get(code, _ANY).about is About.RIGHTS else (frozenset({STATE}),)


def refused_for_all(code: str, said: str) -> str:
    """Which of Created On and Created By the app's user may set for nobody; empty: none that we know of."""
    if code == "0x8004a110" or _MAY_ACT in said:
        return CREATED_BY
    return CREATED_ON if _MAY_CREATE_EARLIER in said else ""


def _rights(said: str, asked: Asked) -> tuple[Guess, ...]:
    """A booker's, an owner's, or those of the app itself, for which there is no remedy here."""
    told = refused_for_all("", said)
    if (told == CREATED_ON and asked.created_on) or (told == CREATED_BY and asked.created_by):
        return (frozenset({told}),)
    booker, owner = asked.created_by, asked.owner
    by, own = frozenset({CREATED_BY}), frozenset({OWNER})
    if booker and owner and booker.lower() == owner.lower():
        # Who may not own cannot be acted for either.
        return (by, by | own)
    told_of = set(_GUID.findall(said.lower()))
    users = [(booker, by), (owner, own)]
    named = [guess for user, guess in users if user and user.lower() in told_of]
    if len(named) == 1:
        return (named[0],)
    found = [guess for user, guess in users if user]
    return (*found, *_named(said, asked))


def _dates(asked: Asked) -> Iterator[str]:
    yield from (name for name in asked.columns if isinstance(asked.wires[name], Moment))
    if asked.created_on:
        yield CREATED_ON


def _named(said: str, asked: Asked) -> tuple[Guess, ...]:
    """The column that a message names: in quotes, where it puts anything of ours in quotes."""
    told = said.lower()
    for words in (set(_QUOTED.findall(told)), set(_WORD.findall(told)) | set(_GUID.findall(told))):
        found = frozenset(name for name in asked.columns if words & asked.names(name))
        found |= {CREATED_ON} & words if asked.created_on else frozenset()
        if len(found) == 1 or found == _TIMES:
            return (found,)
        if found:
            return ()
    return ()


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of a body, those of its rows too."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name, item
            yield from _members(item)
    elif isinstance(value, list):
        for item in value:
            yield from _members(item)
