WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
  GROUP BY e."#user_id"
  HAVING max(e."amount") < CAST('100.00' AS DECIMAL(5, 2))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
