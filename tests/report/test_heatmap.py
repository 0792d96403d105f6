"""Cells of heat maps: their words against the numbers, their colours against WCAG's formula."""

import math

import pytest
import torch

from softjpeg.report.heatmap import heat_map, log_share, percent, short


def number(text):
    return float(text.replace("k", "e3"))


@pytest.mark.parametrize("exponent", range(-6, 5))
def test_four_characters_tell_a_number(exponent):
    for value in torch.logspace(exponent, exponent + 1, 400, dtype=torch.float64).tolist():
        text = short(value)
        assert len(text) <= 4, value
        # One digit is left of the small, two of the others.
        assert number(text) == pytest.approx(value, rel=0.5 if value < 0.01 else 0.05)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, ".001"),
        (0.09949, ".099"),
        (0.0995, ".10"),
        (0.995, "0.99"),  # just below, as float64 has it
        (0.9951, "1.00"),
        (9.9949, "9.99"),
        (9.9951, "10.0"),
        (99.95, "100"),
        (99.94, "99.9"),
        (999.4, "999"),
        (999.5, "1.0k"),
        (9949.0, "9.9k"),
        (9950.0, "10k"),
    ],
)
def test_where_the_digits_change(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1e-7, "0"), (2e-6, "<.1"), (0.0005, "0.1"), (0.9994, "99.9"), (0.9995, "100"), (0.5, "50")],
)
def test_shares_are_percent(share, text):
    assert percent(share) == text


def colors(share):
    return heat_map("", torch.zeros(1, 1), torch.tensor([[share]]), str).rows[0][0][1:]


def luminance(color):
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_every_shade_is_read_and_darker_than_the_last(sign):
    shades = [colors(sign * i / 255) for i in range(256)]
    assert all(contrast(*shade) >= 4.5 for shade in shades)
    lights = [luminance(background) for background, _ in shades]
    assert lights == sorted(lights, reverse=True)
    # White words wherever they are read well enough.
    whites = [contrast(background, "#ffffff") >= 4.5 for background, _ in shades]
    assert [words == "#ffffff" for _, words in shades] == whites


def test_ends_and_the_middle_of_the_scale():
    assert colors(0.0)[0] == "#f3f7fb"
    assert colors(1.0) == colors(7.0) == ("#062c5c", "#ffffff")
    assert colors(-1.0) == colors(-7.0) == ("#963408", "#ffffff")
    # Half-way from (243, 247, 251) to (6, 44, 92), to even.
    assert colors(0.5)[0] == f"#{124:02x}{146:02x}{172:02x}"


def test_what_is_unknown_is_a_dash_on_nothing():
    values, shares = torch.tensor([[math.nan, 2.0]]), torch.tensor([[1.0, 1.0]])
    found = heat_map("words", values, shares, short)
    assert found.caption == "words"
    assert found.rows == [[("–", "#f3f7fb", "#000000"), ("2.00", "#062c5c", "#ffffff")]]
    with pytest.raises(ValueError, match="zip"):
        heat_map("", torch.zeros(2, 1), torch.zeros(1, 1), str)


def test_places_on_a_logarithmic_scale():
    steps = torch.tensor([0.5, 1.0, 2.0, 8.0, 16.0])
    assert torch.allclose(log_share(steps, 1, 8), torch.tensor([0, 0, 1 / 3, 1, 4 / 3]))
    # A table of one value alone.
    assert log_share(torch.tensor([5.0]), 5, 5).tolist() == [0]
