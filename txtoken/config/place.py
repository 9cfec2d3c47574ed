"""Where a service listens, found without reading the rest of its configuration. Knows the keys `port`, `listen`, `adminPort` and
`tls`, and takes of them only what is plain: for all else the whole configuration is to be read.

It loads YAML and nothing else that takes long: no typing, no dataclasses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

import yaml

from txtoken.config import yaml_reader

DEFAULT_PATH = "example_cfg.yml"  # as the original: in the working directory
DEFAULT_PORT = 8888
FILE_BYTES_MAX = 1 << 20  # of a configuration file; a larger one is some other file
_LOOPBACK, _ALL_ADDRESSES, _ALL_IPV4, _UNIX = "127.0.0.1", "::", "0.0.0.0", "unix:"  # noqa: S104 - as `settings`, only named
_VARIABLES = {"TXTOKEN_PORT": "port", "TXTOKEN_LISTEN": "listen", "TXTOKEN_ADMIN_PORT": "adminPort"}
_SERVICE_LINKS = ("tcp://", "udp://", "sctp://")  # what Kubernetes sets TXTOKEN_PORT to, beside a Service of that name
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_NULL_TAG = "tag:yaml.org,2002:null"


class _NotPlain(Exception):
    """It takes more to understand this."""


def find_place(path: str, environ: Mapping[str, str], overrides: Mapping[str, str]) -> tuple[str, int] | None:
    """Find where a service is asked whose configuration is at `path`, or where `environ` says. Returns host, or `unix:` and a
    path, and port. None: it takes the whole configuration to say.
    """
    try:
        given = _of_file(path or environ.get("CFG_FILE") or DEFAULT_PATH)
        for variable, text in environ.items():
            if variable.startswith("TXTOKEN_TLS") and text:
                raise _NotPlain
            if variable in _VARIABLES and text and not text.startswith(_SERVICE_LINKS):
                given[_VARIABLES[variable]] = [text]
        for key, text in overrides.items():
            if key.partition(".")[0] == "tls":
                raise _NotPlain
            given[key] = [text]
        listen = [_address(text) for text in given.get("listen", [_ALL_ADDRESSES])]
        if not listen:
            raise _NotPlain
        port = _port(given["port"]) if "port" in given else DEFAULT_PORT
        return asked_at(listen, port, _port(given["adminPort"]) if "adminPort" in given else None)
    except (_NotPlain, OSError, yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


def asked_at(listen: Iterable[str], port: int, admin_port: int | None) -> tuple[str, int]:
    """Return where a service is asked that listens on these addresses and ports: on the admin port, if there is one.

    A service that listens on all addresses is asked by IPv4, which works without IPv6 too, unless it has IPv6 alone.
    """
    places = [*listen]
    internet = [place for place in places if not place.startswith(_UNIX)]
    place = places[0]
    if admin_port is not None:
        place, port = internet[0] if internet else _LOOPBACK, admin_port
    is_ipv6_alone = any(":" not in place for place in internet)
    everywhere = {_ALL_IPV4: _LOOPBACK, _ALL_ADDRESSES: "::1" if is_ipv6_alone else _LOOPBACK}
    return everywhere.get(place, place), port


def _of_file(path: str) -> dict[str, list[str]]:
    """Return the values of the keys that matter, each as a list of texts."""
    if not os.path.isfile(path):  # a pipe would be waited for
        raise _NotPlain
    with open(path, "rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise _NotPlain
    root = yaml_reader.compose(data.decode("utf-8-sig"))
    if not isinstance(root, yaml.MappingNode):
        raise _NotPlain
    given: dict[str, list[str]] = {}
    for key, value in root.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        if name.partition(".")[0] == "tls" and value.tag != _NULL_TAG:
            raise _NotPlain
        if name in _VARIABLES.values() and value.tag != _NULL_TAG:
            if name in given or (name != "listen" and isinstance(value, yaml.SequenceNode)):
                raise _NotPlain
            given[name] = _texts(value)
    return given


def _texts(node: yaml.Node) -> list[str]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.ScalarNode) and each.tag in _PLAIN_TAGS for each in nodes):
        raise _NotPlain
    return [str(each.value) for each in nodes]


def _port(texts: list[str]) -> int:
    if len(texts) != 1 or not re.fullmatch("0|[1-9][0-9]{0,4}", texts[0]) or int(texts[0]) > 65535:
        raise _NotPlain
    return int(texts[0])


def _address(text: str) -> str:
    """Return an address as it is. Commas separate several, and what is too short for an address is none."""
    is_socket = text.startswith(f"{_UNIX}/") and "," not in text
    is_ip = set(text) <= set("0123456789abcdefABCDEF.:") and (":" in text or text.count(".") == 3)
    if not (text == "localhost" or is_socket or is_ip):
        raise _NotPlain
    return text
