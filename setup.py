"""Says what of the package is compiled to machine code (mypyc) when TXTOKEN_COMPILE=1; all else is in pyproject.toml.

The modules on a request's way, as they stand, by `scripts/compile`: the compiled service does the same in less CPU time.
Without a C compiler nothing is missing but speed.
"""

import os

from setuptools import setup

COMPILED = (
    "txtoken/clock.py",
    "txtoken/http1/acceptor.py",
    "txtoken/http1/buffers.py",
    "txtoken/http1/channel.py",
    "txtoken/http1/chunks.py",
    "txtoken/http1/connection.py",
    "txtoken/http1/ending.py",
    "txtoken/http1/grammar.py",
    "txtoken/http1/head_rules.py",
    "txtoken/http1/heads.py",
    "txtoken/http1/member.py",
    "txtoken/http1/messages.py",
    "txtoken/http1/parser.py",
    "txtoken/http1/phase.py",
    "txtoken/http1/places.py",
    "txtoken/http1/proxies.py",
    "txtoken/http1/room.py",
    "txtoken/http1/server.py",
    "txtoken/http1/serving.py",
    "txtoken/http1/turns.py",
    "txtoken/memo.py",
    "txtoken/observe/access_log.py",
    "txtoken/observe/lines.py",
    "txtoken/observe/metrics.py",
    "txtoken/observe/observers.py",
    "txtoken/service/answers.py",
    "txtoken/service/cookies.py",
    "txtoken/service/cors.py",
    "txtoken/service/failures.py",
    "txtoken/service/forwarded.py",
    "txtoken/service/handlers/check.py",
    "txtoken/service/handlers/fixed.py",
    "txtoken/service/handlers/forward_auth.py",
    "txtoken/service/handlers/health.py",
    "txtoken/service/handlers/login.py",
    "txtoken/service/handlers/refresh.py",
    "txtoken/service/identity.py",
    "txtoken/service/issuance.py",
    "txtoken/service/keys/hmac.py",
    "txtoken/service/keys/key.py",
    "txtoken/service/keys/ring.py",
    "txtoken/service/pointer.py",
    "txtoken/service/presented.py",
    "txtoken/service/refusals.py",
    "txtoken/service/replies.py",
    "txtoken/service/requirement.py",
    "txtoken/service/revocations.py",
    "txtoken/service/routes.py",
    "txtoken/service/sites.py",
    "txtoken/service/success.py",
    "txtoken/service/throttle/counts.py",
    "txtoken/service/throttle/guard.py",
    "txtoken/service/throttle/identities.py",
    "txtoken/service/throttle/names.py",
    "txtoken/service/throttle/table.py",
    "txtoken/service/throttle/throttle.py",
    "txtoken/service/tokens/claims.py",
    "txtoken/service/tokens/compact.py",
    "txtoken/service/tokens/issue.py",
    "txtoken/service/tokens/memory.py",
    "txtoken/service/tokens/segments.py",
    "txtoken/service/tokens/sessions.py",
    "txtoken/service/tokens/verify.py",
    "txtoken/service/upstream/connection.py",
    "txtoken/service/upstream/dials.py",
    "txtoken/service/upstream/exchange.py",
    "txtoken/service/upstream/remote.py",
    "txtoken/service/upstream/reply.py",
    "txtoken/service/upstream/request_head.py",
)

if os.environ.get("TXTOKEN_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify([*COMPILED], opt_level="3"))
else:
    setup()
