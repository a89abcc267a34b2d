"""The document store that a node of a chatflow stands for, made by the first who brings something."""

import asyncio
from uuid import UUID, uuid4

from service.document_stores import records
from tests.service.flow_upserts.conftest import Flows
from tests.service.flow_upserts.flows import fake, filled, loader

WRITERS = 4


async def test_writers_at_the_same_moment_make_one_document_store(flows: Flows) -> None:
    # Two unique indexes know it, by its id and by its node: whoever loses must meet neither as an error.
    flow = UUID(await flows.make(filled(loader("plainText", text="Leave"), embedding=fake())))
    database, workspace = flows.talk.resources.database, flows.talk.workspace
    together = asyncio.Barrier(WRITERS)

    async def write(store_id: UUID, node: str) -> bool:
        async with database.write(workspace) as scope:
            await scope.one("SELECT 1 AS ready")
            await together.wait()
            return await records.insert_owned(scope, store_id, "Node", flow, node)

    for number in range(60):
        store_id = uuid4()
        assert await asyncio.gather(*(write(store_id, f"store_{number}") for _ in range(WRITERS))) == [True] * WRITERS
        async with database.read(workspace) as scope:
            assert await records.get(scope, store_id) is not None
