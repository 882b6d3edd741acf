-- lfu picks, of the given executors, the one that ran a job least often, and
-- counts that it runs it. Counts are kept for a day from the first of them, then
-- begin anew. Of equals the first is taken.
--
-- KEYS   1 fj:lfu:{app}:job
-- ARGV   address, address, and so on
-- Reply  [address]
-- Cap    none: an app has as many addresses as it has machines

if #ARGV == 0 then
  return redis.error_reply('ERR lfu takes at least one address')
end

local day = 86400000
local uses = {}
local known = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  uses[known[i]] = tonumber(known[i + 1])
end

local pick = ARGV[1]
for i = 2, #ARGV do
  if (uses[ARGV[i]] or 0) < (uses[pick] or 0) then
    pick = ARGV[i]
  end
end

redis.call('ZINCRBY', KEYS[1], 1, pick)
if redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], day)
end
return {pick}
