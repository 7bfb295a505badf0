"""The page in a real browser, on the demo as a user starts it."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from playwright.async_api import ConsoleMessage, Page, Request, async_playwright, expect

from ..live import accounted
from .install import installed

SCREENSHOTS = Path(__file__).parent / "screenshots"
FLAGS = [
    "--disable-gpu",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]


@asynccontextmanager
async def demo() -> AsyncIterator[str]:
    """The address of a running demo."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "livetape", "demo", "--no-browser", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        url = line.rsplit(" ", 1)[1].strip()
        yield url
        async with aiohttp.ClientSession() as http, http.get(f"{url.rstrip('/')}/v1/status") as answer:
            status = await answer.json()
        assert status["channels"]
        assert accounted(status)
    finally:
        process.terminate()
        await process.communicate()
        assert process.returncode == 0


class Watched:
    """A page, with all that it should not do."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin = page, origin
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, self.origin.replace("http", "ws"), "data:")):
            self.complaints.append(f"a request left the origin: {request.url}")


@asynccontextmanager
async def opened(
    url: str, *, width: int = 1440, height: int = 900, scheme: str = "dark"
) -> AsyncIterator[Watched]:
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=installed(), args=FLAGS)
        context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]  # playwright wants literals
        watched = Watched(await context.new_page(), url)
        await watched.page.goto(url)
        yield watched
        await browser.close()
        assert not watched.complaints


async def bars(page: Page) -> int:
    return int(await page.get_by_test_id("chart").get_attribute("data-bars") or 0)


async def test_the_page_shows_a_moving_chart_ladder_and_tape() -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    async with demo() as url, opened(url) as watched:
        page = watched.page
        await expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=15_000)
        await expect(page.get_by_test_id("ladder-bid").nth(9)).to_be_visible(timeout=15_000)
        await expect(page.get_by_test_id("tape-row").nth(5)).to_be_visible(timeout=15_000)
        first_bars, first_price = await bars(page), await page.get_by_test_id("last-price").inner_text()
        await page.wait_for_timeout(4000)
        assert await bars(page) > first_bars
        assert await page.get_by_test_id("last-price").inner_text() != first_price
        assert re.search(
            r"verified|unverifiable", await page.get_by_test_id("trust").inner_text(), re.IGNORECASE
        )
        await page.screenshot(path=SCREENSHOTS / "desktop-dark.png")


async def test_another_symbol_is_found_by_typing_and_shown() -> None:
    async with demo() as url, opened(url, scheme="light") as watched:
        page = watched.page
        await expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=15_000)
        await page.keyboard.press("/")
        await page.keyboard.type("eth", delay=30)
        await page.get_by_role("option").first.wait_for()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("ETH", timeout=10_000)
        await expect(page.get_by_test_id("tape-row").nth(3)).to_be_visible(timeout=15_000)
        await page.screenshot(path=SCREENSHOTS / "desktop-light.png")


async def test_it_fits_a_phone() -> None:
    async with demo() as url, opened(url, width=390, height=844) as watched:
        page = watched.page
        await expect(page.get_by_test_id("ladder-ask").nth(5)).to_be_attached(timeout=15_000)
        await page.wait_for_timeout(1500)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await page.screenshot(path=SCREENSHOTS / "phone.png")
