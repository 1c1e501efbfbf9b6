"""What a cluster or tag is defined by."""

from mcp_server.qp.foreign import Foreign
from mcp_server.qp.model import Qp
from mcp_server.qp.sql import Sql
from mcp_server.qp.tags import TagQp
from mcp_server.qp.uploaded import Uploaded

Definition = Qp | TagQp | Sql | Uploaded | Foreign
"""One of the forms that definitions come in; what can be done with each is a row of `forms.FORMS`."""
