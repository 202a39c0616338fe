"""The queue service that a binding's `connection` names: a connection string, or the identity form.

https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.queue.aio import QueueServiceClient

# The account of every local storage emulator, published in its documentation; it protects nothing.
_EMULATOR: Final = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)

# The Python SDK's own pauses are 15 s and more; the extension's .NET client begins with less than one.
_RETRIES: Final[Mapping[str, Any]] = {
    "initial_backoff": 1,
    "increment_base": 1,
    "random_jitter_range": 1,
    "retry_total": 2,
}


@dataclass(frozen=True, slots=True)
class QueueConnection:
    """Where a storage account's queues are and how to get in: exactly one of the two ways is set."""

    connection_string: str = ""
    service_uri: str = ""
    client_id: str | None = None
    managed_identity: bool = False


def read_connection(name: str, environ: Mapping[str, str]) -> QueueConnection:
    """Find the settings of the connection `name`. Raises `ValueError` with what to set."""
    for prefix in (f"AzureWebJobs{name}", name):
        value = environ.get(prefix, "")
        if value:
            return QueueConnection(connection_string=_EMULATOR if _is_emulator(value) else value)
        account = environ.get(f"{prefix}__accountName", "")
        uri = environ.get(f"{prefix}__queueServiceUri") or environ.get(f"{prefix}__serviceUri")
        uri = uri or (f"https://{account}.queue.core.windows.net" if account else "")
        if uri:
            managed = environ.get(f"{prefix}__credential", "").lower() == "managedidentity"
            return QueueConnection("", uri, environ.get(f"{prefix}__clientId"), managed)
    raise ValueError(f"connection {name!r} is not set; set {name} to a connection string, or {name}__queueServiceUri")


def _is_emulator(connection_string: str) -> bool:
    return connection_string.strip().rstrip(";").lower() == "usedevelopmentstorage=true"


@asynccontextmanager
async def open_queue_service(connection: QueueConnection) -> AsyncIterator[QueueServiceClient]:
    """Open a client and close it, and its credential, at the end."""
    # The real host's traffic is not in the app's log either.
    logger = logging.getLogger("Host.Storage")
    options = {**_RETRIES, "logger": logger, "http_logging_level": logging.DEBUG}
    if connection.connection_string:
        client = QueueServiceClient.from_connection_string(connection.connection_string, **options)
        async with client:
            yield client
        return
    credential = (
        ManagedIdentityCredential(client_id=connection.client_id)
        if connection.managed_identity
        else DefaultAzureCredential()
    )
    async with (
        credential,
        QueueServiceClient(connection.service_uri, credential=credential, **options) as client,
    ):
        yield client
