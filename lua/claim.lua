-- claim moves the executions that are due before now + lead, earliest first,
-- from the delay queue to the leases. A lease counts from the due time or from
-- now, whichever is later. Now is this server's clock.
--
-- KEYS   1 fj:{sN}:due   2 fj:{sN}:lease
-- ARGV   1 how many at most   2 lead in ms   3 lease in ms
-- Reply  [now in epoch µs, 1 if more are due or else 0, due time of the next
--        head as text or "", id, id, …]
-- Cap    512 executions

local n = math.min(tonumber(ARGV[1]), 512)
local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)
local horizon = now + tonumber(ARGV[2])

local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', horizon, 'WITHSCORES', 'LIMIT', 0, n)
local reply, leases = {micros, 0, ''}, {}
for i = 1, #due, 2 do
  reply[#reply + 1] = due[i]
  -- a score that is no number, such as -inf, was not written by us: due now
  leases[#leases + 1] = math.max(tonumber(due[i + 1]) or now, now) + tonumber(ARGV[3])
  leases[#leases + 1] = due[i]
end
if #due > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, #due / 2 - 1)
  redis.call('ZADD', KEYS[2], unpack(leases))
end

local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if head then
  reply[3] = head
  if (tonumber(head) or math.huge) <= horizon then
    reply[2] = 1
  end
end
return reply
