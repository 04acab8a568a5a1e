import os
import threading

from flask import Flask, redirect, render_template, request, session, url_for

app = Flask(__name__)
app.secret_key = "of a test"
step = threading.Event()


@app.get("/")
def page():
    return render_template("page.html", greeting=os.environ["GREETING"], name=session.get("name", "nobody"))


@app.post("/form")
def form():
    session["name"] = request.form["name"]
    return redirect(url_for("page"))


@app.get("/about")
def about():
    return {"url": request.url, "root": request.script_root, "client": request.remote_addr, "whole": url_for("page", _external=True)}


@app.get("/stream")
def stream():
    def pieces():
        yield "first\n"
        # The second comes only once a client has read the first, which another thread says.
        step.wait()
        yield "second\n"

    return app.response_class(pieces(), mimetype="text/plain")


@app.post("/step")
def go_on():
    step.set()
    return "ok"


@app.post("/upload")
def upload():
    return {"bytes": sum(len(piece) for piece in iter(lambda: request.stream.read(65536), b""))}
