"""HAProxy (2.6 or newer, with Lua): a configuration, and the script that asks, which HAProxy itself has nothing for."""

from __future__ import annotations

from typing import Final

from txtoken.export.site import Site

SCRIPT_PATH: Final = "/etc/haproxy/forward-auth.lua"

# Only what txtoken looks at goes along: a client's Transfer-Encoding, Expect, Upgrade or Connection would announce what never
# comes. HAProxy's own client for HTTP, which it has since 2.5, keeps connections.
LUA: Final = """\
-- HAProxy asks txtoken before it lets a request pass. Made by `txtoken export haproxy-lua`.
--
--     http-request lua.forward_auth URL NAMES FROM
--
-- URL is the forward-auth route, NAMES are the claim headers, joined by commas, or -. FROM says what else than Authorization may
-- hold a token: cookie, query, both joined by a comma, or -.
--
-- It asks by GET, without a body and without the client's path. Afterwards `txn.forward_auth` is the status of the answer, 0
-- where there was none; `txn.forward_auth_challenge` is its WWW-Authenticate. On 200 the request has the claim headers, and no
-- other copies of them. What is not 200 has to be denied by the configuration.

local TIMEOUT_MS = 5000
local FORWARDED = { "authorization", "x-request-id", "traceparent", "x-forwarded-for" }

-- HAProxy counts the values of a field from 0, and its client for HTTP from 1.
local function lines_of(values)
    local lines, at = {}, 0
    while values ~= nil and values[at] ~= nil do
        lines[#lines + 1] = values[at]
        at = at + 1
    end
    return lines
end

local function words(text)
    local found = {}
    for word in text:gmatch("[^,]+") do
        if word ~= "-" then
            found[#found + 1] = word
        end
    end
    return found
end

local function forward_auth(txn, url, names, from)
    local claims = words(names)
    local fields = txn.http:req_get_headers()
    local sent = {}
    for _, name in ipairs(FORWARDED) do
        local lines = lines_of(fields[name])
        if #lines > 0 then
            sent[name] = lines -- each line as it came: two Authorization fields are for txtoken to refuse
        end
    end
    for _, place in ipairs(words(from)) do
        if place == "cookie" then
            local lines = lines_of(fields["cookie"])
            if #lines > 0 then
                sent["cookie"] = lines
            end
        elseif place == "query" then
            local query = txn.sf:query()
            if query ~= nil and query ~= "" then
                url = url .. "?" .. query
            end
        end
    end
    for _, name in ipairs(claims) do
        txn.http:req_del_header(name)
    end
    txn:set_var("txn.forward_auth", 0)

    -- What fails in here ends with an error of Lua, and leaves 0.
    local answer = core.httpclient():get({ url = url, headers = sent, timeout = TIMEOUT_MS })
    if answer == nil or type(answer.status) ~= "number" then
        return
    end
    local received = answer.headers or {}
    if answer.status == 200 then
        for _, name in ipairs(claims) do
            local lines = lines_of(received[name:lower()])
            if #lines > 1 then
                return -- txtoken sends each once
            end
            if lines[1] ~= nil and lines[1] ~= "" then
                txn.http:req_set_header(name, lines[1])
            end
        end
    else
        local challenge = lines_of(received["www-authenticate"])[1]
        txn:set_var("txn.forward_auth_challenge", challenge or "Bearer")
    end
    txn:set_var("txn.forward_auth", answer.status)
end

core.register_action("forward_auth", { "http-req" }, forward_auth, 3)
"""


def haproxy(site: Site) -> str:
    """Write a whole configuration. It loads the script from `SCRIPT_PATH`."""
    places = [*(["cookie"] if site.looks_at_cookie else []), *(["query"] if site.looks_at_query else [])]
    names, places_text = ",".join(site.headers) or "-", ",".join(places) or "-"
    return f"""\
# HAProxy asks txtoken before it lets a request pass, by the script of `txtoken export haproxy-lua`.
# Made by `txtoken export haproxy`.

global
    lua-load {SCRIPT_PATH}

defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout http-request 10s
    timeout http-keep-alive 60s

frontend clients
    bind {site.listen} # plain HTTP: `bind :443 ssl crt FILE` is TLS

    # X_Auth_Request_User is X-Auth-Request-User for CGI, WSGI and PHP: names with any mark but - are dropped.
    http-request del-header [^A-Za-z0-9-] -m reg

    # In place of what the client says.
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]

    # A fixed URL: no path of a client's reaches another route of txtoken's. The script removes a client's own copies of the claim
    # headers and sets what txtoken says.
    http-request lua.forward_auth http://{site.service}{site.asked.route} {names} {places_text}

    # What is not 200 does not pass: where the script failed, or had no answer in time, too.
    acl is_refused var(txn.forward_auth) -m int 401
    acl is_forbidden var(txn.forward_auth) -m int 403
    acl may_pass var(txn.forward_auth) -m int 200
    http-request deny deny_status 401 hdr WWW-Authenticate "%[var(txn.forward_auth_challenge)]" if is_refused
    http-request deny deny_status 403 if is_forbidden
    http-request deny deny_status 503 unless may_pass

    default_backend protected

backend protected
    server upstream {site.upstream}
"""


def haproxy_lua(_: Site) -> str:
    """Write the script, which is the same for every route."""
    return LUA
