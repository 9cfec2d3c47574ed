"""Which commands there are. Each verb is a module of this package; none is loaded here."""

from __future__ import annotations

from collections.abc import Sequence

DEFAULT_VERB = "serve"  # the original had no verbs
# A verb's module declares its arguments and its command. Only the module of the verb that was typed is loaded: `health` runs
# every few seconds, and has no use for the service, which takes 0.1 s.
VERBS = {
    "serve": "run the service",
    "init": "write a configuration file, with a fresh key",
    "check": "validate the configuration, and show what would run",
    "demo": "run the service in front of a login API of its own",
    "health": "ask a running service whether it is ready (for a container's health check)",
    "token": "issue, verify and explain tokens, with the configuration's keys or a JWKS",
    "keys": "make keys, and show those of the configuration",
    "keygen": "print a new random key for encKey",
    "export": "print the configuration of a proxy that asks whether a request may pass (forwardAuth)",
    "schema": "print a JSON Schema of the configuration, by which editors complete and check it",
    "completion": "print what makes a shell complete the commands and options of txtoken",
}
# Verbs without a module.
OTHERS = {
    "help": "explain a command",
    "version": "print the version",
}
SERVING = ("serve", "demo")  # they do not end soon
TOP_LEVEL_OPTIONS = ("-h", "--help", "-V", "--version")


def verb_of(words: Sequence[str]) -> str:
    """Return the verb that is typed first. An option in its place means `serve`, unless it is one of txtoken itself, which is
    returned as it is.
    """
    if not words or (words[0].startswith("-") and words[0] not in TOP_LEVEL_OPTIONS):
        return DEFAULT_VERB
    return words[0]
