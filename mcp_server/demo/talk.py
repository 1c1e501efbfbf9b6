"""The talk of the demo: an assistant's end of the connection, and how what it does is shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp_server.demo import story
from mcp_server.demo.screen import Screen
from mcp_server.demo.story import Data, Scene
from mcp_server.settings import Settings
from mcp_server.terminal import Bar
from mcp_server.text import Text, same

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import ElicitRequestParams, ElicitResult

_FAILED = Text("{tool} failed:", "{tool} 调用失败：")


class Halted(Exception):
    """The story cannot go on; the text says why."""

    def __init__(self, words: Text) -> None:
        super().__init__(words.en)
        self.words = words


async def asked_in_sight(screen: Screen, _: object, question: "ElicitRequestParams") -> "ElicitResult":
    """Show what the server asks the person, and answer yes."""
    from mcp_types import ElicitResult

    lines = question.message.splitlines()
    screen.say(story.ASKED)
    for line in lines:
        screen.item(same(line), mark="│ ")
    screen.person(story.SAYS_YES)
    return ElicitResult(action="accept", content={"answer": "yes"})


class Talk:
    """One connection, and what the steps over it leave for later ones. Halted where a tool answers with an error."""

    def __init__(self, client: "Client", settings: Settings, screen: Screen) -> None:
        self.client = client
        self.settings = settings
        self.screen = screen
        self.definition: Data = {}
        """The definition of the cluster, once it is valid."""
        self.exported: Data = {}
        """The answer that names the exported file."""
        self.call_task = ""
        """The id of the call task."""
        self.notified: list[tuple[float, str]] = []
        """The progress notifications of the last call."""
        self._steps = 0

    def begin(self, scene: Scene) -> None:
        """The heading of the next step, and what the person says, if anything."""
        self._steps += 1
        self.screen.step(self._steps, scene.heading)
        if scene.person.en:
            self.screen.person(scene.person)

    # -- calling ---------------------------------------------------------------------------------------------

    async def ask(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        """Call a tool in sight of the reader; its structured content."""
        self.screen.call(tool, arguments)
        return await self.quietly(tool, arguments)

    async def quietly(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        """The same without showing the call."""
        self.notified = []
        with Bar(self.settings.language) as bar:

            async def show(progress: float, total: float | None, message: str | None) -> None:
                percent = 100 * progress / (total or 100)
                self.notified.append((percent, message or ""))
                bar.show(percent, same(message or ""))

            result = await self.client.call_tool(tool, dict(arguments), progress_callback=show)
        if result.is_error:
            said = [_FAILED.format(tool=tool), *(same(b.text) for b in result.content if b.type == "text")]
            raise Halted(Text("\n".join(t.en for t in said), "\n".join(t.zh for t in said)))
        return result.structured_content or {}

    # -- saying ----------------------------------------------------------------------------------------------

    def answer(self, answer: Data) -> None:
        """The sentence in which a tool says what happened, in the language that the server speaks."""
        self.screen.say(same(answer["message"]))
