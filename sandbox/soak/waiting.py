"""What is not finished yet: messages in the queue, seen or not, and events in the overflow table."""

from __future__ import annotations

from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from sandbox.stack import Stack
from shared.storage import overflow


async def unfinished(stack: Stack) -> int:
    """How many. Raises `AzureError` while storage is away."""
    storage = stack.azurite.connection_string
    queue = stack.app_settings()["SYNC_QUEUE_NAME"]
    waiting = 0
    async with QueueServiceClient.from_connection_string(storage) as queues:
        async for found in queues.list_queues(name_starts_with=queue):
            if found.name == queue:
                properties = await queues.get_queue_client(queue).get_queue_properties()
                waiting += int(properties.approximate_message_count or 0)
    async with TableServiceClient.from_connection_string(storage) as tables:
        if overflow.TABLE in {table.name async for table in tables.list_tables()}:
            rows = tables.get_table_client(overflow.TABLE).list_entities(select=["RowKey"])
            waiting += len([row async for row in rows])
    return waiting
