"""Storage goes away and comes back: by Outreach's own rule nothing is lost, also where the app is stopped meanwhile."""

from __future__ import annotations

from sandbox.outage import Plan, outage
from sandbox.stack import HostKind


def test_what_is_held_is_applied_although_the_app_is_stopped(host_kind: HostKind) -> None:
    """Ten deliveries are held when SIGTERM comes; none is answered no, and all are in Dynamics in the end."""
    assert outage(Plan(seconds=9, how="hangs", deliveries=10, host=host_kind, stop=True)) == 0
