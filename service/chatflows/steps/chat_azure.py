"""Chat models of Azure OpenAI."""

from collections.abc import Mapping
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from service.chatflows.run import Backing
from service.chatflows.steps.base import StepOptions
from service.chatflows.steps.chat_openai import ServerOptions, ServiceChat
from service.chatflows.steps.keys import revealed


class AzureOptions(ServerOptions):
    """Fields of the node."""

    model_name: str = Field("", title="Model Name", description="Where the credential names no deployment, that too.")
    allow_image_uploads: bool = Field(False, title="Allow Image Uploads")
    reasoning: bool = Field(False, title="Reasoning")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, title="Reasoning Effort"
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field(None, title="Reasoning Summary")


class AzureChatOpenAI(ServiceChat):
    """Models of OpenAI that are deployed in Azure."""

    label = "Azure ChatOpenAI"
    version: ClassVar[float] = 7.1
    base_classes: ClassVar[tuple[str, ...]] = ("AzureChatOpenAI", "BaseChatModel", "BaseLanguageModel")
    credential = ("azureOpenAIApi",)
    service = "azure"
    Options: ClassVar[type[StepOptions]] = AzureOptions

    async def _told_by_credential(self, workspace: UUID, backing: Backing) -> Mapping[str, str]:
        return await revealed(self, workspace, backing, None)
