from uuid import UUID, uuid4

import httpx
from psycopg.types.json import Jsonb

from service.jobs import service
from service.jobs.types import Job
from service.resources import Resources


async def submit(resources: Resources, workspace: UUID, store_id: UUID | None = None) -> Job:
    async with resources.database.write(workspace) as scope:
        return await service.submit(scope, resources.queue, "ingest", store_id=store_id, payload={"secret": "inside"})


async def document_store(resources: Resources, workspace: UUID) -> UUID:
    store_id = uuid4()
    async with resources.database.write(workspace) as scope:
        await scope.run(
            "INSERT INTO document_stores (id, workspace_id, name) VALUES (%(id)s, %(workspace)s, 'Handbook')",
            id=store_id,
        )
    return store_id


async def test_a_queued_job_tells_where_it_stands(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    store_id = await document_store(resources, workspace)
    job = await submit(resources, workspace, store_id)
    response = await client.get(f"/api/v1/jobs/{job.id}")
    assert response.status_code == 200
    body = response.json()
    created, updated = body.pop("createdDate"), body.pop("updatedDate")
    assert created == updated
    assert body == {
        "id": str(job.id), "kind": "ingest", "storeId": str(store_id), "state": "queued", "stage": "queued",
        "done": 0, "total": None, "rate": None, "etaSeconds": None, "attempts": 0, "result": None, "error": None,
        "startedDate": None, "finishedDate": None, "url": f"/api/v1/jobs/{job.id}",
    }  # fmt: skip


async def test_a_running_job_tells_its_rate_and_what_is_left(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    job = await submit(resources, workspace)
    async with resources.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET state = 'running', stage = 'embed', done = 50, total = 200, attempts = 1,"
            " started_at = '2026-01-01 00:00:00+00', updated_at = '2026-01-01 00:00:10+00' WHERE id = %s",
            (job.id,),
        )
    body = (await client.get(f"/api/v1/jobs/{job.id}")).json()
    assert (body["state"], body["stage"], body["done"], body["total"]) == ("running", "embed", 50, 200)
    assert (body["rate"], body["etaSeconds"]) == (5.0, 30.0)
    assert body["startedDate"] == "2026-01-01T00:00:00.000Z"


async def test_a_failed_job_tells_why(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> None:
    job = await submit(resources, workspace)
    error = {"status": 422, "code": "encrypted_file", "message": "report.pdf: the file is encrypted"}
    async with resources.database.connection() as connection:
        await connection.execute(
            "UPDATE jobs SET state = 'failed', stage = 'failed', error = %s, finished_at = now() WHERE id = %s",
            (Jsonb(error), job.id),
        )
    body = (await client.get(f"/api/v1/jobs/{job.id}")).json()
    assert (body["state"], body["stage"], body["error"]) == ("failed", "failed", error)
    assert body["finishedDate"] is not None


async def test_the_list_is_narrowed_by_document_store_and_state(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    store_id = await document_store(resources, workspace)
    first, second = await submit(resources, workspace, store_id), await submit(resources, workspace, store_id)
    other = await submit(resources, workspace)
    await service.cancel(resources.database, resources.queue, workspace, second.id)

    async def listed(query: str) -> list[str]:
        response = await client.get(f"/api/v1/jobs{query}")
        assert response.status_code == 200
        return [item["id"] for item in response.json()]

    assert await listed("") == [str(other.id), str(second.id), str(first.id)]
    assert await listed(f"?storeId={store_id}") == [str(second.id), str(first.id)]
    assert await listed(f"?storeId={store_id}&state=queued") == [str(first.id)]
    assert await listed("?state=cancelled") == [str(second.id)]
    page = (await client.get("/api/v1/jobs?page=2&limit=2")).json()
    assert ([item["id"] for item in page["data"]], page["total"]) == ([str(first.id)], 3)
    assert (await client.get("/api/v1/jobs?page=-1&limit=2")).status_code == 412
    assert "state" in (await client.get("/api/v1/jobs?state=asleep")).json()["message"]


async def test_cancelling_ends_a_job_once(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> None:
    job = await submit(resources, workspace)
    body = (await client.delete(f"/api/v1/jobs/{job.id}")).json()
    assert (body["state"], body["error"]["code"]) == ("cancelled", "cancelled")
    again = (await client.delete(f"/api/v1/jobs/{job.id}")).json()
    assert again["finishedDate"] == body["finishedDate"]


async def test_jobs_of_another_workspace_do_not_exist(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    job = await submit(resources, workspace)
    assert (await foreign.get(f"/api/v1/jobs/{job.id}")).status_code == 404
    assert (await foreign.delete(f"/api/v1/jobs/{job.id}")).status_code == 404
    assert (await foreign.get("/api/v1/jobs")).json() == []
    assert (await client.get(f"/api/v1/jobs/{job.id}")).json()["state"] == "queued"
