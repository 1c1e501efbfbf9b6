WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND e."#event_time" >= TIMESTAMP '2026-07-07 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2026-07-14 16:00:00.000000'
  GROUP BY e."#user_id"
  UNION ALL
  SELECT u."#user_id" AS user_id, CASE WHEN c0."user_id" IS NULL THEN 2 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of whales" AS c0 ON c0.user_id = u."#user_id"
  WHERE c0."user_id" IS NULL
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
