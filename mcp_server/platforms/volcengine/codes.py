"""The error codes of Volcengine's voice service (vendors.md B3), and the errors that they become."""

from collections.abc import Mapping

from mcp_server.errors import FenqunError, NotFound, VendorBusy, VendorDenied, VendorRejected
from mcp_server.text import NOTHING, Text

NAME = Text("Volcengine", "火山引擎")

AGAIN = frozenset({"InternalError", "InternalServiceTimeout", "FlowLimitExceeded", "ServiceUnavailable"})
"""Codes after which a request that may be repeated is repeated."""

UNCERTAIN = frozenset({"InternalError", "InternalServiceTimeout"})
"""Of those, the ones after which a change may have happened all the same."""

_DENIED: Mapping[str, Text] = {
    "MissingAuthenticationToken": Text("The credentials are missing.", "缺少凭证。"),
    "MissingSignature": Text("The signature is missing: that is a bug of ours.", "缺少签名：这是本程序的错误。"),
    "InvalidTimestamp": Text("The clock of this machine is off.", "本机时钟不准。"),
    "InvalidAccessKey": Text("The access key is not known: check FENQUN_VOLCENGINE_ACCESS_KEY.", "Access Key 无效：请检查 FENQUN_VOLCENGINE_ACCESS_KEY。"),
    "SignatureDoesNotMatch": Text("The signature does not fit: check the secret key, the region and the clock.", "签名不符：请检查 Secret Key、地域与系统时钟。"),
    "LackPolicy": Text("The account lacks the permission: an administrator grants it in IAM.", "账号缺少权限：请管理员在访问控制中授权。"),
    "AccessDenied": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NoPermission": Text("The account may not do this.", "该账号无权执行此操作。"),
    "NOT_AUTH": Text("The account is not authorised for this.", "该账号未获授权。"),
}  # fmt: skip
"""What to tell the user of credentials that do not reach that far."""

_HELP: Mapping[str, Text] = {
    "OperationDenied": Text("The voice service may not be opened for this account, or the task is in use.", "该账号可能未开通语音服务，或任务正在使用中。"),
    "TaskWrongState": Text("The task's state does not allow this: look at it with get_call_task.", "任务当前状态不允许此操作，请用 get_call_task 查看。"),
    "ErrorRingBackTimes": Text("ring_again_times is out of range (0 to 5).", "ring_again_times 超出范围（0 至 5）。"),
    "ErrorRingBackInterval": Text("ring_again_interval is out of range (5 to 1440 minutes).", "ring_again_interval 超出范围（5 至 1440 分钟）。"),
    "ForbidTimeParseFail": Text("The platform could not read the forbidden times.", "平台无法解析禁呼时段。"),
    "ExceedMaxConcurrency": Text("The concurrency is above what the account may use.", "并发数超过账号上限。"),
    "InternalServiceTimeout": Text("If it stays so, the voice service may not be opened for this account.", "若一直如此，可能是该账号未开通语音服务。"),
    "TaskConcurrencyNotNull": Text("The platform needs the concurrency: give it.", "平台要求提供并发数，请补上 concurrency。"),
}  # fmt: skip
"""What helps, of the codes that the caller can do something about."""

_SAID = Text('{name} refused it: "{words}" ({code}{request}).', "{name}拒绝了该请求：“{words}”（{code}{request}）。")
_NOTHING_CHANGED = Text("Nothing was changed.", "未做任何更改。")
_QUOTED = Text("The words in quotes are the platform's.", "引号内为平台原话。")
_LITTLE = Text("Wait a little, then call again unchanged.", "请稍候，再原样调用。")
_LIST = Text("list_call_tasks shows the tasks that exist.", "可用 list_call_tasks 查看现有任务。")


def fault(code: str, words: str, request_id: str) -> FenqunError:
    """The error for a code; all texts are already safe to show."""
    said = _SAID.format(name=NAME, words=words, code=code, request=f", request id {request_id}" if request_id else "")
    if code == "TaskNotFound":
        return NotFound(said, next_step=_NOTHING_CHANGED.then(_LIST))
    if code in AGAIN:
        return VendorBusy(said, next_step=_NOTHING_CHANGED.then(_LITTLE).then(_HELP.get(code, NOTHING)))
    if code in _DENIED:
        return VendorDenied(said, next_step=_NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_HELP.get(code, _QUOTED)))
