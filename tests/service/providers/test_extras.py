"""Without its library a provider says which extra brings it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from service.providers.chat import create_chat_model
from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder
from service.providers.errors import MissingLibrary


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the extra torch is installed")
async def test_a_missing_library_names_the_extra() -> None:
    embedder = create_embedder("sentence_transformers")
    with pytest.raises(MissingLibrary, match=r"ragstone\[torch\]"):
        await embedder.open()


@pytest.mark.skipif(find_spec("xllamacpp") is not None, reason="the extra llm is installed")
def test_the_local_chat_model_does_too() -> None:
    with pytest.raises(MissingLibrary, match=r"ragstone\[llm\]"):
        create_chat_model("chatLocal", defaults=Defaults(chat_model_path=Path("model.gguf")))
