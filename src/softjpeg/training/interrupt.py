"""SIGTERM and Ctrl-C while training: finish the step, save, exit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StoppedBySignalError(Exception):
    """A signal ended the run after it was saved; `code` is the exit status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """While inside, SIGTERM and SIGINT only leave their number with the function yielded.

    >>> with stop_signals() as received:
    ...     received()
    ...     signal.raise_signal(signal.SIGTERM)
    ...     received() == signal.SIGTERM
    0
    True
    """
    last_signal = [0]
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def remember(number: int, _frame: object) -> None:
        last_signal[0] = number

    previous = {s: signal.signal(s, remember) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: last_signal[0]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
