WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."#event_time" >= TIMESTAMP '2026-06-30 16:00:00.000000'
  GROUP BY e."#user_id"
  HAVING (sum(e."amount") >= CAST('100.00' AS DECIMAL(5, 2)) AND sum(e."amount") <= CAST('9000000000000000.00' AS DECIMAL(18, 2)))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
