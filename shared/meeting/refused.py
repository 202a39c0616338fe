"""What Dynamics refuses in one attempt, found out refusal by refusal, so that everything else is written.

A refusal says what it may be about (`ports.Refused.guesses`). One guess is none: the next write does without it. Of
several each is tried alone, and what a write succeeds without it was. A column that was refused is remembered with the
meeting (`mirror.Refusal`), and sent no more until its value or the mapping changes, or somebody asks for it; of Created
On and Created By there is nothing to remember, because there is one create.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.meeting.appointment import Desired, fingerprint
from shared.meeting.mirror import Refusal
from shared.meeting.ports import Guess, Refused, TargetMissing
from shared.meeting.transforms import ORGANIZER, PARTIES, TIMES, CreatedByRow, CreatedOnRow

# What an admin can do about a column that was refused.
REFUSED_ADVICE = (
    "The rest is written. This column is sent again when its value in Outreach or the mapping changes. Once Dynamics "
    "takes it, write the meeting again: POST /api/meetings/{meetingId}/write."
)

_WISHES = frozenset({CreatedOnRow.only, CreatedByRow.only})


class Refusals:
    """What one attempt has found out. `columns`: those that were refused; `notes`: a sentence for each thing."""

    def __init__(self, mapping: str) -> None:
        """`mapping`: the digest of the mapping that the columns are made by."""
        self.columns: dict[str, Refusal] = {}
        self.notes: list[str] = []
        self._mapping = mapping
        self._wishes: set[str] = set()
        self._tried: dict[Guess, dict[str, Refusal]] = {}
        self._others: frozenset[Guess] = frozenset()
        self._trial: Guess = frozenset()

    def spare(self, want: Desired) -> Desired:
        """`want` without what was refused, and without what is being tried: another value is another matter."""
        values = {**want.columns, **_beside(want)}
        refused = {**self.columns, **self._tried.get(self._trial, {})}
        same = {name for name, one in refused.items() if fingerprint(values.get(name)) == one.value}
        return want.without(same | self._wishes)

    def learn(self, error: Refused, want: Desired, *, exists: bool) -> None:
        """A write of `want` was refused. Raises `error` where nothing is left to do without."""
        guesses = [found for guess in error.guesses if (found := _possible(guess, want, exists=exists))]
        if len(error.guesses) == 1 and guesses:
            self._remember(self._of(guesses[0], error, want))
            return
        untried = next((guess for guess in guesses if guess not in self._tried), None)
        if untried is None:
            raise error
        self._tried[untried] = self._of(untried, error, want)
        self._trial, self._others = untried, frozenset(guesses) - {untried}

    def learn_missing(self, error: TargetMissing, want: Desired, *, exists: bool) -> bool:
        """A record that `want` points at is missing; whether it can do without the column that does."""
        found = next(filter(None, (_possible(guess, want, exists=exists) for guess in error.guesses)), None)
        if found is not None:
            self._remember(self._of(found, error, want))
        return found is not None

    def keep_open(self, error: Refused) -> None:
        """The state that the appointment had before it was opened for this change is refused: it stays open."""
        self.notes.append(
            f"The state that it had was refused by Dynamics ({error.code or 'without a code'}): {error.why}. It was "
            "opened for this change, and stays open."
        )

    def succeed(self) -> None:
        """The write went well without what was tried: that was refused."""
        self._remember(self._tried.get(self._trial, {}))

    def _of(self, guess: Guess, error: Refused | TargetMissing, want: Desired) -> dict[str, Refusal]:
        values = {**want.columns, **_beside(want)}
        return {name: Refusal(fingerprint(values[name]), error.code, error.why, self._mapping) for name in guess}

    def _remember(self, refused: Mapping[str, Refusal]) -> None:
        if frozenset(refused) in self._others:
            self._trial = frozenset()  # it was this one, and not what was tried
        for name, one in sorted(refused.items()):
            if self.columns.get(name) == one or name in self._wishes:
                continue
            if name in _WISHES:
                self._wishes.add(name)
            else:
                self.columns[name] = one
            self.notes.append(f"{name} was refused by Dynamics ({one.code or 'without a code'}): {one.reason}.")


def _possible(guess: Guess, want: Desired, *, exists: bool) -> Guess:
    """The part of `guess` that a write of `want` can do without; empty where it is all or nothing."""
    asked = want.columns.keys() | {name for name, value in _beside(want).items() if value is not None}
    if PARTIES in guess and PARTIES not in want.columns:
        guess = guess - {PARTIES} | {ORGANIZER}  # for whom alone the list was written
    if _times(guess):
        # One alone could come to lie on the wrong side of the other, and a new appointment needs both.
        return _times(asked) if exists else frozenset()
    return guess & asked


def _beside(want: Desired) -> dict[str, str | None]:
    """What may be refused and is no column of the mapping."""
    organizer = None if want.organizer is None else str(want.organizer)
    return {CreatedOnRow.only: want.created_on, CreatedByRow.only: want.created_by, ORGANIZER: organizer}


def _times(names: Iterable[str]) -> frozenset[str]:
    return frozenset(TIMES).intersection(names)
