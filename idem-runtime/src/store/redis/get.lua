return { 0, now, row, re }
