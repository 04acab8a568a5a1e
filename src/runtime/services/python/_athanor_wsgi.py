"""Serves a WSGI app with gunicorn, in threads, on a unix socket."""

import _athanor_app
from gunicorn.app.base import BaseApplication


class Forwarded:
    """The app, told where a request came from and below which path it is reached, as PEP 3333 says it."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        environ["SCRIPT_NAME"] = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", "http")
        if "HTTP_X_FORWARDED_HOST" in environ:
            environ["HTTP_HOST"] = environ["HTTP_X_FORWARDED_HOST"]
        if "HTTP_X_FORWARDED_FOR" in environ:
            environ["REMOTE_ADDR"] = _athanor_app.client_of(environ["HTTP_X_FORWARDED_FOR"])
        return self.app(environ, start_response)


class Application(BaseApplication):
    def __init__(self, settings):
        self.settings = settings
        super().__init__()

    def load_config(self):
        options = {
            "bind": f"unix:{self.settings['socket']}",
            "umask": 0o177,
            "workers": self.settings["workers"],
            "worker_class": "gthread",
            "threads": self.settings["threads"],
            "worker_connections": 1000 + self.settings["threads"],
            # The gateway keeps connections, and closes those that it no longer needs itself.
            "keepalive": self.settings["keepAliveS"],
            "graceful_timeout": self.settings["drainTimeoutS"],
            # A call may compute for as long as the function's own timeout lets it.
            "timeout": 0,
            # Only the gateway says where an app is mounted, and what it says is read above.
            "forwarder_headers": "",
            "loglevel": "warning",
            "proc_name": self.settings["target"],
            "post_worker_init": lambda worker: _athanor_app.report({"type": "ready"}),
        }
        # Newer ones would open a socket for a tool that nobody uses here.
        if "control_socket_disable" in self.cfg.settings:
            options["control_socket_disable"] = True
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self):
        return Forwarded(_athanor_app.load(self.settings["target"]))


def serve(settings):
    Application(settings).run()
