-- ARGV: owner, fence, how ('failed', 'unknown', 'keep' or 'unrun'), how long a failed attempt stays, how long a row
-- that nobody needs stays, channel.
local me, how, failed, linger = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
if not sound then return found(0) end

-- Nobody's key, for so long.
local function free(stays)
  st, db, pu = FREE, '', after(now, stays)
  write()
end

if how == 'unrun' then
  if not st then
    ow, fe, un, at, pv, pf, fp, en = me, '0', text(now), '0', '1', '', '', ''
    free(linger)
  elseif st == RUNNING and ow == me then
    at = text(math.max(at - 1, 0))
    if db ~= '' then
      -- An orphan again: its outcome is as unknown as before.
      st = UNKNOWN
      write()
    else
      free(pv == '2' and failed or linger)
    end
    wake(ARGV[6])
  elseif not remembers(me) then
    en = left(me)
    -- A row that expires forgets who left.
    if pu ~= '' and tonumber(pu) < now + linger then pu = after(now, linger) end
    write()
  end
  return 1
end

if not (ow == me and fe == ARGV[2]) then return found(0) end
if how == 'failed' and (st == RUNNING or st == UNKNOWN) then
  pv, pf = '2', ''
  free(failed)
elseif how == 'unknown' and st == RUNNING then
  st, db = UNKNOWN, fe
  write()
elseif how == 'keep' and st == RUNNING then
  -- Still held, until its lease ends: nobody is woken.
  st = KEPT
  write()
  return 1
else
  return found(0)
end
wake(ARGV[6])
return 1
