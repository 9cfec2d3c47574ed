"""The configuration as a JSON Schema (draft 2020-12), so that editors can complete and check the file. Knows what each key
means, in the words of example_cfg.yml; what may stand there and what holds without it comes from `KEYS`.

All that the service takes the schema takes too. It cannot say everything: bounds hold for `8888` but not for `"8888"`, and what
is required may come from the environment.
"""

from __future__ import annotations

import re
from typing import Any, Final

from txtoken.config import KEYS, Key, as_written

MEANINGS: Final = {
    "port": "TCP port to listen on. 0: the kernel chooses one, and the log says which.",
    "debug": "A verbose log for people.",
    "encKey": "The secret that signs tokens (HS256): 32 bytes to 4 KiB, taken as they stand. `txtoken keygen` makes one. "
    "One that anybody could guess, such as the example file's, is refused where `listen` names more than loopback addresses.",
    "remote": "The URL that logins are POSTed to. http+unix://%2Frun%2Flogin.sock/login is one at a Unix socket.",
    "expHours": "How long a token is valid, in hours; fractions are allowed.",
    "getTokenRoute": "The path that issues tokens (POST).",
    "checkTokenRoute": "The path that checks tokens (GET, POST).",
    "requestTokenData": "What the token that txtoken presents to the remote says under `data`: any tree, "
    "or a string that holds JSON.",
    "listen": "An IP address, unix:/path for a Unix socket, or a list of them. 0.0.0.0 is all addresses of IPv4 alone; '::', the "
    "default, those of IPv4 and IPv6, or of IPv4 where the machine has no IPv6.",
    "workers": "Processes that serve. One uses one core; auto: one for each core that this process may use, by its affinity and "
    "its cgroup's CPU quota.",
    "adminPort": "A second port for /livez, /readyz, /healthz and /metrics, which are then not on `port`. Default: none, "
    "and no metrics. It speaks plain HTTP and asks nobody who they are: keep it on a network that you trust.",
    "encKeyFile": "The secret from a file, in place of encKey. One line end at its end is dropped.",
    "requestKey": "A secret of its own for the token that is presented to the remote. Default: encKey.",
    "requestKeyFile": "That one from a file, in place of requestKey.",
    "successStatus": "Statuses of the remote that are a success, from 200 to 299, or 2xx for all of them. The body has to be a "
    "JSON object all the same.",
    "successWhen": "JSON Pointers (RFC 6901) into the remote's reply, and the value that each must have, for APIs that "
    "answer 200 to a wrong password, as in {/success: true, /errors: null}. With null it has to be absent"
    " or null. A reply that does not fit counts as status 401.",
    "remoteProxy": "The HTTP proxy by which the remote is reached: http:// or https:// with host and port, and with user"
    " and password if it wants them. env is what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, off is none.",
    "remoteProxyFile": "That one from a file, in place of remoteProxy: user and password are a secret.",
    "requestTokenSeconds": "How long the token that is presented to the remote is valid, in seconds (10 or more).",
    "validateBody": "Answer 400 to a body that is not JSON, instead of passing it on.",
    "limits": "Bytes (4096, 64KiB, 1MiB) and counts.",
    "limits.headBytes": "request line and headers; past it 431",
    "limits.headerCount": "past it 431",
    "limits.bodyBytes": "past it 413",
    "limits.replyBytes": "of the remote; past it the login fails",
    "limits.tokenBytes": "of a token; a longer one is neither issued nor taken",
    "limits.bufferedBytes": "of unfinished requests and untaken answers together; past it those who hold most get 503",
    "limits.connections": "clients; past it they wait",
    "limits.remoteConnections": "to the remote; past it logins wait",
    "limits.waiting": "logins that wait; past it 503",
    "timeouts": "Seconds (5, 500ms, 5s, 1m, 24h, 7d).",
    "timeouts.head": "for request line and headers, from their first byte; past it 408",
    "timeouts.body": "for the body; past it 408",
    "timeouts.idle": "between requests; past it the connection is closed",
    "timeouts.connect": "to the remote",
    "timeouts.remote": "for a whole login at the remote: waiting, connecting, writing, reading",
    "timeouts.remoteIdle": "past it an unused connection to the remote is closed",
    "timeouts.drain": "at the end, for the requests that run",
    "timeouts.drainDelay": "at the end, before listening stops",
    "tls": "TLS for clients, by files in PEM form.",
    "tls.certFile": "the certificate, with what leads up to its authority",
    "tls.keyFile": "its private key",
    "tls.clientCaFile": "let only clients in that have a certificate of these authorities",
    "remoteTls": "TLS to a remote with an https URL, by files in PEM form.",
    "remoteTls.caFile": "trust these authorities in place of the machine's",
    "remoteTls.certFile": "the certificate that is shown to the remote",
    "remoteTls.keyFile": "its private key",
    "remoteTls.serverName": "the name that the remote's certificate has to hold, in place of the URL's",
    "remoteTls.verify": "false: take any certificate, so that whoever stands between can read every login",
    "forwardHeaders": "Headers of the client that are passed to the remote.",
    "trustedProxies": "Proxies in front of this service, whose word on who the client is counts (X-Forwarded-For): networks, "
    "addresses, or unix for all who use a Unix socket.",
    "forwardedFor": "Tell the remote who the client is, how it came, and to which host: X-Forwarded-For, -Proto, -Host.",
    "reload": "How often this file and the files with secrets and certificates are looked at for change; off: never. "
    "SIGHUP makes it happen at once.",
    "statusMap": "The status of a login that failed at the remote. original: 500; gateway: the remote's 400, 401, 403, 404, 409, "
    "422, 423, 429 and 503 as they are, 504 for a timeout, 502 for all else. Or a map of your own, in which 500 is what is "
    "not named: {401: pass, 4xx: 400, 5xx: 502, timeout: 504, unreachable: 502, invalid: 502}.",
    "passRemoteErrors": "When both the remote's status and the one in its place are 4xx, hand on the remote's JSON body in place "
    "of our own.",
    "cors": "Web pages whose scripts may call, by their origin (https://app.example.com), or '*' for all of them.",
    "cors.origins": "of the pages",
    "cors.headers": "that their requests may have",
    "cors.maxAge": "for which browsers may remember that",
    "cors.credentials": "whether browsers may send cookies",
    "verify": "What a token has to fulfil beside its signature.",
    "verify.leeway": "by which clocks may differ",
    "verify.iss": "the `iss` that is asked for",
    "verify.aud": "the `aud` that is asked for, one or a list",
    "verify.requireExp": "refuse tokens that never expire",
    "verify.maxAge": "refuse tokens that are older, by their `iat`, and those without one, as txtoken's own are",
    "checkResponse": "What a good check is answered with: `original`, or `claims` for the claims alone.",
    "log": "To stdout, one line an event. `debug: true` alone means {level: debug, format: text}.",
    "log.level": "debug, info, warning, error",
    "log.format": "json, text",
    "log.access": "one line a request",
}


def schema() -> dict[str, object]:
    """Return the schema of a whole file, for orjson to write."""
    properties: dict[str, Any] = {}
    dotted = {}
    for key in KEYS:
        section, _, name = key.name.rpartition(".")
        if section:
            place = properties.setdefault(section, _section(section))["properties"]
            reference = f"#/properties/{section}/properties/{name}"
            dotted[f"^{re.escape(key.name)}$"] = {"$ref": reference}  # taken too, but not what an editor should offer
        else:
            place = properties
        place[name] = _property(key)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of txtoken",
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": dotted,
        "additionalProperties": False,
    }


def _section(name: str) -> dict[str, object]:
    return {"description": MEANINGS[name], "type": ["object", "null"], "properties": {}, "additionalProperties": False}


def _property(key: Key) -> dict[str, object]:
    said = {"description": MEANINGS[key.name], **key.read.schema}
    said["type"] = [*said["type"], "null"]  # a key without a value counts as absent
    if "enum" in said:
        said["enum"] = [*said["enum"], None]
    if key.default is not None:
        said["default"] = as_written(key, key.default)
    return said
