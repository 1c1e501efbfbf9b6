SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, CAST(sum(e."count") AS DECIMAL(38, 0)) AS value
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."count" > 0
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
  GROUP BY e."#user_id"
) AS valued
WHERE value IS NOT NULL
