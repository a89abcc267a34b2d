"""Re-index over HTTP (ours; the contract has no such route)."""

from fastapi import Response

from service.document_stores.reindexing import service
from service.document_stores.reindexing.wire import ReindexBody
from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.jobs.wire import JobStatus, status
from service.resources import CurrentResources

routes = Routes("Document stores")


@routes.post(
    "/document-store/vectorstore/reindex",
    needs("documentStores:upsert-config"),
    errors=(404, 409, 422, 502, 503),
    summary="Give a document store another embedding or vector store",
    response_model=JobStatus,
    status_code=202,
)
async def reindex_store(
    body: ReindexBody, resources: CurrentResources, workspace: CurrentWorkspace, response: Response
) -> JobStatus:
    """Make all vectors anew, by the embedding given or by the configured one. With another vector store and the same
    embedding they move there, and nothing is embedded.

    Answers with the job at once. Queries and upserts go on with the old vectors until the new ones are complete, and
    then turn to these from one moment to the next. Cancelling the job leaves the old ones whole.
    """
    job = status(await service.reindex(resources, workspace, body.store_id, body.embedding(), body.vector_store()))
    response.headers["Location"] = job.url
    return job
