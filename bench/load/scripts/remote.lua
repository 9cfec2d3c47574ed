-- The remote itself, asked as the service asks it: how much it can take.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.method = "POST"
wrk.path = "/login"
wrk.body = os.getenv("BENCH_LOGIN")
wrk.headers["Content-Type"] = "application/json"
