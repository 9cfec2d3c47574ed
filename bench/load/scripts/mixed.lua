-- One login, then twenty checks of one token, and so on.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local CHECKS_PER_LOGIN = 20
local login, check_one, turn

function init(arguments)
  local host = wrk.headers["Host"]
  local name, value = shown(first_token())
  login = wrk.format(os.getenv("BENCH_LOGIN_METHOD"), os.getenv("BENCH_LOGIN_PATH"),
    { ["Host"] = host, ["Content-Type"] = os.getenv("BENCH_LOGIN_TYPE") }, os.getenv("BENCH_LOGIN"))
  check_one = wrk.format(os.getenv("BENCH_CHECK_METHOD"), os.getenv("BENCH_CHECK_PATH"), { ["Host"] = host, [name] = value })
  turn = 0
end

function request()
  turn = turn % (CHECKS_PER_LOGIN + 1) + 1
  if turn == 1 then return login end
  return check_one
end

expect("either")
