-- Progress and log lines, from the token that holds the run only. KEYS: epoch, task, events.
-- ARGV: run id, id, n, token, agent, incarnation, event type, payload.
local held = redis.call('HMGET', KEYS[2], 'd', 's', 'k')
if tonumber(held[1]) ~= tonumber(ARGV[3]) or held[2] ~= 'held' or held[3] ~= ARGV[4] then
  return {'REFUSED'}
end
announce(KEYS[3], ARGV[7], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[8])
return {'OK'}
