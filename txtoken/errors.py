"""All errors, as one tree. Knows codes, public texts and statuses; knows none of the places that raise them.

    TxtokenError
    ├── ConfigError          the configuration cannot be used: all its problems at once      exit 78
    ├── KeyMaterialError     a key cannot be used: what is wrong, and what is needed
    ├── StartError           the service cannot start: a port in use, an address not ours    exit 1
    ├── ExportError          the configuration of a proxy cannot be exported                 exit 1
    ├── ProtocolError        a client's bytes are not a request that we serve                4xx, 5xx
    ├── TokenError           a token is not valid: the contract's text for the reason        401
    └── RemoteError          the remote gave no usable reply
        ├── RemoteUnreachable    refused, DNS, TLS, reset, closed without an answer          "unreachable"
        ├── RemoteTimeout        no complete reply before the deadline                       "timeout"
        ├── RemoteOverloaded     the queue is full, nothing was sent                         503
        ├── RemoteStatus         a complete reply that is a failure by its status or content
        ├── RemoteTruncated      a reply cut short, or longer than we accept                 "invalid"
        ├── RemoteInvalid        a complete reply that is not a usable JSON object           "invalid"
        ├── ClaimsUnbuildable    a reply without the value of a configured claim             "invalid"
        ├── NoSigningKey         no key signs at this moment                                 503
        └── TokenTooLarge        a token of this reply would be longer than is checked       "invalid"
            └── CookieTooLarge   … or than a cookie may be

`code` is stable and short, for logs and metrics. `public` may be shown to a client: it never contains an address, a secret or a
body. The cause is chained (`raise … from error`), and only for the log.
"""

from __future__ import annotations

from dataclasses import dataclass


class TxtokenError(Exception):
    """The root: catch it to catch everything that this package raises on purpose."""

    code = "error"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a configuration.

    `key` is the dotted name (`limits.bodyBytes`), `where` the source (`cfg.yml, line 7` or an environment variable's name),
    `text` what is wrong and what to do. None of them ever contains a secret's value.
    """

    key: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.text}" if self.key else f"{self.where}: {self.text}"


class ConfigError(TxtokenError):
    """The configuration cannot be used. `problems` has every reason, not only the first."""

    code = "config"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"The configuration has {count}, nothing was started:{lines}")


class KeyMaterialError(TxtokenError):
    """A key cannot be used. The text continues after a key's name ("is a PEM key, which …"), and quotes nothing of the key."""

    code = "key"


class StartError(TxtokenError):
    """The service cannot start, although its configuration is valid. The text says what is wrong and what to do."""

    code = "start"


class ExportError(TxtokenError):
    """A proxy's configuration lacks an input, or has several to choose from. The text says what to add or to choose."""

    code = "export"


class ProtocolError(TxtokenError):
    """A client's bytes are not a request that we serve. Answer `status` with `public`, then close (RFC 9112 §9.6)."""

    def __init__(self, status: int, code: str, public: str) -> None:
        super().__init__(public)
        self.status = status
        self.code = code
        self.public = public


class TokenError(TxtokenError):
    """A token is not valid. `public` is the contract's text (§3.2); `code` names the reason for metrics."""

    def __init__(self, code: str, public: str) -> None:
        super().__init__(public)
        self.code = code
        self.public = public


class RemoteError(TxtokenError):
    """The remote gave no usable reply. `public` is a short cause without any address."""

    def __init__(self, code: str, public: str) -> None:
        super().__init__(public)
        self.code = code
        self.public = public


class RemoteUnreachable(RemoteError):
    """No reply at all: refused, no route, DNS, TLS, reset, or closed before the first byte of an answer."""


class RemoteTimeout(RemoteError):
    """No complete reply before the exchange's deadline, for any reason."""


class RemoteOverloaded(RemoteError):
    """Too many requests already wait for a connection. Nothing was sent; a later retry is safe."""


class RemoteStatus(RemoteError):
    """A complete reply that is a failure, by its status or its content (`successStatus`, `successWhen`).

    `retry_after` is the raw field; `body` may be forwarded to the client.
    """

    def __init__(self, status: int, retry_after: bytes = b"", body: bytes = b"") -> None:
        super().__init__("status", f"status {status}")
        self.status = status
        self.retry_after = retry_after
        self.body = body


class RemoteTruncated(RemoteError):
    """A reply that ended early, is malformed after its head, or exceeds `limits.replyBytes`.

    `status` is from its head: it shows a rejected login, whatever happens to the body.
    """

    def __init__(self, code: str, public: str, status: int = 0) -> None:
        super().__init__(code, public)
        self.status = status


class RemoteInvalid(RemoteError):
    """A complete reply whose body is not a JSON object that a token can carry."""


class TokenTooLarge(RemoteError):
    """A reply whose token would exceed `limits.tokenBytes`: the check route would reject it."""

    def __init__(self, token_bytes: int, token_bytes_max: int) -> None:
        super().__init__(
            "token_too_large",
            f"the token would have {token_bytes} bytes, and limits.tokenBytes allows {token_bytes_max}",
        )


class CookieTooLarge(TokenTooLarge):
    """A reply whose token would make a longer cookie than browsers keep: they would drop it silently."""

    def __init__(self, cookie_bytes: int, cookie_bytes_max: int) -> None:
        RemoteError.__init__(
            self,
            "token_too_large",
            f"the cookie would have {cookie_bytes} bytes with its name, and browsers keep {cookie_bytes_max}",
        )


class ClaimsUnbuildable(RemoteError):
    """A reply lacks the value of a claim. `where` names the missing value; it is only for the log."""

    def __init__(self, where: str) -> None:
        super().__init__("no_claim", "the reply does not say who the token is for")
        self.__cause__ = ValueError(where)


class NoSigningKey(RemoteError):
    """No key signs now: the keyset has ended, or the clock was never set."""

    def __init__(self) -> None:
        super().__init__("no_key", "no key signs tokens at this time")
