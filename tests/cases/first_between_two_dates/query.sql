SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, arg_min_null(e."device", CAST(epoch_us(e."#event_time") AS HUGEINT) * 1000000000000 + e."$row") AS value
  FROM events AS e
  WHERE e."#event_name" = 'login'
    AND e."#event_time" >= TIMESTAMP '2026-07-07 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-14 16:00:00.000000'
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
  GROUP BY e."#user_id"
) AS valued
WHERE value IS NOT NULL
