-- Counts participants: one call and one reply for many sets, which costs a third of
-- asking for each by itself.
--
-- KEYS  1 epoch mark   2… sets
--
-- Replies their sizes, "3 0 17 …", or 'LOST'.
local call = redis.call
if call('EXISTS', KEYS[1]) == 0 then return 'LOST' end
local sizes = {}
for i = 2, #KEYS do sizes[i - 1] = call('SCARD', KEYS[i]) end
return table.concat(sizes, ' ')
