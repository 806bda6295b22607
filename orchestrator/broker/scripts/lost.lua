-- Finds what was popped from a list and never claimed: members of its index older than its head.
-- Heads whose task no longer waits are stale and dropped. KEYS: epoch, list, waiting. ARGV: run id, limit.
local limit = tonumber(ARGV[2])
for _ = 1, limit do
  local head = redis.call('LINDEX', KEYS[2], -1)
  if not head then
    return redis.call('ZRANGE', KEYS[3], 0, limit - 1)
  end
  local _, start = string.find(head, '"headers": {"lang": "py"', 1, true)
  local id, n
  if start then
    id, n = string.match(head, '"id": "(%x+%-%x+%-%x+%-%x+%-%x+)%.(%d+)"', start)
  end
  if not id then
    return {}
  end
  local score = redis.call('ZSCORE', KEYS[3], id)
  if score and redis.call('HGET', 'orch:task:' .. id, 'd') == n then
    return redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. score, 'LIMIT', 0, limit)
  end
  redis.call('RPOP', KEYS[2])
end
return {}
