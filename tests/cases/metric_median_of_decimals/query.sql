SELECT user_id, value
FROM (
  SELECT e."#user_id" AS user_id, CAST((quantile_disc(e."amount", 0.5) - quantile_disc(-e."amount", 0.5)) * 0.5 AS DECIMAL(38, 3)) AS value
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."#user_id" IN (SELECT "#user_id" FROM users)
  GROUP BY e."#user_id"
) AS valued
WHERE value IS NOT NULL
