-- Checks of one token, the first of BENCH_TOKENS.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local name, value = shown(first_token())
wrk.method = os.getenv("BENCH_CHECK_METHOD")
wrk.path = os.getenv("BENCH_CHECK_PATH")
wrk.headers[name] = value
expect("verdict")
