"""Notes, and a room where whoever is connected sees each new one. Nothing here knows of Athanor."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=500)


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.notes = []
    app.state.watchers = set()
    yield
    print(f"{len(app.state.notes)} notes are forgotten")


app = FastAPI(title="Notes", lifespan=lifespan)


@app.get("/health")
async def health():
    return "ok"


@app.post("/notes", status_code=201)
async def add(note: Note, request: Request):
    notes = request.app.state.notes
    notes.append(note)
    for watcher in list(request.app.state.watchers):
        await watcher.send_json(note.model_dump())
    return {"id": len(notes), "url": str(request.url_for("read", number=len(notes)))}


@app.get("/notes/{number}")
async def read(number: int, request: Request) -> Note:
    notes = request.app.state.notes
    if not 1 <= number <= len(notes):
        raise HTTPException(404, f"there is no note {number}")
    return notes[number - 1]


@app.websocket("/watch")
async def watch(socket: WebSocket):
    await socket.accept()
    watchers = socket.app.state.watchers
    watchers.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        watchers.discard(socket)
