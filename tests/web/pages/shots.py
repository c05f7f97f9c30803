"""Takes pictures of every page, wide and narrow, light and dark: python -m tests.web.pages.shots DIR."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.web.pages.gallery import (
    CHROMIUM,
    Gallery,
    muted_night,
    open_gallery,
    paths,
    store_world,
)
from tests.web.site import served
from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

WIDTHS = (1440, 390)
THEMES = ("light", "dark")
FULL = ("board", "board-quiet", "room", "postmortem", "room-play", "people", "person", "audit")


def say(line: str) -> None:
    """Tell whoever takes the pictures."""
    sys.stdout.write(line + "\n")


def _home() -> Path:
    """Return a new folder that the database's user may enter."""
    home = Path(tempfile.mkdtemp(prefix="tocsin-shots-"))
    home.chmod(0o711)
    return home


async def main(folder: Path, only: str = "") -> None:
    """Start a seeded server and take all pictures."""
    home = _home()
    embedded = await Embedded.start(home / "data")
    try:
        database = await Database.open(embedded.url)
        async with open_gallery(database) as gallery:
            await shoot_quiet(gallery, folder, only)
            policy = gallery.context.book.current.policy
            await store_world(database, muted_night(policy, gallery.context.clock.now()))
            await shoot_all(gallery, folder, only)
        await database.close()
    finally:
        await embedded.stop()


async def shoot_quiet(gallery: Gallery, folder: Path, only: str) -> None:
    """Take the board of a quiet day."""
    if not only or "quiet" in only:
        await _shoot(gallery, {"board-quiet": "/"}, folder)


async def shoot_all(gallery: Gallery, folder: Path, only: str) -> None:
    """Take everything else."""
    every = paths(gallery) | {"room-silenced": "/incidents/INC-9"}
    wanted = {k: v for k, v in every.items() if not only or k in only.split(",")}
    await _shoot(gallery, wanted, folder)


async def _shoot(gallery: Gallery, wanted: dict[str, str], folder: Path) -> None:
    async with served(gallery.app) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width in WIDTHS:
            for theme in THEMES:
                context = await browser.new_context(
                    viewport={"width": width, "height": 900 if width > 400 else 844},
                    device_scale_factor=1 if width > 400 else 2,
                    color_scheme=theme,
                    reduced_motion="reduce",
                    timezone_id="Europe/Berlin",
                )
                await context.add_cookies(
                    [{"name": "tocsin_session", "value": gallery.session, "url": url}]
                )
                page = await context.new_page()
                page.on("console", lambda m: say(f"console: {m.type} {m.text}"))
                page.on("pageerror", lambda e: say(f"error: {e}"))
                for name, path in wanted.items():
                    await page.goto("about:blank")
                    await page.goto(url + path, wait_until="load")
                    await page.wait_for_timeout(250)
                    await _look(page, name, width)
                    full = name in FULL
                    await page.screenshot(path=folder / f"{name}-{width}-{theme}.png")
                    if full and theme == "light":
                        await page.screenshot(
                            path=folder / f"{name}-{width}-full.png", full_page=True
                        )
                await context.close()
        await browser.close()


async def _look(page: Page, name: str, width: int) -> None:
    wide = await page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        say(f"{name} at {width}: is {wide} wide")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="shots-"))
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, sys.argv[2] if len(sys.argv) > 2 else ""))
    say(str(target))
