-- Tells how many of the oldest events carry no more than so many bytes of payload (their last field), one at
-- least; it looks at a few at a time, because Lua holds what it looks at.
-- KEYS: epoch, events. ARGV: run id, greatest number, greatest bytes, a few.
local most, bytes, page_size = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local count, from = 0, '-'
while count < most do
  local page = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', page_size)
  for _, entry in ipairs(page) do
    bytes = bytes - #entry[2][#entry[2]]
    if bytes < 0 and count > 0 then
      return {tostring(count)}
    end
    count = count + 1
  end
  if #page < page_size then
    break
  end
  from = '(' .. page[#page][1]
end
return {tostring(math.min(count, most))}
