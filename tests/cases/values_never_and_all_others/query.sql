WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
  GROUP BY e."#user_id"
  UNION ALL
  SELECT e."#user_id" AS user_id, 2 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
  GROUP BY e."#user_id"
  UNION ALL
  SELECT u."#user_id" AS user_id, 0 AS m0
  FROM users AS u
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id, CASE WHEN (m0 & 1) = 0 THEN '从未付费' WHEN (m0 & 2) <> 0 THEN '付过费' END AS value
FROM masks
WHERE ((m0 & 1) = 0 OR (m0 & 2) <> 0)
  AND user_id IN (SELECT "#user_id" FROM users)
