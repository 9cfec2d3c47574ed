-- Forward authentication by one token, the first of BENCH_TOKENS, with the user's claims as header fields.
dofile(os.getenv("BENCH_SCRIPTS") .. "/forward_auth.lua")

if os.getenv("BENCH_CHECK") == "1" then
  response = function(status, headers, body)
    check(headers["X-Auth-Request-User"] == "ada" and status or 0, body, SHAPES.nothing)
  end
end
