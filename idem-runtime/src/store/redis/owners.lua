-- Whether this owner is the row's owner, or released the key before.
local function remembers(owner)
  if ow == owner then return true end
  for i = 1, #en, 16 do
    if en:sub(i, i + 15) == owner then return true end
  end
  return false
end

-- The owners that released the key, with this one added.
local function left(owner)
  for i = 1, #en, 16 do
    if en:sub(i, i + 15) == owner then return en end
  end
  return (owner .. en):sub(1, 64)
end

