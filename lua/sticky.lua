-- sticky picks, of the given executors, the one that a job is bound to. If it is
-- bound to none of them, or has not run for a day, it is bound to the first.
--
-- KEYS   1 fj:sticky:{app}:job
-- ARGV   address, address, and so on
-- Reply  [address]
-- Cap    none: an app has as many addresses as it has machines

if #ARGV == 0 then
  return redis.error_reply('ERR sticky takes at least one address')
end

local day = 86400000
local pick = ARGV[1]
local bound = redis.call('GET', KEYS[1])
for _, address in ipairs(ARGV) do
  if address == bound then
    pick = bound
    break
  end
end
redis.call('SET', KEYS[1], pick, 'PX', day)
return {pick}
