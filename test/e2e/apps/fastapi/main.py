import asyncio
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

# What has happened, for a test that waits for it.
happened = {name: asyncio.Event() for name in ("first piece", "gone", "socket closed")}
codes = []


@asynccontextmanager
async def lifespan(app):
    app.state.started = True
    print("the lifespan began")
    yield
    print("the lifespan ended")


app = FastAPI(title="Py", lifespan=lifespan)


class Item(BaseModel):
    name: str
    count: int = Field(ge=1)


@app.get("/")
async def root(request: Request):
    return {
        "started": request.app.state.started,
        "url": str(request.url),
        "other": str(request.url_for("create")),
        "client": request.client.host,
        "files": sorted(name for name in os.listdir(".") if not name.startswith("_")),
    }


@app.post("/items")
async def create(item: Item):
    return {"total": item.name * item.count}


@app.get("/moved")
async def moved(request: Request):
    return RedirectResponse(request.url_for("root"))


@app.get("/stream")
async def stream():
    async def pieces():
        for number in range(3):
            yield f"piece {number}\n"
            # The next goes on only once the client has read this one.
            await steps.get()

    return StreamingResponse(pieces(), media_type="text/plain")


steps = asyncio.Queue()


@app.post("/step")
async def step():
    await steps.put(None)


@app.post("/upload")
async def upload(request: Request):
    sizes = 0
    async for piece in request.stream():
        sizes += len(piece)
        if sizes:
            happened["first piece"].set()
    return {"bytes": sizes}


@app.get("/forever")
async def forever(request: Request):
    async def pieces():
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.01)
        finally:
            happened["gone"].set()

    return StreamingResponse(pieces())


@app.post("/die")
async def die():
    os._exit(9)


@app.get("/happened/{name}")
async def wait_for(name: str):
    await happened[name].wait()
    return codes


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept(subprotocol="chat" if "chat" in socket.scope["subprotocols"] else None)
    await socket.send_json({"url": str(socket.url)})
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            codes.append(message["code"])
            happened["socket closed"].set()
            return
        if message.get("text") is not None:
            await socket.send_text(message["text"])
        else:
            await socket.send_bytes(message["bytes"])
