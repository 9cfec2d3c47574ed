-- A login, then checks of the token that came last, and so on: with keys that rotate no token is good for a whole run.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local CHECKS_PER_LOGIN = 4
local login, host, token, turn = nil, nil, nil, 0

function init(arguments)
  host = wrk.headers["Host"]
  login = wrk.format("POST", "/getToken", { ["Host"] = host, ["Content-Type"] = "application/json" }, os.getenv("BENCH_LOGIN"))
end

function request()
  turn = turn % (CHECKS_PER_LOGIN + 1) + 1
  if turn == 1 or not token then return login end
  return wrk.format("GET", "/checkToken", { ["Host"] = host, ["Authorization"] = "Bearer " .. token })
end

function response(status, headers, body)
  checked = checked + 1
  local found = body:match('^{"token":"([%w_-]+%.[%w_-]+%.[%w_-]+)"}$')
  if found then token = found end
  if status ~= 200 or not (found or body:find('"Valid":true', 1, true)) then wrong = wrong + 1 end
end
