"""A guestbook: a page, a form, a cookie. Nothing here knows of Athanor."""

from flask import Flask, redirect, render_template, request, session, url_for

app = Flask(__name__)
app.secret_key = "change this: it signs the cookie"
guests: list[str] = []


@app.get("/")
def page():
    return render_template("page.html", guests=guests, name=session.get("name"))


@app.post("/sign")
def sign():
    session["name"] = request.form["name"]
    guests.append(session["name"])
    return redirect(url_for("page"))
