"""Stopping a run from outside: Ctrl-C, or a scheduler's request to terminate."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second acts as usual. Outside the main thread, never set."""
    stop = threading.Event()
    previous = {}

    def request(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, previous[number])

    with suppress(ValueError):  # not the main thread: there are no signals to catch
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
