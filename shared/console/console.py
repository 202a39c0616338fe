"""The pages of the console: what each shows, and who may see it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from shared.admin.admin import MAX_REASON, Admin, read_reason
from shared.admin.backlog import COUNTED_UP_TO, Backlog
from shared.admin.dry_run import DryRunner
from shared.admin.health import Health
from shared.console import chart
from shared.console.access import Access, person
from shared.console.meeting import meeting_view
from shared.console.pages import NOBODY, Answer, Request, nothing, page, redirect, refused
from shared.console.search import Sought, Summary, fitting, look_through, sought, summary
from shared.errors import BadDelivery, RemoteError, describe
from shared.meeting.dead_letters import LEFT_IN_DOUBT_ADVICE
from shared.meeting.delivery import parse_json
from shared.meeting.identity import MeetingKey
from shared.meeting.mapping import MappingFile
from shared.meeting.meeting import RECENT_EVENTS, Meeting
from shared.meeting.refused import REFUSED_ADVICE
from shared.pipeline.signature import MAX_BODY_BYTES
from shared.pipeline.sweep import Failing
from shared.storage.sessions import Session
from shared.storage.statistics import Statistics, total
from shared.telemetry import line, where
from shared.timestamps import Clock

log = logging.getLogger("outreach_dynamics.console")

# To look for an appointment, a prospect or a title means to look at every meeting; somebody waits for the page.
SEARCH_SECONDS = 20.0
SEARCH_BACK = timedelta(days=60)
SHOWN_DEAD_LETTERS = 100
SHOWN_PARKED = 100


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the pages get what they show. The functions raise `BadSettings` where settings they need are wrong."""

    backlog: Backlog
    statistics: Statistics
    health: Health
    failing: Callable[[], Awaitable[Mapping[str, Failing]]]
    admin: Callable[[], Admin]
    dry_runner: Callable[[], DryRunner]
    mapping: Callable[[], MappingFile]


class Console:
    """The web pages for admins, and who may see them."""

    def __init__(self, sources: Sources, access: Access, *, now: Clock) -> None:
        self._sources = sources
        self._access = access
        self._now = now
        self._shown: Mapping[str, Callable[[Request, Session], Awaitable[Answer]]] = {
            "home": self._home,
            "find": self._find,
            "meeting": self._meeting,
            "event": self._event,
            "deadletters": self._dead_letters,
            "parked": self._parked,
            "preview": self._preview,
        }
        self._done: Mapping[str, Callable[[Request, Session, dict[str, list[str]]], Awaitable[Answer]]] = {
            "find": self._asked,
            "replay": self._replay,
            "dismiss": self._dismiss,
            "preview": self._previewed,
            "sign-out": self._sign_out,
        }

    async def enter(self, request: Request) -> Answer:
        """For a caller whose admin key the host has checked: the overview, or for a browser a session.

        A browser brings the key in the address, where it must not stay.
        """
        if "x-functions-key" in request.headers:
            return await _guarded(lambda: self._home(request, NOBODY))

        async def begin() -> Answer:
            _, cookie = await self._access.begin(request)
            return redirect("home", cookie=cookie)

        return await _guarded(begin)

    async def sign_in(self, request: Request) -> Answer:
        """Begin a session for a caller whose admin key the host has checked."""

        async def begin() -> Answer:
            _, cookie = await self._access.begin(request)
            return nothing(cookie=cookie)

        return await _guarded(begin)

    async def show(self, request: Request) -> Answer:
        """Any page, for whoever may see it."""
        return await _guarded(lambda: self._admitted(request))

    async def _admitted(self, request: Request) -> Answer:
        try:
            admitted = await self._access.check(request)
        except RemoteError:
            # Why is shown to those who are admitted only.
            text = "Nobody can be let in right now. Try again in a minute."
            return page("message.html", status=503, title="Out of reach", text=text)
        if admitted is None:
            return page("sign-in.html", status=200 if request.page == "sign-in" else 401, script="sign-in.js")
        session, cookie = admitted
        answer = redirect("home") if request.page == "sign-in" else await self._answer(request, session)
        return Answer(answer.status, answer.html, {**answer.headers, "Set-Cookie": cookie}) if cookie else answer

    async def _answer(self, request: Request, session: Session) -> Answer:
        if request.method == "GET" and (shown := self._shown.get(request.page)):
            return await shown(request, session)
        if request.method == "POST" and (done := self._done.get(request.page)):
            form = request.form()
            if not session.made(form.get("form", [""])[0]):
                raise BadDelivery("stale_form", "This form is from another session. Go back, reload it, try again.")
            return await done(request, session, form)
        if request.method == "GET" and request.page in self._done:
            # Who signs in again after sending a form comes back with the form's address.
            return redirect("deadletters" if request.page in {"replay", "dismiss"} else "home")
        return page("message.html", status=404, session=session, title="Not found", text="There is no such page.")

    async def _home(self, _: Request, session: Session) -> Answer:
        now = self._now()
        counts, slots, health, failing = await asyncio.gather(
            self._sources.backlog.measure(),
            self._sources.statistics.since(now - chart.DAY),
            self._sources.health.report(),
            self._sources.failing(),
        )
        totals = total(slots.values())
        finished = sum(count for kind, count in totals.outcomes.items() if not kind.comes_again)
        return page(
            "home.html",
            session=session,
            counts=counts,
            limit=COUNTED_UP_TO,
            accepted=finished + counts.queue + counts.overflow,
            applied=sum(count for kind, count in totals.outcomes.items() if kind.applied),
            totals=totals,
            health=health,
            failing=failing,
            chart=chart.lag_chart(slots, now),
        )

    async def _asked(self, _: Request, session: Session, form: dict[str, list[str]]) -> Answer:
        """On to the answer, by an address that tells nobody which words were looked for."""
        text = form.get("q", [""])[0].strip()
        return redirect("find", **({"s": session.seal(text)} if sought(text).title else {"q": text}))

    async def _find(self, request: Request, session: Session) -> Answer:
        text = request.query.get("q", "") or session.unseal(request.query.get("s", ""))
        if not text:
            return redirect("home")
        wanted = sought(text)
        admin = self._sources.admin()
        if wanted.correlation_id and await admin.correlation(wanted.correlation_id):
            return redirect("event", id=wanted.correlation_id)
        if wanted.meeting and await admin.meeting(wanted.meeting):
            return redirect("meeting", id=wanted.meeting)
        hint = ""
        if wanted.appointment_id:
            try:
                async with asyncio.timeout(SEARCH_SECONDS):
                    key = await admin.meetings.of_appointment(wanted.appointment_id)
            except TimeoutError:
                key, hint = None, f"No such appointment among those looked at in {SEARCH_SECONDS:.0f} seconds."
            if key is not None:
                return redirect("meeting", id=str(key))
        if wanted.needs_a_search:
            return await self._search(wanted, session)
        return page("not-found.html", status=404, session=session, wanted=wanted, hint=hint)

    async def _search(self, wanted: Sought, session: Session) -> Answer:
        found, complete = await look_through(
            self._sources.admin().meetings,
            fitting(wanted, self._sources.mapping()),
            since=self._now() - SEARCH_BACK,
            seconds=SEARCH_SECONDS,
        )
        meetings = await self._listed(found)
        return page(
            "found.html",
            status=200 if meetings else 404,
            session=session,
            wanted=wanted,
            meetings=meetings,
            complete=complete,
            days=SEARCH_BACK.days,
        )

    async def _parked(self, _: Request, session: Session) -> Answer:
        meetings = self._sources.admin().meetings
        keys = await meetings.parked.keys(limit=SHOWN_PARKED)
        rows = await asyncio.gather(*map(meetings.load, keys))
        waiting = [(row.key, row.meeting) for row in rows if row.meeting is not None and row.meeting.held is not None]
        return page(
            "parked.html",
            session=session,
            meetings=await self._listed(waiting),
            more=len(keys) == SHOWN_PARKED,
        )

    async def _listed(self, found: Sequence[tuple[MeetingKey, Meeting]]) -> list[Summary]:
        """What a list shows of these meetings, those that begin last first."""
        admin, mapping = self._sources.admin(), self._sources.mapping()
        states = await asyncio.gather(*(admin.checked(key, state) for key, state in found))
        shown = [summary(key, state, mapping) for (key, _), state in zip(found, states, strict=True)]
        return sorted(shown, key=_latest_first, reverse=True)

    async def _meeting(self, request: Request, session: Session) -> Answer:
        admin = self._sources.admin()
        found = await admin.meeting(request.query.get("id", ""))
        if found is None:
            wanted = sought(request.query.get("id", ""))
            return page("not-found.html", status=404, session=session, wanted=wanted, hint="")
        journal = await asyncio.gather(*(admin.correlation(recent.correlation_id) for recent in found.recent))
        mapping = self._sources.mapping()
        view = meeting_view(found, chain.from_iterable(journal), mapping)
        return page(
            "meeting.html",
            session=session,
            meeting=found.meeting,
            view=view,
            kept=RECENT_EVENTS,
            left_in_doubt_advice=LEFT_IN_DOUBT_ADVICE,
            refused_advice=REFUSED_ADVICE,
            made_again=mapping.deleted_in_dynamics == "recreate",
        )

    async def _event(self, request: Request, session: Session) -> Answer:
        wanted = sought(request.query.get("id", ""))
        found = await self._sources.admin().correlation(wanted.correlation_id)
        if not found:
            return page("not-found.html", status=404, session=session, wanted=wanted, hint="")
        return page("event.html", session=session, entries=found)

    async def _dead_letters(self, request: Request, session: Session) -> Answer:
        dead_letters = await self._sources.admin().list_dead_letters()
        return page(
            "deadletters.html",
            session=session,
            dead_letters=dead_letters[:SHOWN_DEAD_LETTERS],
            count=len(dead_letters),
            together=Counter(dead_letter.correlation_id for dead_letter in dead_letters),
            replayed=_number(request, "replayed"),
            dismissed=_number(request, "dismissed"),
            max_reason=MAX_REASON,
        )

    async def _replay(self, _: Request, session: Session, form: dict[str, list[str]]) -> Answer:
        everything = form.get("all") == ["yes"]
        sent = await self._sources.admin().replay(
            None if everything else frozenset(form.get("id", [])), by=person(session)
        )
        return redirect("deadletters", replayed=str(len(sent)))

    async def _dismiss(self, _: Request, session: Session, form: dict[str, list[str]]) -> Answer:
        reason = read_reason(form.get("reason", [""])[0])
        gone = await self._sources.admin().dismiss(frozenset(form.get("id", [])), reason=reason, by=person(session))
        return redirect("deadletters", dismissed=str(len(gone)))

    async def _preview(self, _: Request, session: Session) -> Answer:
        return page("preview.html", session=session, delivery="", preview=None, problem="")

    async def _previewed(self, _: Request, session: Session, form: dict[str, list[str]]) -> Answer:
        text = form.get("delivery", [""])[0]
        preview, problem = None, ""
        try:
            if len(text.encode()) > MAX_BODY_BYTES:
                raise BadDelivery("body_too_large", f"That is over {MAX_BODY_BYTES} bytes.", status=413)  # noqa: TRY301 - shown with the rest
            preview = await self._sources.dry_runner().run(parse_json(text.encode()))
        except BadDelivery as error:
            problem = error.message
        return page("preview.html", session=session, delivery=text, preview=preview, problem=problem)

    async def _sign_out(self, request: Request, _: Session, __: dict[str, list[str]]) -> Answer:
        return redirect("sign-in", cookie=await self._access.end(request))


def _number(request: Request, name: str) -> str:
    """A number that an address says; empty for anything else, which somebody made up."""
    text = request.query.get(name, "")
    return text if text.isdecimal() else ""


def _latest_first(meeting: Summary) -> str:
    return meeting.starts_at


async def _guarded(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """`call`, with errors as pages that say what to do."""
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - an empty answer helps nobody
        if describe(error).unforeseen:
            log.error(line("unforeseen", correlation_id="", error=type(error).__name__, at=where(error)))  # noqa: TRY400 - its message may repeat a value from a meeting
        return refused(error)
