-- Checks of one token, each on a connection of its own.
dofile(os.getenv("BENCH_SCRIPTS") .. "/check_token.lua")

wrk.headers["Connection"] = "close"
