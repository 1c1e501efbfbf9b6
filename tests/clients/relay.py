"""Start a server over stdio and pass everything through, keeping a copy of each message.

    python relay.py LOG COMMAND ARGUMENT …

The log has one line for each message: its direction, and the message. It shows what a client really sends, and
whether the server called an answer an error, whatever the client made of it.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


def main() -> int:
    with Path(sys.argv[1]).open("ab", buffering=0) as log:
        return _relay(log)


def _relay(log: IO[bytes]) -> int:
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    assert server.stdin
    assert server.stdout
    out = threading.Thread(target=_copy, args=(server.stdout, sys.stdout.buffer, log, b"server "), daemon=True)
    threading.Thread(target=_copy, args=(sys.stdin.buffer, server.stdin, log, b"client "), daemon=True).start()
    out.start()
    out.join()
    return server.wait()


def _copy(source: IO[bytes], target: IO[bytes], log: IO[bytes], mark: bytes) -> None:
    try:
        for line in iter(source.readline, b""):
            log.write(mark + line)
            target.write(line)
            target.flush()
        target.close()
    except (BrokenPipeError, ValueError):
        return


if __name__ == "__main__":
    # Not sys.exit: a thread may still wait for the client's next message.
    os._exit(main())
