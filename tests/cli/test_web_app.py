"""`softjpeg app` as a process, driven by real headless Chromium."""

import http.client
import json
import os
import re
import time
from contextlib import contextmanager

import pytest
from PIL import Image

from helpers import warm
from helpers.browser import SCHEMES, WIDTHS, chromium, findings, overflow, watched
from helpers.commands import refusal
from helpers.images import smooth_image
from softjpeg.presets.preset import Preset

for package in ("starlette", "uvicorn", "matplotlib"):
    pytest.importorskip(package, reason="softjpeg[app] is not installed")

NETWORK = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 5))
    net.input_size = net.resize = 32
    return net
"""


RUNNING = re.compile(r"running on http://127.0.0.1:(\d+)")


@contextmanager
def served(folder):
    """A running app's port."""
    (folder / "net.py").write_text(NETWORK)
    words = ("app", "--port", "0", "--network", f"{folder / 'net.py'}:small")
    with warm.Started("-m", "softjpeg", *words) as process:
        while not (found := RUNNING.search(process.stderr.read_text())):
            assert process.poll() is None, process.stderr.read_text()
            time.sleep(0.02)
        yield int(found[1])


def test_it_answers_on_this_machine(tmp_path):
    with served(tmp_path) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/choices")
        choices = json.loads(connection.getresponse().read())
        connection.close()
    assert choices["networks"] == [f"{tmp_path / 'net.py'}:small"]
    assert {"universal", "universal-288"} <= {*choices["presets"]}


def test_bad_options_are_refused(tmp_path):
    Preset.from_quality(50).save(tmp_path / "one.json")
    words = refusal("app", "--network", "x", "--preset", tmp_path / "one.json")
    assert words == f"--preset {tmp_path / 'one.json'} is one preset: the slider needs a ladder"
    assert refusal("app", "--port", 70000) == "--port must be from 0 to 65535, got 70000"


def test_a_person_uploads_moves_the_slider_and_downloads(tmp_path):
    photo = tmp_path / "photo.png"
    smooth_image(200, 300, 1).save(photo)
    shots = os.environ.get("SOFTJPEG_SCREENSHOTS")
    with served(tmp_path) as port, chromium() as browser:
        for width in WIDTHS:
            page, errors = watched(browser, width, SCHEMES[0])
            page.goto(f"http://127.0.0.1:{port}/")
            page.set_input_files("#files", [photo])
            page.wait_for_selector("#status:has-text('photo.png, quality 30')")
            page.wait_for_selector("#curves svg >> nth=1")
            before = page.text_content("#preset-caption")
            # By keyboard.
            page.focus("#quality")
            for _ in range(5):
                page.keyboard.press("PageUp")
            quality = int(page.input_value("#quality"))
            assert quality > 30
            page.wait_for_selector(f"#status:has-text('photo.png, quality {quality}')")
            assert page.text_content("#preset-caption") != before
            page.click("#measure")
            page.wait_for_selector("#status:has-text('Measured: 1.')")
            assert page.locator("#batch tbody tr").count() == 1
            images = page.locator("#result img")
            loaded = "images => Promise.all(images.map(i => i.decode()))"
            images.evaluate_all(loaded)
            widths = images.evaluate_all("images => images.map(i => i.naturalWidth)")
            assert widths == [300] * 8
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert overflow(page) <= 0
                if shots:
                    page.screenshot(path=f"{shots}/app-{width}-{scheme}.png", full_page=True)
                assert findings(page) == []
                assert errors == []
        with page.expect_download() as jpg:
            page.click("#download")
        with page.expect_download() as tables:
            page.click("#tables")
        command = page.text_content("#command")
        assert jpg.value.suggested_filename == "photo.jpg"
        jpg.value.save_as(tmp_path / "down.jpg")
        tables.value.save_as(tmp_path / "down.json")
    assert re.search(rf"photo.png --preset universal(-288)? --quality {quality} ", command)
    preset = Preset.load(tmp_path / "down.json")
    with Image.open(tmp_path / "down.jpg") as image:
        image.load()
        assert image.size == (300, 200)
        assert [image.quantization[0], image.quantization[1]] == preset.export("pillow")
    assert preset.luma.tolist() != Preset.from_quality(quality).luma.tolist()


def test_a_picture_given_to_a_page_still_loading_is_not_lost(tmp_path):
    photo = tmp_path / "photo.png"
    smooth_image(200, 300, 1).save(photo)
    with served(tmp_path) as port, chromium() as browser:
        page, errors = watched(browser, WIDTHS[0], SCHEMES[0])
        held = []
        page.route("**/api/choices", lambda route: held.append(route))
        page.goto(f"http://127.0.0.1:{port}/")
        page.set_input_files("#files", [photo])
        page.wait_for_selector("#pictures button:has-text('photo.png')")
        assert len(held) == 1
        held[0].continue_()
        page.wait_for_selector("#status:has-text('photo.png, quality 30')")
        assert errors == []
