-- After the recorder's commit: lets the recorded events go, and lets the keys of recorded ends expire.
-- KEYS: epoch, events. ARGV: run id, time to live of an ended key (s), number of event ids, event ids …, then id, n of each end.
local count = tonumber(ARGV[3])
for i = 4, 3 + count do
  redis.call('XDEL', KEYS[2], ARGV[i])
end
for i = 4 + count, #ARGV, 2 do
  local key = 'orch:task:' .. ARGV[i]
  local held = redis.call('HMGET', key, 'd', 's')
  if held[2] == 'ended' and tonumber(held[1]) == tonumber(ARGV[i + 1]) then
    redis.call('EXPIRE', key, ARGV[2])
  end
end
return {'OK'}
