-- What every script shares: checking answers where the run asks for it, and the report as JSON.
-- Knows nothing of what is sent. The environment says: BENCH_OUT (file of the report), BENCH_CHECK (1: look at every
-- answer, which costs the load generator time, so it is done in the warm-up), BENCH_PERCENTILES, BENCH_FORM (0: the form
-- of the answers is not known, their status counts alone), BENCH_STATUS (of a good token).

local threads = {}

-- CPU time of wrk when a thread is ready to begin: reading 40 000 tokens is not load. A script whose `init` takes long
-- calls `ready` at its end.
cpu_when_ready = os.clock()
function ready()
  cpu_when_ready = os.clock()
end

function setup(thread)
  table.insert(threads, thread)
end

-- The shapes of contract 3.1 and 3.2, with white space where a JSON writer may put it.
local TOKEN = '^{%s*"token"%s*:%s*"[%w_-]+%.[%w_-]+%.[%w_-]+"%s*}%s*$'
local VALID = '"Valid"%s*:%s*true'

wrong = 0
checked = 0
function check(status, body, shapes)
  checked = checked + 1
  if status == 200 or status == tonumber(os.getenv("BENCH_STATUS")) then
    if os.getenv("BENCH_FORM") == "0" then return end
    for _, shape in ipairs(shapes) do
      if body:find(shape) then return end
    end
  end
  wrong = wrong + 1
end

SHAPES = { token = { TOKEN }, verdict = { VALID }, either = { TOKEN, VALID }, nothing = { "^$" } }

-- A script calls this with the shape that it expects. Without a `response` function wrk does not even collect answers.
function expect(shape)
  if os.getenv("BENCH_CHECK") == "1" then
    local shapes = SHAPES[shape]
    response = function(status, headers, body) check(status, body, shapes) end
  end
end

-- The field that a token is shown in.
function shown(token)
  return os.getenv("BENCH_CHECK_NAME"), os.getenv("BENCH_CHECK_VALUE"):format(token)
end

-- The first token.
function first_token()
  return lines_of(os.getenv("BENCH_TOKENS"))[1]
end

-- A file's lines.
function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function largest(name)
  local found = 0
  for _, thread in ipairs(threads) do found = math.max(found, thread:get(name) or 0) end
  return found
end

local function sum(name)
  local total = 0
  for _, thread in ipairs(threads) do total = total + (thread:get(name) or 0) end
  return total
end

function done(summary, latency, requests)
  local points = {}
  for text in os.getenv("BENCH_PERCENTILES"):gmatch("[%d.]+") do
    local percentile = tonumber(text)
    local us = percentile >= 100 and latency.max or latency:percentile(percentile)
    points[#points + 1] = ('[%s,%d]'):format(text, us)
  end
  local e = summary.errors
  local file = assert(io.open(os.getenv("BENCH_OUT"), "w"))
  file:write(('{"requests":%d,"duration_us":%d,"cpu_s":%.6f,"percentiles_us":[%s],"checked":%d,"wrong":%d,'
    .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n'):format(
    summary.requests, summary.duration, os.clock() - largest("cpu_when_ready"), table.concat(points, ","), sum("checked"), sum("wrong"),
    e.connect, e.read, e.write, e.status, e.timeout))
  file:close()
end
