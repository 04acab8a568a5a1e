"""The program of a Python service. What an app spawns may import this file again as its main module, and nothing must come of that."""

if __name__ == "__main__":
    import json
    import os
    import sys

    settings = json.loads(os.environ.pop("ATHANOR_PYTHON"))
    # Compiled code of the app is kept beside it, for the next start; beside these files nothing is written.
    sys.dont_write_bytecode = True
    if settings["kind"] == "asgi":
        import _athanor_asgi as server
    else:
        import _athanor_wsgi as server
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    # The folder of this file, where no module of the app's is.
    del sys.path[0]
    server.serve(settings)
