"""The breaker, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.errors import Transient
from shared.http.breaker import FAILURES_TO_OPEN, FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the breaker under test."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker that has seen nothing yet."""
    return Breaker("dataverse", clock=clock)


def refused(breaker: Breaker) -> Transient:
    """What a caller gets while the service is to be left alone."""
    with pytest.raises(Transient) as caught:
        breaker.before_call()
    return caught.value


def fail(breaker: Breaker, times: int = FAILURES_TO_OPEN) -> None:
    """So many failures in a row."""
    for _ in range(times):
        breaker.failed()


def test_begins_closed(breaker: Breaker) -> None:
    """In the beginning everybody may call."""
    assert breaker.pause() == 0
    for _ in range(100):
        breaker.before_call()


def test_opens_after_five_failures(breaker: Breaker) -> None:
    """Four failures in a row change nothing; the fifth opens it, for 5 s give or take a fifth."""
    fail(breaker, 4)
    breaker.before_call()
    breaker.failed()
    assert FIRST_PAUSE * 0.8 <= breaker.pause() <= FIRST_PAUSE * 1.2
    error = refused(breaker)
    assert (error.service, error.code) == ("dataverse", "paused")
    assert error.retry_after == breaker.pause()


def test_success_between_failures(breaker: Breaker) -> None:
    """Only failures in a row count."""
    fail(breaker, 4)
    breaker.succeeded()
    fail(breaker, 4)
    breaker.before_call()


def test_one_probe(breaker: Breaker, clock: Clock) -> None:
    """After the pause one call goes first; the others wait for what becomes of it."""
    fail(breaker)
    clock.now += breaker.pause()
    breaker.before_call()
    for _ in range(3):
        assert refused(breaker).retry_after == 1.0


def test_closes_after_a_good_probe(breaker: Breaker, clock: Clock) -> None:
    """When the probe succeeds everybody follows, and five new failures are needed to open it again."""
    fail(breaker)
    clock.now += breaker.pause()
    breaker.before_call()
    breaker.succeeded()
    for _ in range(10):
        breaker.before_call()
    fail(breaker, 4)
    assert breaker.pause() == 0


def test_opens_again_after_a_bad_probe(breaker: Breaker, clock: Clock) -> None:
    """One failed probe is enough, and each pause is twice as long, to a minute at most."""
    fail(breaker)
    expected = FIRST_PAUSE
    for _ in range(8):
        clock.now += breaker.pause()
        breaker.before_call()
        breaker.failed()
        expected = min(expected * 2, LONGEST_PAUSE)
        assert expected * 0.8 <= breaker.pause() <= expected * 1.2
    assert expected == LONGEST_PAUSE


def test_pause_is_short_again_after_a_success(breaker: Breaker, clock: Clock) -> None:
    """What is over is forgotten: the next trouble begins with the first pause."""
    for _ in range(4):
        fail(breaker)
        clock.now += breaker.pause()
    breaker.before_call()
    breaker.succeeded()
    fail(breaker)
    assert breaker.pause() <= FIRST_PAUSE * 1.2


@pytest.mark.parametrize("end", [Breaker.gave_up, Breaker.failed, lambda breaker: breaker.throttled(3.0)])
def test_probe_without_a_word(breaker: Breaker, clock: Clock, end: Callable[[Breaker], None]) -> None:
    """However a probe ends, another one follows after the pause."""
    fail(breaker)
    clock.now += breaker.pause()
    breaker.before_call()
    end(breaker)
    clock.now += breaker.pause()
    breaker.before_call()


def test_cancelled_call_says_nothing(breaker: Breaker) -> None:
    """A call that was given up counts neither for nor against the service."""
    fail(breaker, 4)
    for _ in range(5):
        breaker.gave_up()
    breaker.before_call()
    breaker.failed()
    assert breaker.pause() > 0


def test_throttled(breaker: Breaker, clock: Clock) -> None:
    """`Retry-After` holds everybody for exactly so long, without a probe, and is counted."""
    breaker.throttled(17.0)
    assert breaker.pause() == 17.0
    assert refused(breaker).retry_after == 17.0
    clock.now += 16.5
    assert refused(breaker).retry_after == 0.5
    clock.now += 0.5
    for _ in range(3):
        breaker.before_call()
    assert breaker.throttled_seconds == 17.0


def test_shorter_wish_does_not_shorten(breaker: Breaker, clock: Clock) -> None:
    """Of two wishes the later end counts; a success that was still on its way does not lift the pause."""
    breaker.throttled(60.0)
    clock.now += 10
    breaker.throttled(5.0)
    breaker.succeeded()
    assert breaker.pause() == 50.0


def test_failure_does_not_shorten_the_wish(breaker: Breaker) -> None:
    """A service that asked for ten minutes gets them, though calls that were on their way fail meanwhile."""
    breaker.throttled(600.0)
    fail(breaker)
    assert breaker.pause() == 600.0
