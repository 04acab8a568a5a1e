"""What both servers share: how they load the app, and how they tell the replica how it went."""

import importlib
import json
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
REPORT_FD = 3


def load(target):
    """The app that `module:attribute` or `module:factory()` names. Where there is none, the replica is told why, and this process ends."""
    try:
        return find(target)
    except BaseException as error:
        report_error(error)
        traceback.print_exception(type(error), error, own(error.__traceback__))
        sys.stderr.flush()
        os._exit(3)


def find(target):
    module_name, _, attribute = target.partition(":")
    found = importlib.import_module(module_name)
    for name in attribute.removesuffix("()").split("."):
        if not hasattr(found, name):
            raise AttributeError(f"{module_name} has no {attribute}")
        found = getattr(found, name)
    return found() if attribute.endswith("()") else found


def report(message):
    """One line for the replica. Workers share the pipe; a line is short enough to be written whole."""
    line = json.dumps(message) + "\n"
    os.write(REPORT_FD, line.encode())


def report_error(error):
    trace = own(error.__traceback__)
    text = "".join(traceback.format_exception(type(error), error, trace))
    summary = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    report({"type": "error", "summary": summary[:500], "place": place(error, trace), "traceback": text[-3000:]})


def own(trace):
    """The part of a traceback that is the app's own."""
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def is_ours(file):
    return file.startswith((HERE, "<frozen importlib")) or file == importlib.__file__


def place(error, trace):
    """`main.py:3`, the last line of the app itself; None where it is not known."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{relative(error.filename)}:{error.lineno}"
    lines = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(trace)]
    for file, number in reversed(lines):
        if relative(file) != file:
            return f"{relative(file)}:{number}"
    return None


def relative(file):
    """A file of the app's as its author names it; the working folder is the first that modules come from."""
    folder = os.getcwd() + os.sep
    return file[len(folder) :] if file.startswith(folder) else file


def client_of(forwarded_for):
    """Who asked. Behind a proxy of the operator's the last address is that proxy's, and the one before it what the proxy saw."""
    addresses = [address.strip() for address in forwarded_for.split(",")]
    return addresses[-2] if len(addresses) > 1 else addresses[0]
