SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, arg_max_null(e."amount", CAST(epoch_us(e."#event_time") AS HUGEINT) * 1000000000000 + e."$row") AS value
  FROM events AS e
  JOIN users AS u ON u."#user_id" = e."#user_id"
  WHERE e."#event_name" = 'pay'
    AND e."#event_time" >= TIMESTAMP '2026-07-07 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-15 16:00:00.000000'
    AND (u."vip" AND (e."item" IN ('food', 'game') OR list_has_any(e."perks", ['vip'])))
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
  GROUP BY e."#user_id"
) AS valued
WHERE value IS NOT NULL
