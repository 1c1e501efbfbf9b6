SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, round(avg(e."ratio"), 9) AS value
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."#event_time" >= TIMESTAMP '2026-07-08 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-15 16:00:00.000000'
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
  GROUP BY e."#user_id"
) AS valued
WHERE value IS NOT NULL
