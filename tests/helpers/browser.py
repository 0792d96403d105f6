"""Real headless Chromium: pages opened at two widths, light and dark, and audited by axe-core."""

import shutil
from contextlib import contextmanager

import pytest

WIDTHS = (375, 1400)
SCHEMES = ("light", "dark")


@contextmanager
def chromium():
    """A browser; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        own = shutil.which("chromium") or shutil.which("google-chrome")
        try:
            browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        try:
            yield browser
        finally:
            browser.close()


def watched(browser, width, scheme):
    """A page, and the list of errors that its console will have said."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    # A busy machine answers slowly.
    page.set_default_timeout(180_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    return page, errors


def findings(page):
    """Serious and critical ones of axe-core, as words."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # Of what is right, an example of each kind: naming every element takes half of the time.
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:150]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def overflow(page):
    """Pixels by which a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
