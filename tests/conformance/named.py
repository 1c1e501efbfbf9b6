"""The product's server with the named tools, resources and prompts that the conformance suites call.

It is the same server class on the same HTTP application; what is named here goes to the SDK's own registries.
The items and what they answer follow the SDK's everything-server (MIT licence), because the suites expect them
word for word.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    GetPromptResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    JSONRPCMessage,
    ListRootsRequest,
    ListRootsResult,
    Resource,
    ResourceTemplate,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    Tool,
    UnsubscribeRequestParams,
)
from mcp_types import Prompt as PromptOnWire
from pydantic import AnyUrl, BaseModel, Field

from mcp_server.front.mcp.elicitation import AnyContext
from mcp_server.front.mcp.server import FenqunServer

Ctx = Context[Any, Any]

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
AUDIO = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
PICTURE = ImageContent(type="image", data=IMAGE, mime_type="image/png")


class NamedServer(FenqunServer):
    """`FenqunServer` with the named items beside its own."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        add_tools(self)
        add_asking_tools(self)
        add_resources_and_prompts(self)
        serve_old_requests(self)

    def _has(self, name: str) -> bool:
        return any(tool.name == name for tool in self._tool_manager.list_tools())

    def _tool_input_schema(self, name: str) -> dict[str, Any] | None:
        return MCPServer._tool_input_schema(self, name) if self._has(name) else super()._tool_input_schema(name)

    async def list_tools(self) -> list[Tool]:
        named = [tool.model_copy(update={"description": tool.name}) for tool in await MCPServer.list_tools(self)]
        return [*await super().list_tools(), *named]

    async def call_tool(self, name: str, arguments: dict[str, Any], context: AnyContext | None = None) -> Any:
        if self._has(name):
            return await MCPServer.call_tool(self, name, arguments, context)
        return await super().call_tool(name, arguments, context)

    async def list_resources(self) -> list[Resource]:
        return [*await super().list_resources(), *await MCPServer.list_resources(self)]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        return [*await super().list_resource_templates(), *await MCPServer.list_resource_templates(self)]

    async def read_resource(
        self, uri: AnyUrl | str, context: AnyContext | None = None
    ) -> Iterable[ReadResourceContents]:
        if str(uri).startswith("test://"):
            return await MCPServer.read_resource(self, uri, context)  # type: ignore[return-value]
        return await super().read_resource(uri, context)

    async def list_prompts(self) -> list[PromptOnWire]:
        return [*await super().list_prompts(), *await MCPServer.list_prompts(self)]

    async def get_prompt(
        self, name: str, arguments: Mapping[str, Any] | None = None, context: AnyContext | None = None
    ) -> GetPromptResult:
        if name.startswith("test_"):
            return await MCPServer.get_prompt(self, name, dict(arguments or {}), context)  # type: ignore[return-value]
        return await super().get_prompt(name, arguments, context)


class Events(EventStore):
    """What streams have said, so that a client that lost one can go on."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._kept.append((stream_id, message))
        return str(len(self._kept))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream = self._kept[last - 1][0]
        for number, (of, message) in enumerate(self._kept[last:], last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def sampling(words: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def question(words: str, **properties: str) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": [*properties],
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=words, requested_schema=schema))


# --- tools ---

JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def add_tools(server: MCPServer[Any]) -> None:  # noqa: C901 - a list, not a knot
    """Tools that answer."""

    @server.tool()
    def test_simple_text() -> str:
        return "This is a simple text response for testing."

    @server.tool()
    def test_image_content() -> list[ImageContent]:
        return [PICTURE]

    @server.tool()
    def test_audio_content() -> list[AudioContent]:
        return [AudioContent(type="audio", data=AUDIO, mime_type="audio/wav")]

    @server.tool()
    def test_embedded_resource() -> list[EmbeddedResource]:
        return [embedded("test://embedded-resource", "This is an embedded resource content.")]

    @server.tool()
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        data = embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json")
        return [TextContent(type="text", text="Multiple content types test:"), PICTURE, data]

    @server.tool()
    async def test_tool_with_logging(ctx: Ctx) -> str:
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.info(words)
        return "Tool with logging executed successfully"

    @server.tool()
    async def test_tool_with_progress(ctx: Ctx) -> str:
        for percent in (0, 50, 100):
            await ctx.report_progress(percent, 100, f"Completed step {percent} of 100")
        return "done"

    @server.tool()
    def test_error_handling() -> str:
        raise RuntimeError("This tool intentionally returns an error for testing")

    @server.tool()
    def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "<none>",
    ) -> str:
        return f"region={region}"

    @server.tool()
    async def test_missing_capability(ctx: Ctx) -> str:
        able = ctx.session.client_capabilities
        if able is None or able.sampling is None:
            needed = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool requires the client 'sampling' capability", needed
            )
        return "Client declared sampling capability; proceeding."

    @server.tool()
    def json_schema_2020_12_tool() -> str:
        return "json_schema_2020_12_tool"

    server._tool_manager._tools["json_schema_2020_12_tool"].parameters = JSON_SCHEMA

    @server.tool()
    async def test_reconnection(ctx: Ctx) -> str:
        await ctx.info("Before disconnect")
        await ctx.close_sse_stream()
        await anyio.sleep(0.2)  # the suite watches the client come back in the meantime
        await ctx.info("After reconnect")
        return "Reconnection test completed"

    @server.tool()
    async def test_trigger_tool_change(ctx: Ctx) -> str:
        await ctx.notify_tools_changed()
        return "tool list changed"

    @server.tool()
    async def test_trigger_prompt_change(ctx: Ctx) -> str:
        await ctx.notify_prompts_changed()
        return "prompt list changed"


class Words(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(default=True, description="Verification status")


def titled(kind: str, **titles: str) -> dict[str, Any]:
    return {kind: [{"const": value, "title": title} for value, title in titles.items()]}


class Choices(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})  # noqa: N815
    titledSingle: str = Field(  # noqa: N815
        json_schema_extra=titled("oneOf", low="Low Priority", medium="Medium Priority", high="High Priority")
    )
    untitledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"type": "string", "enum": ["read", "write", "execute"]}}
    )
    titledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": titled("anyOf", feature="New Feature", bug="Bug Fix", docs="Documentation")}
    )
    legacyEnum: str = Field(  # noqa: N815
        json_schema_extra={
            "enum": ["small", "medium", "large"],
            "enumNames": ["Small Size", "Medium Size", "Large Size"],
        }
    )


def add_asking_tools(server: MCPServer[Any]) -> None:  # noqa: C901 - the same
    """Tools that ask the client: over the back channel of a session, or by a result that wants an answer."""

    @server.tool()
    async def test_sampling(prompt: str, ctx: Ctx) -> str:
        message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        said = await ctx.session.create_message(messages=[message], max_tokens=100, related_request_id=ctx.request_id)
        return f"LLM response: {said.content.text if isinstance(said.content, TextContent) else 'No response'}"

    async def elicited(ctx: Ctx, words: str, schema: type[BaseModel]) -> str:
        result = await ctx.elicit(message=words, schema=schema)
        content = result.data.model_dump_json() if result.action == "accept" else "{}"
        return f"action={result.action}, content={content}"

    @server.tool()
    async def test_elicitation(message: str, ctx: Ctx) -> str:
        return "User response: " + await elicited(ctx, message, Words)

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
        return "Elicitation result: " + await elicited(ctx, "Please provide user information", Defaults)

    @server.tool()
    async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
        return "Elicitation completed: " + await elicited(ctx, "Please select values", Choices)

    name_wanted = question("What is your name?", name="string")

    @server.tool()
    async def test_input_required_result_elicitation(ctx: Ctx) -> str | InputRequiredResult:
        answer = (ctx.input_responses or {}).get("user_name")
        if isinstance(answer, ElicitResult) and answer.content:
            return f"Hello, {answer.content.get('name', 'stranger')}!"
        return InputRequiredResult(input_requests={"user_name": name_wanted})

    @server.tool()
    async def test_input_required_result_sampling(ctx: Ctx) -> str | InputRequiredResult:
        answer = (ctx.input_responses or {}).get("capital_question")
        if isinstance(answer, CreateMessageResult) and isinstance(answer.content, TextContent):
            return f"Model said: {answer.content.text}"
        return InputRequiredResult(input_requests={"capital_question": sampling("What is the capital of France?")})

    @server.tool()
    async def test_input_required_result_list_roots(ctx: Ctx) -> str | InputRequiredResult:
        answer = (ctx.input_responses or {}).get("client_roots")
        if isinstance(answer, ListRootsResult):
            return f"Client exposed {len(answer.roots)} root(s)."
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})

    @server.tool()
    async def test_input_required_result_request_state(ctx: Ctx) -> str | InputRequiredResult:
        if "confirm" in (ctx.input_responses or {}) and ctx.request_state == "nonce":
            return "state-ok: confirmation received"
        return InputRequiredResult(
            input_requests={"confirm": question("Please confirm", ok="boolean")}, request_state="nonce"
        )

    @server.tool()
    async def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | InputRequiredResult:
        wanted: dict[str, InputRequest] = {
            "user_name": name_wanted,
            "greeting": sampling("Generate a greeting"),
            "client_roots": ListRootsRequest(),
        }
        if set(wanted) <= set(ctx.input_responses or {}):
            return "All inputs received."
        return InputRequiredResult(input_requests=wanted, request_state="multiple-inputs")

    @server.tool()
    async def test_input_required_result_multi_round(ctx: Ctx) -> str | InputRequiredResult:
        state = json.loads(ctx.request_state) if ctx.request_state else {}
        given = {
            name: answer.content
            for name, answer in (ctx.input_responses or {}).items()
            if isinstance(answer, ElicitResult) and answer.content
        }
        if "name" in state and "step2" in given:
            return f"{state['name']} likes {given['step2'].get('color')}."
        if "step1" in given:
            wanted = question("Step 2: What is your favorite color?", color="string")
            state = {"name": given["step1"].get("name")}
            return InputRequiredResult(input_requests={"step2": wanted}, request_state=json.dumps(state))
        wanted = question("Step 1: What is your name?", name="string")
        return InputRequiredResult(input_requests={"step1": wanted}, request_state="{}")

    @server.tool()
    async def test_input_required_result_tampered_state(ctx: Ctx) -> str | InputRequiredResult:
        if ctx.request_state is not None:
            return f"state-ok: {ctx.request_state}"
        return InputRequiredResult(
            input_requests={"confirm": question("Please confirm", ok="boolean")}, request_state="round-1"
        )

    @server.tool()
    async def test_input_required_result_capabilities(ctx: Ctx) -> InputRequiredResult:
        able = ctx.client_capabilities
        wanted: dict[str, InputRequest] = {}
        if able is None or able.sampling is not None:
            wanted["sample"] = sampling("Say hello")
        if able is None or able.elicitation is not None:
            wanted["ask"] = name_wanted
        return InputRequiredResult(input_requests=wanted, request_state="capability-gated")


# --- the rest ---


def add_resources_and_prompts(server: MCPServer[Any]) -> None:
    """Resources and prompts."""
    server.resource("test://static-text", name="text")(lambda: "This is the content of the static text resource.")
    server.resource("test://static-binary", name="binary")(lambda: base64.b64decode(IMAGE))
    server.resource("test://watched-resource", name="watched")(lambda: "Watched resource content")

    @server.resource("test://template/{id}/data")
    def template(id: str) -> str:  # noqa: A002
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    def said(content: Any) -> UserMessage:
        return UserMessage(content=TextContent(type="text", text=content) if isinstance(content, str) else content)

    def test_simple_prompt() -> list[UserMessage]:
        return [said("This is a simple prompt for testing.")]

    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        return [said(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803
        return [
            said(embedded(resourceUri, "Embedded resource content for testing.")),
            said("Please process the embedded resource above."),
        ]

    def test_prompt_with_image() -> list[UserMessage]:
        return [said(PICTURE), said("Please analyze the image above.")]

    async def test_input_required_result_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
        answer = (ctx.input_responses or {}).get("user_context")
        if isinstance(answer, ElicitResult) and answer.content:
            return [said(f"Use the following context: {answer.content.get('context')}")]
        wanted = question("What context should the prompt use?", context="string")
        return InputRequiredResult(input_requests={"user_context": wanted})

    for prompt in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
        test_input_required_result_prompt,
    ):
        server.add_prompt(Prompt.from_function(prompt, description="A prompt of the conformance suites"))


def serve_old_requests(server: FenqunServer) -> None:
    """Requests of the handshake revisions that the SDK serves only where somebody asks for it."""

    async def nothing(asked: Any, params: Any) -> EmptyResult:
        return EmptyResult()

    for method, params in (
        ("logging/setLevel", SetLevelRequestParams),
        ("resources/subscribe", SubscribeRequestParams),
        ("resources/unsubscribe", UnsubscribeRequestParams),
    ):
        server.lowlevel.add_request_handler(method, params, nothing)
