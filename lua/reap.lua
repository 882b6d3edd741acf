-- reap puts executions whose lease has ended back into the delay queue, due
-- now: whoever claimed them is gone, or never said what became of them. Now is
-- this server's clock.
--
-- KEYS   1 fj:{sN}:due   2 fj:{sN}:lease
-- ARGV   1 how many at most
-- Reply  [how many, head before, head after]: due times as text, "" where
--        there is none
-- Cap    512 executions

local function head()
  return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''
end

local n = math.min(tonumber(ARGV[1]), 512)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local before = head()
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. now, 'LIMIT', 0, n)
if #ids == 0 then
  return {0, before, before}
end

local due = {}
for _, id in ipairs(ids) do
  due[#due + 1] = now
  due[#due + 1] = id
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #ids - 1)
redis.call('ZADD', KEYS[1], unpack(due))
return {#ids, before, head()}
