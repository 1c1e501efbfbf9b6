WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND (e."item" = 'food' AND e."gift")
  GROUP BY e."#user_id"
  UNION ALL
  SELECT e."#user_id" AS user_id, 2 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'login'
  GROUP BY e."#user_id"
  UNION ALL
  SELECT u."#user_id" AS user_id, CASE WHEN u."level" > 3 THEN 4 ELSE 0 END + CASE WHEN (NOT (u."vip") AND contains(u."city", 'B')) THEN 8 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."level" > 3 OR (NOT (u."vip") AND contains(u."city", 'B'))
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id
FROM masks
WHERE (((m0 & 1) <> 0 AND (m0 & 2) <> 0) AND ((m0 & 4) <> 0 AND (m0 & 8) <> 0))
