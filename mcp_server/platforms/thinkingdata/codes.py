"""The return codes of ThinkingData's Open API that are known (te-api.md §8), and the errors that they become.

HTTP is 200 for errors too; only `return_code` 0 is success. The vendor's full table is not public: an unknown
code is a refusal, with the vendor's words quoted.
"""

import re

from mcp_server.errors import FenqunError, VendorBusy, VendorDenied, VendorRejected
from mcp_server.text import Text

SUCCESS = 0
TOO_FREQUENT = -1005
EMPTY_PARAMETER = -1008
"""The page's own example: the token is empty."""
WRONG_ITEM = -1999

_OF_THE_TOKEN = re.compile(r"(?ai)(?<!\w)token(?!\w)")
"""What a refusal speaks of that is about the token: the page tells the code of a missing one only (-1008)."""

NAME = Text("ThinkingData", "数数平台")

_SAID = Text(
    '{name} refused it: "{words}" (return_code {code}).', "{name}拒绝了该请求：“{words}”（return_code {code}）。"
)
_BUSY = Text("Nothing was changed. Wait a little and call again unchanged.", "未做任何更改。请稍候，原样再次调用。")
_TOKEN = Text(
    "Nothing was changed. Tell the user: the token (FENQUN_THINKINGDATA_TOKEN) is missing, wrong or replaced by a newer one.",
    "未做任何更改。请告知用户：token（FENQUN_THINKINGDATA_TOKEN）缺失、有误或已被新 token 取代。",
)
_REFUSED = Text(
    "Nothing was changed. The words in quotes are the platform's; read the current state before trying something else.",
    "未做任何更改。引号内为平台原话；请先查看当前状态，再尝试其他做法。",
)


def fault(code: int, words: str) -> FenqunError:
    """The error for a return code; `words` are the vendor's, already safe to show."""
    said = _SAID.format(name=NAME, words=words, code=code)
    if code == TOO_FREQUENT:
        return VendorBusy(said, next_step=_BUSY)
    if _OF_THE_TOKEN.search(words):
        return VendorDenied(said, next_step=_TOKEN)
    return VendorRejected(said, next_step=_REFUSED)
