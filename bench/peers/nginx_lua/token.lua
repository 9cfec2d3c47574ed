-- Both routes for nginx. HS256 by hand on libcrypto's SHA-256: the states behind the inner and the outer pad are made
-- once, so a signature is two copies of a state and two short runs of the compression function, without a context made
-- or an algorithm looked up.

local ffi = require "ffi"
local cjson = require("cjson").new()
local base64 = require "ngx.base64"

ffi.cdef [[
typedef struct {
    unsigned int h[8];
    unsigned int Nl, Nh;
    unsigned int data[16];
    unsigned int num, md_len;
} SHA256_CTX;
int SHA256_Init(SHA256_CTX *c);
int SHA256_Update(SHA256_CTX *c, const void *data, size_t len);
int SHA256_Final(unsigned char *md, SHA256_CTX *c);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]

local ok, crypto = pcall(ffi.load, "crypto")
if not ok then crypto = ffi.load("libcrypto.so.3") end

local encode, decode = base64.encode_base64url, base64.decode_base64url
local json_decode = cjson.decode
local time = ngx.time
local find, sub, byte, lower = string.find, string.sub, string.byte, string.lower

local BLOCK, DIGEST = 64, 32
local TOKEN_BYTES_MAX = 32 * 1024
local TTL_S = 12 * 3600
local BEARER_TTL_S = 300
local HEADER_TEXT = '{"alg":"HS256","typ":"JWT"}'
local HEADER = encode(HEADER_TEXT)

-- HMAC-SHA256 (RFC 2104)

local context_t = ffi.typeof("SHA256_CTX")
local context_size = ffi.sizeof(context_t)
local inner, outer, work = context_t(), context_t(), context_t()
local digest = ffi.new("unsigned char[?]", DIGEST)

local function prepare(key)
  assert(#key <= BLOCK, "a key longer than a block would have to be hashed first")
  local pad = ffi.new("unsigned char[?]", BLOCK)
  local function state_behind(value, state)
    for i = 0, BLOCK - 1 do pad[i] = bit.bxor(i < #key and byte(key, i + 1) or 0, value) end
    crypto.SHA256_Init(state)
    crypto.SHA256_Update(state, pad, BLOCK)
  end
  state_behind(0x36, inner)
  state_behind(0x5c, outer)
end

-- Leaves the signature in `digest`.
local function hmac(text)
  ffi.copy(work, inner, context_size)
  crypto.SHA256_Update(work, text, #text)
  crypto.SHA256_Final(digest, work)
  ffi.copy(work, outer, context_size)
  crypto.SHA256_Update(work, digest, DIGEST)
  crypto.SHA256_Final(digest, work)
end

prepare(assert(os.getenv("KEY"), "KEY is not set"))

local function sign(claims)
  local text = HEADER .. "." .. encode(claims)
  hmac(text)
  return text .. "." .. encode(ffi.string(digest, DIGEST))
end

-- Answers

local function answer(status, body)
  ngx.status = status
  ngx.header.content_length = #body
  ngx.print(body)
end

local function fail(message, detail)
  answer(500, '{"message":"' .. message .. '"' .. detail .. "}")
end

-- cjson makes arrays and objects the same kind of table: the first character distinguishes them.
local function decode_object(text)
  if not find(text, "^%s*{") then return nil end
  local fine, value = pcall(json_decode, text)
  return fine and value or nil
end

-- getToken

local bearer, bearer_second = nil, 0
local capture_options = { method = ngx.HTTP_POST, body = "", vars = { bearer = "" } }

local function get()
  if ngx.req.get_method() ~= "POST" then return answer(405, '{"message":"Method not allowed."}') end
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if not body or not pcall(json_decode, body) then
    return answer(400, '{"message":"Request body is not valid JSON."}')
  end
  local now = time()
  if now ~= bearer_second then
    bearer = "Bearer " .. sign('{"data":{"service":"bench"},"exp":' .. now + BEARER_TTL_S .. "}")
    bearer_second = now
  end
  capture_options.body = body
  capture_options.vars.bearer = bearer
  local reply = ngx.location.capture("/-/remote", capture_options)
  if reply.status == 502 or reply.status == 504 then return fail("Remote post failure.", "") end
  if reply.status ~= 200 then return fail("Remote post status failure.", ',"status":' .. reply.status) end
  if reply.truncated then return fail("Remote post failed to parse body.", "") end
  if not decode_object(reply.body) then return fail("Can not unmarshal returned json.", "") end
  answer(200, '{"token":"' .. sign('{"data":' .. reply.body .. ',"exp":' .. time() + TTL_S .. "}") .. '"}')
end

-- checkToken

-- Headers that were looked into and name the right algorithm, with their text.
local known_headers, known_count = { [HEADER] = HEADER_TEXT }, 1
local KNOWN_MAX = 64

local function header_text(segment)
  local text = known_headers[segment]
  if text then return text end
  text = decode(segment)
  local header = text and decode_object(text)
  if not header then return nil, "token is malformed" end
  if header.crit ~= nil then return nil, "token is malformed" end
  if header.alg ~= "HS256" then return nil, "signing method (alg) is unavailable." end
  if known_count < KNOWN_MAX then
    known_headers[segment] = text
    known_count = known_count + 1
  end
  return text
end

local function refuse(text)
  ngx.header["WWW-Authenticate"] = 'Bearer error="invalid_token"'
  answer(401, '{"error":"' .. text .. '"}')
end

local function check()
  local token = ngx.var.http_authorization or ngx.var.arg_access_token
  if not token or token == "" then return refuse("no token present in request") end
  if byte(token, 7) == 32 and lower(sub(token, 1, 6)) == "bearer" then token = sub(token, 8) end
  if #token > TOKEN_BYTES_MAX then return refuse("token is malformed") end

  local first = find(token, ".", 1, true)
  local second = first and find(token, ".", first + 1, true)
  if not second or find(token, ".", second + 1, true) then
    return refuse("token contains an invalid number of segments")
  end
  local header, problem = header_text(sub(token, 1, first - 1))
  if not header then return refuse(problem) end
  local signature = sub(token, second + 1)
  local given = decode(signature)
  if not given then return refuse("token is malformed") end
  hmac(sub(token, 1, second - 1))
  if #given ~= DIGEST or crypto.CRYPTO_memcmp(given, digest, DIGEST) ~= 0 then return refuse("signature is invalid") end

  local text = decode(sub(token, first + 1, second - 1))
  local claims = text and decode_object(text)
  if not claims then return refuse("token is malformed") end
  local now = time()
  if type(claims.exp) ~= "number" then return refuse("token has no expiry") end
  if claims.exp <= now then return refuse("Token is expired") end
  if claims.nbf ~= nil and (type(claims.nbf) ~= "number" or claims.nbf > now) then
    return refuse("Token is not valid yet")
  end
  answer(200, '{"Raw":"' .. token .. '","Method":{"Name":"HS256","Hash":5},"Header":' .. header .. ',"Claims":' .. text
    .. ',"Signature":"' .. signature .. '","Valid":true}')
end

return { get = get, check = check }
