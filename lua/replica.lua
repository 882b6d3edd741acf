-- replica notes that a replica lives, and lists those that beat within max age
-- and those that did not. Now is this server's clock.
--
-- KEYS   1 fj:replicas
-- ARGV   1 replica   2 max age in ms
-- Reply  [[live, live, …], [gone, gone, …]]
-- Cap    512 of either; the gone ones that beat longest ago come first

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local since = now - tonumber(ARGV[2])

redis.call('ZADD', KEYS[1], now, ARGV[1])
return {
  redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', since, 'LIMIT', 0, 512),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. since, 'LIMIT', 0, 512),
}
