---@meta _
-- muster.http, as muster.lua has it.

---HTTP to provisioners and the like. Other servers go on meanwhile. Certificates are always verified; proxies of the
---environment (http_proxy and so on) are not used; cookies are not kept. Connections are kept and used again.
---@class muster.http
local http = {}

---@class muster.HttpOptions
---@field headers? table<string, string|number|muster.Secret|false> false takes a client's header away
---@field query? table<string, string|number|boolean|(string|number|boolean)[]> appended to the URL, escaped
---@field timeout? number|string of each try, redirects included; 30 s when not given
---@field connect_timeout? number|string name lookup, and connection with TLS; 10 s when not given
---@field max_body? integer bytes of the answer, 16 MiB when not given; more is an error. Headers: 64 KiB, 256 lines
---@field max_redirects? integer 5 when not given; 0 returns a redirect as it is. Never from https to http. To another
---  scheme, host or port only GET, HEAD and OPTIONS, and there without auth, token and headers but Accept,
---  Accept-Language, Content-Type and User-Agent
---@field ca_file? string PEM file with the authorities to trust instead of the system's
---@field auth? { user: string|muster.Secret, password: string|muster.Secret } basic authentication
---@field token? string|muster.Secret sent as `Authorization: Bearer TOKEN`
---@field retries? integer tries after the first, 3 when not given
---@field retry_on? integer[] statuses that are tried again, whatever the method; when not given 429, 502, 503, 504, and
---  for idempotent requests only. What failed before it was sent is always tried again, what may have been received
---  only when idempotent
---@field idempotent? boolean doing it twice is as good as once; GET, HEAD, OPTIONS, PUT and DELETE are, when not given
---@field backoff? number|string before the second try, 500 ms when not given; doubles up to 30 s, a half of it random.
---  An answer's Retry-After is waited for instead, up to 60 s
---@field check? boolean false: a status of 400 or more is returned, not raised

---@class muster.HttpBodyOptions : muster.HttpOptions
---@field body? string
---@field json? any sent as JSON, with `Content-Type: application/json` when headers have none

---@class muster.HttpRequest : muster.HttpBodyOptions
---@field method? string GET when not given; or HEAD, OPTIONS, PUT, DELETE, POST, PATCH
---@field url string http:// or https://, without credentials

---@class muster.HttpResponse
---@field status integer 0 in a dry run
---@field headers table<string, string> by name in lower case; values of the same name joined by ", "
---@field body string
---@field url string where it came from, after redirects
---@field method string as asked
---@field attempts integer how many tries it took
---@field dry_run? boolean true: `--dry-run`, and it was not sent
local HttpResponse = {}

---The body, decoded with cjson (null is cjson.null); {} in a dry run. HttpError of kind "json" when it is not JSON.
---```lua
---local answer = muster.http.request { url = params.url .. "/echo/nodes" }
---print(answer:json().path) --> /echo/nodes
---```
---@return any
function HttpResponse:json() end

---One request with its retries. In a dry run only GET, HEAD and OPTIONS are sent; others are logged, "Would send …".
---Raises HttpError.
---```lua
---local answer = muster.http.request { method = "PUT", url = params.url .. "/echo/nodes/7", json = { state = "on" },
---  timeout = "10s" }
---print(answer.status, answer:json().body) --> 200 {"state":"on"}
---```
---@async
---@param request muster.HttpRequest
---@return muster.HttpResponse
function http.request(request) end

---Text as it can stand in a path or a query: all but letters, digits and "-._~" as %XX.
---```lua
---print("/nodes/" .. muster.http.escape "rack 1/7") --> /nodes/rack%201%2F7
---```
---@param text string|number
---@return string
function http.escape(text) end

---@class muster.HttpClientOptions : muster.HttpOptions
---@field base_url string

---@class muster.HttpClientRequest : muster.HttpBodyOptions
---@field method? string
---@field path? string

---A client: options that hold for each of its requests, which may give others; headers and query are merged by name.
---```lua
---local api = muster.http.client { base_url = params.url, headers = { accept = "application/json" }, timeout = "10s" }
---print(api:get("/echo/nodes", { query = { rack = "r1" } }):json().path) --> /echo/nodes?rack=r1
---```
---@param options muster.HttpClientOptions
---@return muster.HttpClient
function http.client(options) end

---path comes after base_url. It may be a whole URL, as lists name their next page, on base_url's scheme, host and port.
---@class muster.HttpClient
local HttpClient = {}
---Any method; raises HttpError.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:request({ method = "PATCH", path = "/echo/nodes/7", json = { rack = "r2" } }):json().method) --> PATCH
---```
---@async
---@param request muster.HttpClientRequest
---@return muster.HttpResponse
function HttpClient:request(request) end
---GET.
---```lua
---local api = muster.http.client { base_url = params.url }
---local answer = api:get("/status/404", { check = false }) -- else a 404 raises
---print(answer.status, answer.body) --> 404 this is 404
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:get(path, options) end
---HEAD: no body.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:head("/echo").headers["content-type"]) --> application/json
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:head(path, options) end
---OPTIONS.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:options("/echo"):json().method) --> OPTIONS
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:options(path, options) end
---POST: tried again only when it cannot have been received, unless `idempotent` or `retry_on` say so.
---```lua
---local api = muster.http.client { base_url = params.url }
---local answer = api:post("/echo/installs", { json = { node = 7 } })
---print(answer:json().body) --> {"node":7}
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:post(path, options) end
---PUT.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:put("/echo/nodes/7", { body = "on" }):json().body) --> on
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:put(path, options) end
---PATCH: tried again as POST is.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:patch("/echo/nodes/7", { json = { rack = "r2" } }):json().body) --> {"rack":"r2"}
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:patch(path, options) end
---DELETE. Of what is gone already, `check = false` lets you see the 404.
---```lua
---local api = muster.http.client { base_url = params.url }
---print(api:delete("/status/204").status) --> 204
---```
---@async
---@param path? string
---@param options? muster.HttpBodyOptions
---@return muster.HttpResponse
function HttpClient:delete(path, options) end

return http
