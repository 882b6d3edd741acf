-- replica notes that a replica lives, and lists those that do; those that are gone:
-- that have not beaten within max age; and those that have beaten since, but not
-- within ended age, and had their line open at their latest beat and have not any
-- more. A line is a subscription to a channel of the replica's own, which Redis
-- sees end with the process. A score is the time of a beat in ms, and a half more if the line
-- was open. Whether it is cannot be known if Redis refuses to tell. Now is this
-- server's clock.
--
-- KEYS   1 fj:replicas
-- ARGV   1 replica   2 max age in ms   3 ended age in ms   4 what the names of
--        the channels begin with
-- Reply  [[live, live, …], [gone, gone, …], [ended, ended, …]]
-- Cap    512 that beat within ended age, 512 that did within max age, and 512
--        that did not, those that beat longest ago first

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local since, sinceEnded = now - tonumber(ARGV[2]), now - tonumber(ARGV[3])

-- 0 or more; nil if Redis refuses to tell
local function lines(replica)
  return redis.pcall('PUBSUB', 'NUMSUB', ARGV[4] .. replica)[2]
end

local open = (lines(ARGV[1]) or 0) > 0
redis.call('ZADD', KEYS[1], string.format(open and '%d.5' or '%d', now), ARGV[1])
local live = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', sinceEnded, 'LIMIT', 0, 512)
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. since, 'LIMIT', 0, 512)
local late = redis.call('ZRANGEBYSCORE', KEYS[1], since, '(' .. sinceEnded, 'WITHSCORES', 'LIMIT', 0, 512)
local ended = {}
for i = 1, #late, 2 do
  local cut = tonumber(late[i + 1]) % 1 == 0.5 and lines(late[i]) == 0
  table.insert(cut and ended or live, late[i])
end
return {live, gone, ended}
