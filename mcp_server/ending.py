"""The end of a server: SIGINT and SIGTERM end the process in time, whatever its event loop and its threads do."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SECONDS: Final = 10.0
"""Seconds after the first signal in which the process ends; what has not been finished by then is broken off."""
_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_end_the_process(act: Callable[[int], None], seconds: float = SECONDS) -> Iterator[None]:
    """Run `act` with the number of each signal, in a thread of its own; end the process when the time is over.

    Handlers of Python run in the main thread, and those of asyncio in its loop: a loop that is held up runs neither.
    The byte that the system's own handler writes is read by a thread here. The time goes on after the block.
    """
    if threading.current_thread() is not threading.main_thread():  # in tests: Python lets no other thread set handlers
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = [signal.signal(number, lambda *_: None) for number in _NUMBERS]
    descriptor = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading, act, seconds), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in zip(_NUMBERS, before, strict=True):
            signal.signal(number, handler)
        writing.close()


def _watch(reading: socket.socket, act: Callable[[int], None], seconds: float) -> None:
    ending = False
    with reading:
        while data := reading.recv(1):
            if (number := data[0]) not in _NUMBERS:
                continue
            if not ending:
                ending = True
                timer = threading.Timer(seconds, os._exit, (128 + number,))
                timer.daemon = True
                timer.start()
            threading.Thread(target=act, args=(number,), daemon=True).start()
