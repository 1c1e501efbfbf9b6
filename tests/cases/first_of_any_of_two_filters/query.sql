SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, e."item" AS value, row_number() OVER (PARTITION BY e."#user_id" ORDER BY e."#event_time", e."$row") AS n
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND (e."gift" OR e."count" > 4)
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
) AS valued
WHERE n = 1 AND value IS NOT NULL
