"""What the business itself costs: parse, patch, merge and map one event, without any I/O."""

from __future__ import annotations

import json
import statistics
import timeit
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bench.report import Measure
from bench.workload import meetings
from shared.mapping_file import DEFAULT_MAPPING_FILE, load_mapping
from shared.meeting.appointment import Policy, collapse, desired, references
from shared.meeting.delivery import Reference, parse_delivery, parse_json
from shared.meeting.mapping import MappingFile
from shared.meeting.merge import Facts, merge
from shared.meeting.patch import read_patch
from shared.meeting.people import CrmRecord, Person
from shared.pipeline.signature import sign, verify

_SECRET = "a-secret-for-the-bench-only"  # noqa: S105 - it protects nothing
_RECEIVED = datetime(2026, 2, 2, tzinfo=UTC)
_REPEATS = 7


def measure_core(*, loops: int) -> list[Measure]:
    """Microseconds per event, over a whole meeting's events; the least of several repeats, as `timeit` advises."""
    mapping, policy = load_mapping(DEFAULT_MAPPING_FILE), Policy()
    many = meetings(range(1, 21))
    bodies = [[delivery.body for delivery in meeting.deliveries] for meeting in many]
    events = sum(map(len, bodies))
    signatures = {body: sign(body, _SECRET) for life in bodies for body in life}

    def carry_out() -> None:
        for life in bodies:
            fields: Facts = {}
            for body in life:
                fields = _one(body, fields, mapping, policy)

    def decode() -> None:
        for life in bodies:
            for body in life:
                json.loads(body)

    def check() -> None:
        for body, signature in signatures.items():
            verify(body, signature, secrets=[_SECRET])

    micros = {work: _micros(work, events, loops) for work in (carry_out, decode, check)}
    plain = micros[decode]
    section = "the pure core, per event"
    size = statistics.mean(len(body) for life in bodies for body in life)
    note = f"(bodies of {size:.0f} bytes)"
    return [
        Measure(section, "parse, patch, merge, map", micros[carry_out], "µs"),
        Measure(section, "the same ÷ json.loads of the body", micros[carry_out] / plain, note=note),
        Measure(section, "signature ÷ json.loads of the body", micros[check] / plain),
    ]


def _one(body: bytes, fields: Facts, mapping: MappingFile, policy: Policy) -> Facts:
    patch = read_patch(parse_delivery(parse_json(body)), mapping=mapping, received_at=_RECEIVED)
    merged = merge(fields, patch.fields).facts
    values = collapse(merged, mapping)
    people = _people(references(values, mapping))
    desired(values, mapping=mapping, people=people, policy=policy)
    return merged


def _people(wanted: frozenset[Reference]) -> Mapping[Reference, Person]:
    return {reference: _PERSONS[reference.type] for reference in wanted}


def _person(table: str) -> Person:
    return Person((CrmRecord(table, "20000000-0000-4000-8000-000000000001"),), "somebody@example.com")


_PERSONS = {
    "prospect": _person("contact"),
    "user": _person("systemuser"),
    "opportunity": _person("opportunity"),
}


def _micros(work: Callable[[], Any], events: int, loops: int) -> float:
    return min(timeit.repeat(work, number=loops, repeat=_REPEATS)) / loops / events * 1e6
