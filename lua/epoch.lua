-- epoch begins a new life of the index, unless one is there that is spread over
-- as many shards.
--
-- KEYS   1 fj:meta
-- ARGV   1 id of the new epoch   2 schema   3 shards
-- Reply  [id of the present epoch, 1 if it has just begun or else 0]
-- Cap    one hash

local there = redis.call('HMGET', KEYS[1], 'epoch', 'shards')
if there[1] and there[2] == ARGV[3] then
  return {there[1], 0}
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'schema', ARGV[2], 'shards', ARGV[3])
return {ARGV[1], 1}
