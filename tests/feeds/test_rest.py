"""REST answers arrive whole, however the server cuts them."""

import pytest
from aiohttp import web

from livetape.core.errors import ConnectError, VendorError
from livetape.feeds.rest import Rest

BODY = b"x" * 300_000


async def in_pieces(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for start in range(0, len(BODY), 20_000):
        await response.write(BODY[start : start + 20_000])
    return response


async def busy(request: web.Request) -> web.Response:
    return web.Response(status=503, headers={"Retry-After": "7"})


async def no(request: web.Request) -> web.Response:
    return web.Response(status=400)


async def test_a_body_in_pieces_is_read_to_its_end_and_errors_say_whether_to_try_again() -> None:
    app = web.Application()
    app.router.add_get("/whole", in_pieces)
    app.router.add_get("/busy", busy)
    app.router.add_get("/no", no)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url, rest = f"http://127.0.0.1:{runner.addresses[0][1]}", Rest()
    try:
        assert await rest.get("binance", f"{url}/whole") == BODY
        with pytest.raises(ConnectError) as refusal:
            await rest.get("binance", f"{url}/busy")
        assert refusal.value.retry_after_s == 7
        with pytest.raises(VendorError, match="HTTP 400"):
            await rest.get("binance", f"{url}/no")
    finally:
        await rest.close()
        await runner.cleanup()
