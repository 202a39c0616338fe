"""Sealed tokens: opened by the key that closed them, and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outreach.sealing import Seal
from tests.samples import law

KEY, OTHER = Seal(b"k" * 32), Seal(b"o" * 32)


@law
@given(st.text())
def test_what_was_closed_is_opened_by_its_key_alone(text: str) -> None:
    """Whatever it is; and what lies in the table says nothing of it."""
    sealed = KEY.close(text)
    assert KEY.open(sealed) == text
    assert OTHER.open(sealed) is None
    assert len(text) < 4 or text not in sealed


@pytest.mark.parametrize("stored", ["", "a plain token", "gAAAAAB", "\N{SNOWMAN}"])
def test_what_was_never_sealed_is_not_opened(stored: str) -> None:
    """A plain token, a damaged row."""
    assert KEY.open(stored) is None


def test_a_key_is_in_no_repr() -> None:
    """A line of the log may hold one."""
    assert "k" * 4 not in repr(KEY)
