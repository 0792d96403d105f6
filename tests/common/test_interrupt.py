"""Signals: what is finished before they count, and what they say."""

import signal
import threading

import pytest

from softjpeg.common.interrupt import (
    Terminated,
    exit_status,
    finished_first,
    terminated_like_interrupted,
    told_when_stopped,
)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_what_is_inside_though_that_fails(number, code):
    done = []

    def step(fails):
        with finished_first():
            signal.raise_signal(number)
            done.append(fails)
            if fails:
                raise ValueError

    for fails in (False, True):
        with pytest.raises(KeyboardInterrupt) as caught:
            step(fails)
        assert exit_status(caught.value) == code
    assert done == [False, True]


def test_the_first_words_stay():
    with (
        pytest.raises(Terminated, match=r"^inner$"),
        terminated_like_interrupted(),
        told_when_stopped(lambda: "outer"),
        told_when_stopped(lambda: "inner"),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_other_threads_have_no_signals():
    done = []

    def work():
        with terminated_like_interrupted(), finished_first():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


def test_without_a_signal_nothing_is_raised():
    done = []
    with finished_first():
        done.append(1)
    assert done == [1]
