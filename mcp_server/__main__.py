"""`python -m mcp_server` is `fenqun`."""

import sys

from mcp_server.cli import main

sys.exit(main())
