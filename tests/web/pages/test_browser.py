"""What only a browser can tell: that it looks right, stays still, and can be used by everybody."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.pages.axe import axe_source
from tests.web.pages.gallery import (
    CHROMIUM,
    Gallery,
    busy_night,
    firing,
    open_gallery,
    paths,
    store_world,
)
from tests.web.site import served
from tocsin.core import inputs
from tocsin.integrations.signals import Received
from tocsin.store.database import Database

playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"{CHROMIUM} is not installed"),
]

_OWN_CHECKS = """() => {
  const found = [];
  const seen = (n) => n.checkVisibility();
  if (document.querySelectorAll("main").length !== 1) found.push("one main landmark");
  if (document.querySelectorAll("h1").length !== 1) found.push("one h1");
  let last = 0;
  for (const h of document.querySelectorAll("h1,h2,h3,h4")) {
    const level = Number(h.tagName[1]);
    if (level > last + 1) found.push(`heading jumps to ${h.tagName}: ${h.textContent}`);
    last = level;
  }
  for (const f of document.querySelectorAll("input:not([type=hidden]),textarea,select"))
    if (!f.labels.length && !f.ariaLabel) found.push(`no label: ${f.outerHTML.slice(0, 80)}`);
  for (const b of document.querySelectorAll("button,a[href],summary"))
    if (seen(b) && !b.innerText.trim() && !b.textContent.trim() && !b.ariaLabel)
      found.push(`no name: ${b.outerHTML.slice(0, 80)}`);
  const ids = [...document.querySelectorAll("[id]")].map((n) => n.id);
  for (const id of new Set(ids))
    if (ids.filter((i) => i === id).length > 1) found.push(`id twice: ${id}`);
  for (const u of document.querySelectorAll("use"))
    if (!document.querySelector(u.getAttribute("href"))) found.push(`no symbol ${u.outerHTML}`);
  for (const n of document.querySelectorAll("[style],script:not([src])"))
    found.push(`inline: ${n.outerHTML.slice(0, 80)}`);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`is ${wide} wide, the window ${innerWidth}`);
  return found;
}"""


@contextlib.asynccontextmanager
async def browsing(
    gallery: Gallery, width: int = 1440, theme: str = "light", **more: Any
) -> AsyncIterator[tuple[Any, str]]:
    """Open a browser that is signed in; yield a page and the server's address."""
    async with served(gallery.app) as url, playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme=theme, **more
        )
        cookie = {"name": "tocsin_session", "value": gallery.session, "url": url}
        await context.add_cookies([cookie])
        try:
            yield await context.new_page(), url
        finally:
            await browser.close()


@pytest.fixture
async def gallery(database: Database) -> AsyncIterator[Gallery]:
    async with open_gallery(database) as opened:
        policy = opened.context.book.current.policy
        await store_world(database, busy_night(policy, opened.context.clock.now()))
        yield opened


@pytest.mark.parametrize(
    ("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
)
async def test_every_page_can_be_used_by_everybody(
    gallery: Gallery, width: int, theme: str
) -> None:
    wrong: list[str] = []
    async with browsing(gallery, width, theme, reduced_motion="reduce") as (page, url):
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on(
            "console",
            lambda m: (
                wrong.append(f"console: {m.text}")
                if m.type == "error" and not re.search(r"\b4(04|10)\b", m.text)
                else None
            ),
        )
        for name, path in paths(gallery).items():
            await page.goto("about:blank")
            await page.goto(url + path, wait_until="load")
            await page.wait_for_timeout(100)
            wrong += [f"{name}: {fault}" for fault in await page.evaluate(_OWN_CHECKS)]
            wrong += [f"{name}: {fault}" for fault in await _axe(page)]
    assert wrong == []


async def _axe(page: Any) -> list[str]:
    source = axe_source()
    if source is None:
        return []
    # The page's own policy forbids injected scripts, so axe runs as the browser's, not the page's.
    await page.evaluate(source)
    result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for v in result["violations"]
        for node in v["nodes"]
    ]


async def test_a_page_is_live_however_slowly_its_scripts_come(gallery: Gallery) -> None:
    async def slowly(route: Any) -> None:
        await asyncio.sleep(0.5)
        await route.continue_()

    async with browsing(gallery) as (page, url):
        await page.route("**/hx-sse.min.js*", slowly)
        await page.goto(f"{url}/incidents/INC-6", wait_until="load")
        await page.wait_for_selector("#live:not([hidden])", timeout=5000)


async def test_news_arrive_while_what_the_reader_does_stays(gallery: Gallery) -> None:
    async with browsing(gallery) as (page, url):
        await page.goto(f"{url}/incidents/INC-6", wait_until="load")
        await page.wait_for_selector("#live:not([hidden])")
        step = page.locator(".play details").nth(1)
        await step.locator("summary").click()
        await page.fill("#say", "half a sente")
        await page.focus("#say")
        await page.evaluate("scrollTo(0, 120)")
        before = await page.locator("#entries > li").count()
        act = inputs.NoteWritten(by="Sam Okafor", text="I see it, too.")
        assert await gallery.context.engine.act("INC-6", act) == ""
        await page.wait_for_selector("#entries .words:has-text('I see it, too.')", timeout=5000)
        assert await page.locator("#entries > li").count() == before + 1
        assert await page.locator("#entries > li.fresh").count() == 1
        assert await page.input_value("#say") == "half a sente"
        assert await page.evaluate("document.activeElement.id") == "say"
        assert await step.get_attribute("open") is not None
        assert await page.evaluate("scrollY") == 120


async def test_a_note_is_added_without_leaving_the_page(gallery: Gallery) -> None:
    async with browsing(gallery) as (page, url):
        await page.goto(f"{url}/incidents/INC-6", wait_until="load")
        await page.evaluate("window.stayed = true")
        await page.fill("#say", "The pool is full.")
        await page.click(".say .btn")
        await page.wait_for_selector("#entries .words:has-text('The pool is full.')")
        await playwright_api.expect(page.locator("#say")).to_have_value("")
        assert await page.evaluate("window.stayed")


async def test_acknowledging_in_the_room_takes_the_card_away(gallery: Gallery) -> None:
    async with browsing(gallery, 390) as (page, url):
        await page.goto(f"{url}/incidents/INC-8", wait_until="load")
        await page.keyboard.press("a")
        assert await page.evaluate("document.activeElement.id") == "go"
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".ask", state="detached")
        own = page.locator("#people li", has_text="you")
        assert "Acknowledged" in await own.first.inner_html()


async def test_an_incident_appears_on_an_open_board(gallery: Gallery) -> None:
    async with browsing(gallery) as (page, url):
        await page.goto(url, wait_until="load")
        await page.wait_for_selector("#live:not([hidden])")
        at = gallery.context.clock.now()
        signal = firing("Payments refuse cards", "payments", at, severity="critical")
        await gallery.context.engine.receive(Received((signal,), (), "prometheus", "key"))
        await page.wait_for_selector("text=Payments refuse cards", timeout=8000)
        assert (await page.inner_text("h1")).startswith("Six open.")


async def test_a_word_without_end_stays_inside_a_telephone(gallery: Gallery) -> None:
    title = f"Down: {'a-host-name-without-spaces.' * 4}{'x' * 40}"
    declared = inputs.IncidentDeclared(title, "Priya Shah", "P2")
    incident = await gallery.context.engine.declare("hosts", declared)
    async with browsing(gallery, 390) as (page, url):
        for path in ("/", f"/incidents/{incident}", f"/incidents/{incident}/postmortem"):
            await page.goto(f"{url}{path}", wait_until="load")
            assert await page.evaluate("document.documentElement.scrollWidth") == 390, path


async def test_the_keys_walk_the_board(gallery: Gallery) -> None:
    async with browsing(gallery) as (page, url):
        await page.goto(url, wait_until="load")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/incidents/INC-8")


async def test_a_lost_connection_says_so_and_countdowns_go_on(gallery: Gallery) -> None:
    async with browsing(gallery) as (page, url):
        await page.goto(f"{url}/incidents/INC-8", wait_until="load")
        await page.wait_for_selector("#live:not([hidden])")
        assert not await page.is_visible("#offline")
        left = await page.inner_text(".next .left")
        await page.context.set_offline(True)
        expect = playwright_api.expect
        await expect(page.locator("#live")).to_have_text("Reconnecting")
        await expect(page.locator("#live")).to_contain_text("Offline", timeout=20_000)
        assert await page.is_visible("#offline")
        assert await page.is_disabled("#go")
        assert await page.inner_text(".next .left") != left
        await page.context.set_offline(False)
        await expect(page.locator("#live")).to_have_text("Live", timeout=20_000)
        assert not await page.is_visible("#offline")
        assert not await page.is_disabled("#go")


async def test_everything_is_there_without_script(gallery: Gallery) -> None:
    async with browsing(gallery, 390, java_script_enabled=False) as (page, url):
        await page.goto(f"{url}/incidents/INC-8", wait_until="load")
        await page.click("#go")
        await page.wait_for_load_state()
        assert page.url.endswith("/incidents/INC-8")
        assert await page.locator(".ask").count() == 0
        await page.click(".tabs >> text=Timeline")
        await page.fill("#say", "Written without script.")
        await page.click(".say .btn")
        await page.wait_for_load_state()
        assert await page.is_visible("text=Written without script.")
        assert page.url.endswith("#timeline")
