"""What the public sees of chatflows, over HTTP (contract 4.3)."""

from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.routes import Id, flow_id
from service.chatflows.wire import ChatflowEntity
from service.errors import Unauthorized
from service.http.access import PUBLIC
from service.http.routing import Routes
from service.public_flows import wire
from service.public_flows.wire import PublicConfig, UploadsConfig
from service.resources import CurrentResources, Resources

routes = Routes("Chatflows")


@routes.get(
    "/public-chatbotConfig/{id}",
    PUBLIC,
    errors=(400, 404),
    summary="What a widget needs of a chatflow",
    response_model=PublicConfig,
)
async def get_public_chatbot_config(id: Id, resources: CurrentResources) -> PublicConfig:
    """The flow's `chatbotConfig` without its origin rules, what may be uploaded, and the graph without prompts,
    credentials and secret inputs."""
    known = await chatflows.know(resources, flow_id(id))
    return wire.public_config(known, _uploads(resources, known))


@routes.get(
    "/chatflows-uploads/{id}",
    PUBLIC,
    errors=(400, 404),
    summary="What may be uploaded to a chatflow",
    response_model=UploadsConfig,
)
async def get_uploads_config(id: Id, resources: CurrentResources) -> UploadsConfig:
    """Whether a widget may send speech and pictures, and which files to the flow's vector store, and how large."""
    return _uploads(resources, await chatflows.know(resources, flow_id(id)))


@routes.get(
    "/public-chatflows/{id}",
    PUBLIC,
    errors=(400, 401, 404),
    summary="Read a chatflow that is public",
    response_model=ChatflowEntity,
)
async def get_public_chatflow(id: Id, resources: CurrentResources) -> ChatflowEntity:
    """A flow whose owner made it public, without prompts, credentials and secret inputs, and without its settings for
    interfaces, analytics, speech and tools."""
    known = await chatflows.know(resources, flow_id(id), believed=0)
    if known.flow.is_public is not True:
        raise Unauthorized("Unauthorized")
    return wire.public_entity(known)


def _uploads(resources: Resources, known: KnownFlow) -> UploadsConfig:
    settings = resources.settings
    return wire.uploads_of(
        known.flow.flow_data,
        upserts=settings.widget_upserts,
        most=settings.max_upload,
        most_picture=settings.max_picture,
        speech_to_text=known.flow.speech_to_text,
    )


get_public_chatbot_config_without_id = routes.refuse(
    "GET",
    "/public-chatbotConfig",
    PUBLIC,
    "get_public_chatbot_config_without_id",
    "id",
    summary="What a widget needs of a chatflow",
    response_model=PublicConfig,
)
get_uploads_config_without_id = routes.refuse(
    "GET",
    "/chatflows-uploads",
    PUBLIC,
    "get_uploads_config_without_id",
    "id",
    summary="What may be uploaded to a chatflow",
    response_model=UploadsConfig,
)
get_public_chatflow_without_id = routes.refuse(
    "GET",
    "/public-chatflows",
    PUBLIC,
    "get_public_chatflow_without_id",
    "id",
    summary="Read a chatflow that is public",
    response_model=ChatflowEntity,
)
