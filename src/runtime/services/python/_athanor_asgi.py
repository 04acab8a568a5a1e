"""Serves an ASGI app with uvicorn on a unix socket."""

import sys

import _athanor_app
import uvicorn


class Forwarded:
    """The app, told where a request came from and below which path it is reached, as the ASGI specification says it."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.app(scope, receive, reporting(send))
        else:
            await self.app(forwarded(scope), receive, send)


def forwarded(scope):
    prefix = host = None
    headers = scope["headers"]
    for name, value in headers:
        if not name.startswith(b"x-forwarded-"):
            if name == b"host":
                host = value
        elif name == b"x-forwarded-proto":
            secure = value == b"https"
            scope["scheme"] = ("wss" if secure else "ws") if scope["type"] == "websocket" else ("https" if secure else "http")
        elif name == b"x-forwarded-for":
            scope["client"] = (_athanor_app.client_of(value.decode("latin-1")), 0)
        elif name == b"x-forwarded-prefix":
            prefix = value.decode("latin-1").rstrip("/")
        elif name == b"x-forwarded-host":
            public_host = value
            if public_host != host:
                scope["headers"] = [pair for pair in headers if pair[0] != b"host"] + [(b"host", public_host)]
    if prefix:
        scope["root_path"] = prefix
        scope["path"] = prefix + scope["path"]
        if scope.get("raw_path") is not None:
            scope["raw_path"] = prefix.encode("latin-1") + scope["raw_path"]
    return scope


def reporting(send):
    """What an app says of its failed start reaches whoever deployed it."""

    async def send_and_report(message):
        if message["type"] == "lifespan.startup.failed":
            text = message.get("message", "")
            summary = (text.strip().splitlines() or ["the app said that its startup failed"])[-1]
            _athanor_app.report({"type": "error", "summary": summary[:500], "place": None, "traceback": text[-3000:]})
        await send(message)

    return send_and_report


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        if self.started:
            _athanor_app.report({"type": "ready"})


def serve(settings):
    app = _athanor_app.load(settings["target"])
    server = Server(
        uvicorn.Config(
            Forwarded(app),
            uds=settings["socket"],
            access_log=False,
            use_colors=False,
            proxy_headers=False,
            server_header=False,
            lifespan="auto",
            # The gateway keeps connections, and closes those that it no longer needs itself.
            timeout_keep_alive=settings["keepAliveS"],
            timeout_graceful_shutdown=settings["drainTimeoutS"],
        )
    )
    server.run()
    sys.exit(0 if server.started else 3)
