"""The driver's side of drivers.py: commands come as lines, answers and events go as lines."""

import os
import sys
import threading

TIMEOUT_S = 10
_output = threading.Lock()


class NotOffered(Exception):
    """The client has no such thing."""


class Failed(Exception):
    """The client could not do it."""


class Fields:
    """The fields of a command. What the driver does not know, its client does not offer."""

    def __init__(self, words, known):
        self.pairs = [word.split("=", 1) for word in words]
        for key, _ in self.pairs:
            if key not in known:
                raise NotOffered(key)

    def __contains__(self, key):
        return any(each == key for each, _ in self.pairs)

    def all(self, key):
        return [value for each, value in self.pairs if each == key]

    def text(self, key):
        return self.all(key)[0]

    def number(self, key, fallback=0):
        return int(self.text(key)) if key in self else fallback

    def data(self, key):
        return bytes.fromhex(self.text(key))


def say(verb, pairs=()):
    """A value None says nothing."""
    words = [verb]
    for key, value in pairs:
        if isinstance(value, bytes):
            value = value.hex()
        if value is not None:
            words.append(f"{key}={int(value) if isinstance(value, bool) else value}")
    with _output:
        sys.stdout.write(" ".join(words) + "\n")
        sys.stdout.flush()


def serve(verbs):
    """Runs commands one after the other. `verbs` has for each a function of the fields that
    returns the pairs of the answer, and the keys that it knows."""
    for line in sys.stdin:
        verb, *words = line.split()
        run, known = verbs[verb]
        try:
            say("ok", run(Fields(words, known.split())))
        except NotOffered as problem:
            say("n/a", [("what", problem)])
        except Exception as problem:  # pylint: disable=broad-except
            why = f"{type(problem).__name__}: {problem}"
            say("failed", [("why", "_".join(why.split()))])
    sys.stdout.flush()
    os._exit(0)  # whatever threads the client has
