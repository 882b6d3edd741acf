-- lru picks, of the given executors, the one that ran a job the longest time
-- ago, and notes that it runs it now, at this server's clock. One that did not
-- run it within a day never did. Of equals the first is taken.
--
-- KEYS   1 fj:lru:{app}:job
-- ARGV   address, address, and so on
-- Reply  [address]
-- Cap    none: an app has as many addresses as it has machines

if #ARGV == 0 then
  return redis.error_reply('ERR lru takes at least one address')
end

local day = 86400000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - day)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + day, '+inf') -- not written by us

local used, latest = {}, 0
local known = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local at = tonumber(known[i + 1]) or 0
  used[known[i]] = at
  latest = math.max(latest, at)
end

local pick = ARGV[1]
for i = 2, #ARGV do
  if (used[ARGV[i]] or 0) < (used[pick] or 0) then
    pick = ARGV[i]
  end
end

-- uses within one millisecond keep their order
redis.call('ZADD', KEYS[1], math.max(now, latest + 1), pick)
redis.call('PEXPIRE', KEYS[1], day)
return {pick}
