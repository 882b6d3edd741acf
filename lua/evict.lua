-- evict removes a key that is there as another type than ours: nothing of ours
-- is in it, and every script that needs the key fails for as long as it stays.
--
-- KEYS   1 fj:…: any key of ours
-- ARGV   1 the type that it should have: zset, hash or string
-- Reply  the type that it had, if it was removed, or else ""
-- Cap    one key

local found = redis.call('TYPE', KEYS[1])['ok']
if found == 'none' or found == ARGV[1] then
  return ''
end
redis.call('DEL', KEYS[1])
return found
