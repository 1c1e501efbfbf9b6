"""Files over HTTP, behind the gate: uploads that an import takes, exports that a result names."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from mcp_server.consent.invoke import error_for
from mcp_server.errors import FenqunError, InvalidArguments, LoadRefused, NoData, NoProject, NotAllowed, ReadOnlyMode
from mcp_server.front.http.access import HttpLimits, Refused, identity_of
from mcp_server.front.mcp.resources import media_type
from mcp_server.language.problems import shorten
from mcp_server.operations.operation import Deps, Files, is_project
from mcp_server.store.files import HandedFiles
from mcp_server.text import Text
from mcp_server.web import Stopped, TooLong, into_file

_READ_ONLY = Text("This server is read-only and takes no files.", "本服务处于只读模式，不接收文件。")
_MAY_NOT = Text("This access may only read, and takes no files in.", "当前的访问权限仅限读取，不能上传文件。")
_TOO_BIG = Text("The file is larger than {most} MB.", "文件超过 {most} MB。")
_SPLIT = Text("Split it, or compress it as Parquet.", "请拆分文件，或改用 Parquet 格式。")
_EMPTY = Text("The request carries no file.", "请求中没有文件内容。")
_HOW = Text(
    "Send the file itself as the body: curl --data-binary @ids.csv '{url}?name=ids.csv'",
    "请直接以文件内容作为请求体：curl --data-binary @ids.csv '{url}?name=ids.csv'",
)
_ENCODED = Text("The file is sent with the encoding {got}.", "文件以 {got} 编码发送。")
_PLAIN = Text("Send it as it is, without Content-Encoding.", "请直接发送原文件，不要使用 Content-Encoding。")
_SLOW = Text("The file stopped arriving.", "文件传输中断。")
_AGAIN = Text("Send it again.", "请重新发送。")
_TAKEN = Text("Took {size} bytes. The file waits for a day.", "已接收 {size} 字节。文件将保留一天。")
_IMPORT = Text(
    "Call import_ids (a list of ids) or look_at_file (data to load) with this path.",
    "请用此 path 调用 import_ids（ID 名单）或 look_at_file（要加载的数据）。",
)


@dataclass(frozen=True, slots=True)
class HttpFiles:
    """How files travel for one caller (`operations.operation.Files`)."""

    store: HandedFiles
    base_url: str
    by: str

    @property
    def upload_url(self) -> str:
        return f"{self.base_url}/imports"

    def offer(self, path: Path, project_id: str) -> str:
        return f"{self.base_url}/exports/{self.store.offer(path, project_id, self.by)}"

    def uploaded(self, handle: str, project_id: str) -> Path:
        return self.store.uploaded(handle, project_id)


class FileRoutes:
    """The two routes, and the same files as operations see them."""

    def __init__(self, store: HandedFiles, deps: Deps, limits: HttpLimits, *, public_url: str) -> None:
        self._store = store
        self._deps = deps
        self._limits = limits
        self._public_url = public_url

    def files_of(self, request: Request) -> Files:
        """How files travel for the caller of this request; addresses begin as in the request."""
        return HttpFiles(self._store, self._base_url(request), identity_of(request.scope).name)

    def _base_url(self, request: Request) -> str:
        return self._public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"

    async def upload(self, request: Request) -> Response:
        """`POST /imports`: the body is the file. Answers with the path that import_ids takes."""
        caller = identity_of(request.scope)
        if self._deps.read_only:
            raise ReadOnlyMode(_READ_ONLY)
        if not caller.may_write:
            raise NotAllowed(_MAY_NOT)
        project = await self._project(request)
        most = min(self._limits.upload, self._store.room(project))
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise InvalidArguments(_ENCODED.format(got=shorten(encoding)), next_step=_PLAIN)
        temp = self._store.temp_path()
        try:
            size = await self._write(request, temp, most)
            if not size:
                raise InvalidArguments(_EMPTY, next_step=_HOW.format(url=f"{self._base_url(request)}/imports"))
            suffix = PurePosixPath(request.query_params.get("name", "")).suffix.lower()
            made = await anyio.to_thread.run_sync(self._store.take, temp, project, suffix, caller.name)
        finally:
            temp.unlink(missing_ok=True)
        answer = {
            "message": self._deps.say(_TAKEN.format(size=made.size_bytes)),
            "next": self._deps.say(_IMPORT),
            "path": made.handle,
            "project_id": project,
            "size_bytes": made.size_bytes,
        }
        return JSONResponse(answer, 201, {"Cache-Control": "no-store"})

    async def _project(self, request: Request) -> str:
        """The project that a file is for: one that the caller may use, or whose first data the file is to be."""
        deps = self._deps.for_caller(identity_of(request.scope))
        project = deps.project(request.query_params.get("project_id", ""))
        try:
            await deps.segments.metadata(project)
        except (NoData, NoProject) as error:
            if deps.data is None or not is_project(project):
                raise error_for(error, deps) from error
        except FenqunError as error:
            raise error_for(error, deps) from error
        return project

    async def _write(self, request: Request, temp: Path, most: int) -> int:
        """Write the body piece by piece; its size. LoadRefused as soon as it is too large."""
        try:
            return await into_file(request, temp, most, self._limits.upload_pause)
        except TooLong:
            raise LoadRefused(_TOO_BIG.format(most=most >> 20), next_step=_SPLIT) from None
        except Stopped as error:
            raise Refused(408, "timeout", _SLOW, _AGAIN) from error

    async def download(self, request: Request) -> Response:
        """`GET /exports/{id}`: a file that export_users wrote."""
        caller = self._deps.for_caller(identity_of(request.scope)).pinned_caller()
        path = self._store.offered(request.path_params["id"], caller.projects)
        headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, headers=headers, media_type=media_type(path.name), filename=path.name)
