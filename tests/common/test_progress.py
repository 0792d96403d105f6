"""Progress bars: nothing is lost on the way, and nothing shown where nobody looks."""

import pytest

from softjpeg.common.progress import meter, track


@pytest.mark.parametrize("enabled", [True, False])
def test_without_a_terminal_there_is_no_bar(capsys, enabled):
    assert list(track(range(5), "counting", enabled=enabled)) == [0, 1, 2, 3, 4]
    assert list(track(iter("ab"), "counting", 2, enabled=enabled)) == ["a", "b"]
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_on_a_terminal_the_bar_ends_at_all_of_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(track(range(5), "counting", enabled=True)) == [0, 1, 2, 3, 4]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "counting" in shown.err
    assert "5/5" in shown.err or "100%" in shown.err
    assert list(track(range(5), "counting", enabled=False)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("total", [10, None])
def test_a_meter_shows_the_last_words(capsys, monkeypatch, total):
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)  # noqa: B023
        with meter("encoding", total) as advance:
            advance(4, "4 of 10")
            advance(6, "all of 10")
        shown = capsys.readouterr()
        assert shown.out == ""
        assert ("encoding" in shown.err) == ("all of 10" in shown.err) == terminal
    with meter("encoding", total, enabled=False) as advance:
        advance(1, "words")
    assert capsys.readouterr().err == ""
