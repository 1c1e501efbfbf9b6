WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'login'
    AND e."#event_time" >= TIMESTAMP '2026-07-14 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-15 16:00:00.000000'
  GROUP BY e."#user_id"
)
SELECT user_id, CASE WHEN (m0 & 1) <> 0 THEN '今天登录' END AS value
FROM masks
WHERE (m0 & 1) <> 0
  AND user_id IN (SELECT "#user_id" FROM users)
