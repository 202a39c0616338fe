"""What the admin's routes are asked: bodies as JSON, checked once, with the names of the API. Those stay."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.admin.admin import MAX_NAMED, plain_id, read_reason
from shared.errors import BadDelivery


class _Replay(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    all: bool = False
    correlation_ids: list[str] | None = Field(default=None, alias="correlationIds", max_length=MAX_NAMED)


def read_replay(body: bytes) -> frozenset[str] | None:
    """What to replay: correlation ids, or None for all. Raises `BadDelivery` for anything else."""
    problem = BadDelivery("bad_request", 'Send {"all": true} or {"correlationIds": ["…"]}.')
    try:
        wanted = _Replay.model_validate_json(body)
    except ValidationError as error:
        raise problem from error
    if wanted.all == bool(wanted.correlation_ids):
        raise problem
    return None if wanted.all else frozenset(plain_id(one) for one in wanted.correlation_ids or ())


class _Dismissal(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    correlation_ids: list[str] = Field(alias="correlationIds", min_length=1, max_length=MAX_NAMED)
    reason: str


def read_dismissal(body: bytes) -> tuple[frozenset[str], str]:
    """Which correlation ids to dismiss, and why. Raises `BadDelivery` for anything else.

    There is no `all`: who lets an event go for good should have looked at it.
    """
    try:
        wanted = _Dismissal.model_validate_json(body)
    except ValidationError as error:
        raise BadDelivery("bad_request", 'Send {"correlationIds": ["…"], "reason": "…"}.') from error
    return frozenset(map(plain_id, wanted.correlation_ids)), read_reason(wanted.reason)
