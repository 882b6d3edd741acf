-- beat writes an executor and its beat, at this server's clock. A beat that
-- comes late, from an incarnation that started before the one that is there
-- and still beats, changes nothing. Executors that have not beaten for an hour
-- leave the app's set.
--
-- KEYS   1 fj:beats:{app}   2 fj:executor:{app}:address
-- ARGV   1 address   2 incarnation   3 started_at (RFC 3339, UTC, three
--        decimals: sorts as text)   4 version   5 capacity   6 queue
--        7 running   8 state   9 labels (a JSON object, or "")
--        10 silence in ms after which an executor is gone
-- Reply  [1 if written or else 0, now in epoch ms]
-- Cap    one executor; 16 old ones leave at a time

local ttl, forgotten = 60000, 3600000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local there = redis.call('HMGET', KEYS[2], 'incarnation', 'started_at', 'last_beat')
local other = there[1] and there[1] ~= ARGV[2]
local newer = (there[2] or '') > ARGV[3]
local alive = (tonumber(there[3] or '') or 0) > now - tonumber(ARGV[10])
if other and newer and alive then
  return {0, now}
end

redis.call('HSET', KEYS[2], 'incarnation', ARGV[2], 'started_at', ARGV[3], 'version', ARGV[4],
  'capacity', ARGV[5], 'queue', ARGV[6], 'running', ARGV[7], 'state', ARGV[8], 'labels', ARGV[9], 'last_beat', now)
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('ZADD', KEYS[1], now, ARGV[1])

local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - forgotten, 'LIMIT', 0, 16)
if #old > 0 then
  redis.call('ZREM', KEYS[1], unpack(old))
end
return {1, now}
