WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'login'
    AND e."#event_time" >= TIMESTAMP '2026-06-14 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-14 16:00:00.000000'
  GROUP BY e."#user_id"
  HAVING NOT (count(*) < 3)
  UNION ALL
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (u."vip") THEN 2 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (u."vip")
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) = 0 AND (m0 & 2) <> 0)
