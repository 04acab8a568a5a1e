import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route


def make():
    step = asyncio.Event()

    async def events(request):
        async def pieces():
            yield "event: one\ndata: 1\n\n"
            # The second comes only once a client has read the first.
            await step.wait()
            yield "event: two\ndata: 2\n\n"

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def go_on(request):
        step.set()
        return PlainTextResponse("ok")

    async def user(request):
        return PlainTextResponse(f"{request.path_params['name']} at {request.url_for('inner:user', name='other')}")

    inner = Mount("/inner", name="inner", routes=[Route("/users/{name}", user, name="user")])
    asked = []

    async def healthy(request):
        # Not at once, so that a test sees that it is waited for.
        asked.append(request.url.path)
        return PlainTextResponse(str(len(asked)), 200 if len(asked) > 1 else 503)

    return Starlette(
        routes=[Route("/events", events), Route("/step", go_on, methods=["POST"]), Route("/healthy", healthy), inner]
    )
