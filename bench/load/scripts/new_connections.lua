-- Checks of one token, each on a connection of its own.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.path = "/checkToken"
wrk.headers["Authorization"] = "Bearer " .. lines_of(os.getenv("BENCH_TOKENS"))[1]
wrk.headers["Connection"] = "close"
expect("verdict")
