"""SIGTERM and Ctrl-C: as a note, where a step must be finished first, or as an exception."""

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


class Terminated(KeyboardInterrupt):
    """SIGTERM, where it is taken as Ctrl-C is."""


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


@contextmanager
def finished_first() -> Iterator[None]:
    """What is inside is finished before a SIGTERM or SIGINT that comes meanwhile is raised.

    >>> try:
    ...     with finished_first():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("finished")
    ... except KeyboardInterrupt:
    ...     print("stopped")
    finished
    stopped
    """
    number = 0
    try:
        with stop_signals() as received:
            try:
                yield
            finally:
                number = received()
    finally:
        if number:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """While inside, SIGTERM raises `Terminated`, so that all that is under way is put in order.

    >>> try:
    ...     with terminated_like_interrupted():
    ...         signal.raise_signal(signal.SIGTERM)
    ... except KeyboardInterrupt as stop:
    ...     exit_status(stop)
    143
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def told_when_stopped(sentence: Callable[[], str]) -> Iterator[None]:
    """Give a KeyboardInterrupt from inside the words that say how to go on, unless it has some."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = stop.args or (sentence(),)
        raise


def exit_status(stop: KeyboardInterrupt) -> int:
    """128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
