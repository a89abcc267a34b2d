"""Chats with models of Azure OpenAI: OpenAI's protocol at a deployment of a resource of one's own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from langchain_core.language_models import BaseChatModel
from langchain_openai import AzureChatOpenAI
from pydantic import SecretStr

from service.providers.chat.openai import OpenAIWords, asked, connected, reasons
from service.providers.chat.services import azure_place
from service.providers.chat.translated import STOPPED
from service.providers.defaults import Defaults
from service.providers.errors import ContentRefused, ProviderError, RequestRefused
from service.providers.openai_errors import FAILURES
from service.providers.options import text

VERSION = "2024-10-21"
"""Of the API, where the credential names none: the latest that is generally available."""


class AzureChat(OpenAIWords, AzureChatOpenAI):
    """`AzureChatOpenAI` with our errors, and with retries that end as soon as the first token has come."""

    FAILURES: ClassVar[tuple[type[Exception], ...]] = (*FAILURES, ValueError)

    def _ours(self, error: Exception) -> ProviderError:
        if type(error) is ValueError and "content filter" in str(error):
            return ContentRefused(STOPPED)
        return super()._ours(error)


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of azureChatOpenAI and azureOpenAI; credential azureOpenAIApi.

    The credential's deployment answers; without one, a deployment that is called as the model.
    """
    place = azure_place(config, credential)
    if not place:
        raise RequestRefused("azureOpenAIApiInstanceName: the credential must name the resource in Azure.")
    deployment = text(credential, "azureOpenAIApiDeploymentName") or text(config, "modelName")
    if not deployment:
        raise RequestRefused("azureOpenAIApiDeploymentName: the credential must name the deployment.")
    model = text(config, "modelName") or deployment
    return AzureChat(
        azure_endpoint=place,
        azure_deployment=deployment,
        model=model,
        api_version=text(credential, "azureOpenAIApiVersion") or VERSION,
        api_key=SecretStr(text(credential, "azureOpenAIApiKey") or "none"),
        azure_ad_token=None,  # never that of the environment
        max_retries=0,
        again=defaults.max_retries,
        **asked(config, None, reasons=reasons(model)),
        **connected(config, defaults),
    )
