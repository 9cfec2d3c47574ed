-- One login, then twenty checks of one token, and so on.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local CHECKS_PER_LOGIN = 20
local login, check_one, turn

function init(arguments)
  local host = wrk.headers["Host"]
  local token = lines_of(os.getenv("BENCH_TOKENS"))[1]
  login = wrk.format("POST", "/getToken", { ["Host"] = host, ["Content-Type"] = "application/json" }, os.getenv("BENCH_LOGIN"))
  check_one = wrk.format("GET", "/checkToken", { ["Host"] = host, ["Authorization"] = "Bearer " .. token })
  turn = 0
end

function request()
  turn = turn % (CHECKS_PER_LOGIN + 1) + 1
  if turn == 1 then return login end
  return check_one
end

expect("either")
