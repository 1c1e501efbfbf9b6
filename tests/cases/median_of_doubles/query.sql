WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."#event_time" < TIMESTAMP '2026-07-13 16:00:00.000000'
  GROUP BY e."#user_id"
  HAVING round(median(e."ratio"), 9) = CAST('0.3' AS DOUBLE)
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
