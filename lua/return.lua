-- return puts claimed executions back into the delay queue, also those whose
-- lease is gone. One that was put there meanwhile keeps the earlier of the two
-- times: looking too early costs a look, too late costs punctuality.
--
-- KEYS   1 fj:{sN}:due   2 fj:{sN}:lease
-- ARGV   due time (epoch ms), execution id, and so on in pairs
-- Reply  [head before, head after]: due times as text, "" where there is none
-- Cap    512 executions

if #ARGV == 0 or #ARGV % 2 == 1 or #ARGV > 1024 then
  return redis.error_reply('ERR return takes 1 to 512 pairs of due time and id')
end

local function head()
  return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''
end

local ids = {}
for i = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end

local before = head()
redis.call('ZADD', KEYS[1], 'LT', unpack(ARGV))
redis.call('ZREM', KEYS[2], unpack(ids))
return {before, head()}
