"""Wolfram Alpha's short answers."""

from service.chatflows.run import Run
from service.chatflows.steps.tool import ToolFailed
from service.chatflows.steps.tool_http import fetched, text_of, with_query
from service.chatflows.steps.tool_search import SearchStep


class WolframAlpha(SearchStep):
    """Asks Wolfram Alpha, which works answers out."""

    label = "WolframAlpha"
    base_classes = ("WolframAlpha", "Tool", "StructuredTool", "Runnable")
    credential = ("wolframAlphaAppId",)
    address, name, secret = "https://api.wolframalpha.com", "wolfram_alpha", "wolframAlphaAppId"
    about = "Works out questions of mathematics, science, units and dates."

    async def search(self, run: Run, query: str) -> str:
        """The short answer. Raises `ToolFailed`."""
        answer = await fetched(run, with_query(f"{self.base}/v1/result", {"appid": self.key, "i": query}))
        if answer.status == 501:
            raise ToolFailed("Wolfram Alpha has no short answer to this; put it in other words.")
        if answer.status != 200:
            raise ToolFailed(f"Wolfram Alpha answers with status {answer.status}.")
        return text_of(answer)
