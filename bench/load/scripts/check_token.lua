-- Checks of one token, the first of BENCH_TOKENS.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.path = "/checkToken"
wrk.headers["Authorization"] = "Bearer " .. lines_of(os.getenv("BENCH_TOKENS"))[1]
expect("verdict")
