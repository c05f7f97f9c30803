"""The files that pages load: what we vendored is what it says, and nothing is too heavy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import AsyncIterator
from importlib import resources

import httpx2
import pytest

from tests.web.pages.gallery import Gallery, open_gallery
from tocsin.store.database import Database
from tocsin.web.pages.render import Pen, static_bytes, static_hash, static_url

STATIC = resources.files("tocsin.web") / "static"
MANIFEST = tomllib.loads((STATIC / "vendor" / "MANIFEST.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", MANIFEST["file"], ids=lambda entry: entry["name"])
def test_vendored_files_have_the_hash_and_licence_of_the_manifest(entry: dict[str, str]) -> None:
    content = (STATIC / "vendor" / entry["name"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert (STATIC / "vendor" / entry["licence_file"]).is_file()


def test_every_vendored_file_is_in_the_manifest() -> None:
    listed = {entry["name"] for entry in MANIFEST["file"]}
    licences = {entry["licence_file"] for entry in MANIFEST["file"]}
    present = {file.name for file in (STATIC / "vendor").iterdir()}
    assert present == listed | licences | {"MANIFEST.toml"}


@pytest.mark.parametrize("name", ["tocsin.css", "paper.css", "pages.css", "tocsin.js"])
def test_what_we_write_stays_small(name: str) -> None:
    assert len((STATIC / name).read_bytes()) < 30 * 1024


@pytest.mark.parametrize(
    "path",
    ["", "../app.py", "vendor/../../app.py", ".", "vendor/", "/etc/passwd", "vendor", "a\\..\\b", "nothing.css", "a" * 5000, "a\0b"],
)  # fmt: skip
def test_only_files_of_the_folder_are_served(path: str) -> None:
    assert static_bytes(path) is None
    assert static_bytes(f"./{path}") is None


def test_an_unknown_icon_becomes_one_that_we_have(utc_now: object) -> None:
    pen = Pen(utc_now)  # type: ignore[arg-type]
    assert 'href="#i-circle-dashed"' in pen.icon("no-such-icon")
    assert 'id="i-circle-dashed"' in pen.sprite()


class TestServing:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def http(self, database: Database) -> AsyncIterator[httpx2.AsyncClient]:
        async with open_gallery(database) as gallery:
            yield client_of(gallery)

    async def test_a_file_asked_for_by_its_hash_is_kept_for_ever(
        self, http: httpx2.AsyncClient
    ) -> None:
        answer = await http.get(static_url("tocsin.css"))
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]

    async def test_a_file_asked_for_by_an_old_hash_is_not_kept_for_ever(
        self, http: httpx2.AsyncClient
    ) -> None:
        answer = await http.get("/static/tocsin.css?v=000000000000")
        assert answer.status_code == 200
        assert "immutable" not in answer.headers["cache-control"]

    async def test_what_the_browser_has_is_not_sent_again(self, http: httpx2.AsyncClient) -> None:
        tag = f'"{static_hash("tocsin.js")}"'
        answer = await http.get("/static/tocsin.js", headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")

    async def test_fonts_are_served_as_fonts(self, http: httpx2.AsyncClient) -> None:
        answer = await http.get("/static/fonts/geist-subset.woff2")
        assert answer.headers["content-type"] == "font/woff2"


def client_of(gallery: Gallery) -> httpx2.AsyncClient:
    """Return a client that is not signed in."""
    transport = httpx2.ASGITransport(app=gallery.app)
    return httpx2.AsyncClient(transport=transport, base_url="http://tocsin.test")
