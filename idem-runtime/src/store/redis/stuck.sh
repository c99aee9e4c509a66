#!/usr/bin/env bash
# The keys of idem-runtime's RedisStore whose last call never said how it ended, for an operator to look at.
#
#   bash stuck.sh [ARGUMENTS OF redis-cli]          e.g.  bash stuck.sh -h redis.example -p 6379
#
# One line for each key, with tabs between:
#
#   scope, key  the parts of a composite key are divided by `/`, and control characters are `\x09`
#   why         `parked: ` nobody runs it until an operator resolves it, or the handler's `on_crash` function does;
#               `abandoned: ` the next delivery takes it over. Then how the call ended: `killed or cut off` (its
#               lease ran out), `dropped or panicked`, `kept after an error`
#   since       when that call claimed the key, in UTC
#
# PREFIX is the store's, `idem:` unless set. A password goes into REDISCLI_AUTH. In a cluster, run it for each primary.
#
# It writes nothing. It walks all keys of the server, a hundred at a time. Its user needs the commands EVAL, SCAN, TIME
# and GETRANGE, and to read the keys with the prefix. Needs redis-cli, and bash 4.2 or later.
set -euo pipefail

script=$(cat <<'LUA'
local cursor, prefix = ARGV[1], ARGV[2]
local pattern = prefix:gsub('[%*%?%[%]%^%-\\]', '\\%0') .. '*'
local step = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 100)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function plain(text)
  return (text:gsub('%c', function(byte) return string.format('\\x%02x', byte:byte()) end))
end

-- `PREFIX LENGTH:SCOPE:KEY`, perhaps with `{}` behind the prefix.
local function parts(name)
  local rest = name:sub(#prefix + 1):gsub('^{}', '')
  local length, from = rest:match('^(%d+):()')
  if not length then return end
  local behind = from + length
  if rest:sub(behind, behind) ~= ':' then return end
  local key = rest:sub(behind + 1):gsub('^\31', ''):gsub('\31', '/')
  return plain(rest:sub(from, behind - 1)), plain(key)
end

local became = { 'killed or cut off', 'dropped or panicked', 'kept after an error' }
local answer = { step[1] }
for _, name in ipairs(step[2]) do
  local row = redis.pcall('GETRANGE', name, 0, 47)
  local scope, key = parts(name)
  if scope and type(row) == 'string' and #row == 48 then
    -- As head.lua says.
    local layout, state, _, _, _, lease_end, purge_at, fence = struct.unpack('>BBBBI4I8I8I8', row)
    if layout == 1 and became[state] and (state == 2 or lease_end <= now) then
      local why = (purge_at == 0 and 'parked: ' or 'abandoned: ') .. became[state]
      table.insert(answer, table.concat({ scope, key, why, math.floor(fence / 1000000) }, '\t'))
    end
  end
end
return answer
LUA
)

export TZ=UTC
cursor=0
while :; do
    mapfile -t lines < <(redis-cli --raw "$@" EVAL "$script" 0 "$cursor" "${PREFIX-idem:}")
    cursor=${lines[0]-no answer}
    if ! [[ $cursor =~ ^[0-9]+$ ]]; then
        printf '%s\n' "${lines[@]}" >&2
        exit 1
    fi
    for line in "${lines[@]:1}"; do
        printf '%s\t%(%Y-%m-%d %H:%M:%S)T\n' "${line%$'\t'*}" "${line##*$'\t'}"
    done
    [ "$cursor" != 0 ] || break
done
