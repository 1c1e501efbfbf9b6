"""The codes of the Taobao Open Platform (vendors.md A6, A7), and the errors that they become."""

import re
from collections.abc import Mapping

from mcp_server.errors import FenqunError, VendorBusy, VendorDenied, VendorRejected
from mcp_server.text import NOTHING, Text, clauses

NAME = Text("Taobao Open Platform", "淘宝开放平台")

LIMITED = 7
BUSY = frozenset({4, 5, 6, 7, 8, 10})
"""Too many calls, or the service is away for a moment."""
AGAIN = re.compile(
    r"isp\.([\w-]+-service-unavailable|remote-service-(error|timeout)|(top-)?remote-connection-error"
    r"|top-remote-connection-timeout|unknown-error)"
)
"""Sub codes of failures behind the platform that pass (vendors.md A6); other `isp.` codes are faults of a form."""
DAILY = "accesscontrol.limited-by-app-access-count"
"""The sub code of an app that has spent its calls of the day."""

_DENIED: Mapping[int, Text] = {
    11: Text("The app lacks the permission: apply for the API package, or check the IP allow-list.", "应用缺少权限：请申请该 API 权限包，或检查 IP 白名单。"),
    12: Text("The merchant, or its sub-account, has to authorise this.", "需要商家（或其子账号）授权。"),
    13: Text("The partner has to be given this permission.", "合作伙伴缺少该权限。"),
    24: Text("The signature is missing: that is a bug of ours.", "缺少签名：这是本程序的错误。"),
    25: Text("The signature does not fit: check app secret, sign method and the clock.", "签名不符：请检查 App Secret、签名方法与系统时钟。"),
    26: Text("The session is missing: the merchant has to authorise the app.", "缺少 session：需要商家授权该应用。"),
    27: Text("The session is invalid or has expired: the merchant has to authorise the app again, then set FENQUN_TAOBAO_SESSION anew.", "session 无效或已过期：请商家重新授权，然后更新 FENQUN_TAOBAO_SESSION。"),
    28: Text("The app key is missing.", "缺少 App Key。"),
    29: Text("The app key is not known here: production key on a sandbox, or the other way round?", "App Key 无效：是否把正式环境的 key 用在了沙箱，或相反？"),
    30: Text("The time stamp is missing.", "缺少时间戳。"),
    31: Text("The clock of this machine is more than ten minutes off.", "本机时钟偏差超过十分钟。"),
    53: Text("The security level of app or session is too low: the merchant has to authorise the app again, or the app's level has to be raised.", "应用或 session 的安全等级不足：请商家重新授权，或提升应用的安全等级。"),
}  # fmt: skip
"""What to tell the user of credentials that do not reach that far."""

_SAID = Text('{name} refused it: "{words}" (code {code}).', "{name}拒绝了该请求：“{words}”（code {code}）。")
_NOTHING_CHANGED = Text("Nothing was changed.", "未做任何更改。")
_REFUSED = Text("The words in quotes are the platform's.", "引号内为平台原话。")
_WAIT = Text("Wait {n} seconds, then call again unchanged.", "请等待 {n} 秒，再原样调用。")
_TOMORROW = Text("The app's calls of today are spent: they are free again at midnight Beijing time.", "该应用今日的调用次数已用完，北京时间零点后恢复。")  # fmt: skip
_LITTLE = Text("Wait a little, then call again unchanged.", "请稍候，再原样调用。")

_SECONDS = re.compile(r"(\d{1,7}) more second")


def wait_of(sub_code: str, sub_msg: str) -> int | None:
    """Seconds that a ban lasts, one more to be sure; None where it doesn't say."""
    found = _SECONDS.search(sub_msg)
    return int(found[1]) + 1 if found and sub_code != DAILY else None


def fault(code: int, words: str, sub_code: str = "", sub_msg: str = "", request_id: str = "") -> FenqunError:
    """The error for a platform's refusal; all texts are already safe to show."""
    told = clauses(part for part in (words, sub_code, sub_msg) if part)
    shown = f"{code}, request_id {request_id}" if request_id else str(code)
    said = _SAID.format(name=NAME, words=told, code=shown)
    if code in BUSY:
        return VendorBusy(said, next_step=_NOTHING_CHANGED.then(_patience(code, sub_code, sub_msg)))
    if code in _DENIED:
        return VendorDenied(said, next_step=_NOTHING_CHANGED.then(_DENIED[code]))
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_REFUSED))


def refused(code: str, words: str, request_id: str) -> VendorRejected:
    """The error for a call that was taken and not carried out (`success` is false); all texts are safe to show."""
    shown = f"{code}, request_id {request_id}" if request_id else code
    said = _SAID.format(name=NAME, words=words, code=shown)
    return VendorRejected(said, next_step=_NOTHING_CHANGED.then(_REFUSED))


def _patience(code: int, sub_code: str, sub_msg: str) -> Text:
    seconds = wait_of(sub_code, sub_msg)
    if seconds is not None:
        return _WAIT.format(n=seconds)
    return _TOMORROW if code == LIMITED and sub_code in (DAILY, "") else _LITTLE if code in BUSY else NOTHING
