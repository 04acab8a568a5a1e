import { App } from "athanor";

const app = new App("flask");

/** The app in guestbook.py, under gunicorn with a thread for each of 16 calls at a time. */
export const guestbook = app.wsgi("guestbook:app", { path: "/", packages: ["flask==3.1.3"], concurrency: 16 });
