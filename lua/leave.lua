-- leave removes an executor, unless another incarnation has its place.
--
-- KEYS   1 fj:beats:{app}   2 fj:executor:{app}:address
-- ARGV   1 address   2 incarnation
-- Reply  1 if removed, 0 if another incarnation is there
-- Cap    one executor

local there = redis.call('HGET', KEYS[2], 'incarnation')
if there and there ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
