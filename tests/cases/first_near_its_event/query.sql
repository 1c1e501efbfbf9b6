SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, e."due" AS value, row_number() OVER (PARTITION BY e."#user_id" ORDER BY e."#event_time", e."$row") AS n
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."due" BETWEEN e."#event_time" - to_seconds(0) AND e."#event_time" + to_seconds(3600)
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
) AS valued
WHERE n = 1 AND value IS NOT NULL
