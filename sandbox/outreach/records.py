"""The records that the stand-in serves, and how each looks as a JSON:API resource object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["integer", "text", "instant", "flag"]

_TIMES: Final[Mapping[str, Kind]] = {"id": "integer", "createdAt": "instant", "updatedAt": "instant"}
_NAMES: Final[Mapping[str, Kind]] = {"firstName": "text", "lastName": "text"}


@dataclass(frozen=True, slots=True)
class Resource:
    """One collection. `filterable`: what its published schema marks so, with the type of each."""

    type: str
    collection: str
    filterable: Mapping[str, Kind]
    not_sortable: frozenset[str] = frozenset()

    @property
    def scope(self) -> str:
        """The scope that reading needs."""
        return f"{self.collection}.read"


RESOURCES: Final[Mapping[str, Resource]] = {
    resource.collection: resource
    for resource in (
        Resource(
            "prospect",
            "prospects",
            {**_TIMES, **_NAMES, "emails": "text", "externalSource": "text", "title": "text", "engagedAt": "instant"},
            frozenset({"emails"}),
        ),
        Resource("user", "users", {**_TIMES, **_NAMES, "email": "text", "username": "text", "locked": "flag"}),
        Resource("opportunity", "opportunities", {**_TIMES, "name": "text", "customId": "text"}),
        Resource("account", "accounts", {**_TIMES, "name": "text", "customId": "text"}),
        Resource(
            "event",
            "events",
            {"id": "integer", "createdAt": "instant", "eventAt": "instant", "name": "text"},
            frozenset({"name"}),
        ),
        Resource("webhook", "webhooks", {**_TIMES, "action": "text", "resource": "text", "active": "flag"}),
    )
}
BY_TYPE: Final[Mapping[str, Resource]] = {resource.type: resource for resource in RESOURCES.values()}


@dataclass(slots=True)
class Record:
    """One record. `relationships` maps a name to (type, id), or to None where it is empty.

    `data_connections`: what `meta.dataConnections` is to be, in whatever form; `None`: the record has no such meta.
    """

    type: str
    id: int
    attributes: dict[str, Any]
    relationships: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    data_connections: object = None

    def value(self, name: str) -> object:
        """An attribute, or the id."""
        return self.id if name == "id" else self.attributes.get(name)

    def resource_object(
        self, base: str, *, connections: Literal["with", "without"] = "without", only: frozenset[str] | None = None
    ) -> dict[str, Any]:
        """The record as the REST API shows it: relationships wrapped in `data`. `only`: the attributes asked for."""
        shown: dict[str, Any] = {
            "type": self.type,
            "id": self.id,
            "attributes": {name: value for name, value in self.attributes.items() if only is None or name in only},
            "relationships": {
                name: {"data": None if target is None else {"type": target[0], "id": target[1]}}
                for name, target in self.relationships.items()
            },
            "links": {"self": f"{base}/{BY_TYPE[self.type].collection}/{self.id}"},
        }
        if connections == "with" and self.data_connections is not None:
            shown["meta"] = {"dataConnections": self.data_connections}
        return shown
