-- executors lists the addresses of an app that beat within max age, with the
-- instants of their beats. Now is this server's clock. It writes nothing.
--
-- KEYS   1 fj:beats:{app}
-- ARGV   1 max age in ms
-- Reply  [now in epoch ms, address, beat in epoch ms as text, and so on in pairs]
-- Cap    none: an app has as many addresses as it has machines

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local beats = redis.call('ZRANGEBYSCORE', KEYS[1], now - tonumber(ARGV[1]), '+inf', 'WITHSCORES')
table.insert(beats, 1, now)
return beats
