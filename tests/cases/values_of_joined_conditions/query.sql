WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'pay'
    AND (e."item" = 'food' OR e."gift")
  GROUP BY e."#user_id"
  UNION ALL
  SELECT e."#user_id" AS user_id, 2 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'login'
  GROUP BY e."#user_id"
  HAVING count(*) > 1
  UNION ALL
  SELECT e."#user_id" AS user_id, 4 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'share'
  GROUP BY e."#user_id"
  UNION ALL
  SELECT u."#user_id" AS user_id, CASE WHEN contains(u."city", '上海') THEN 8 ELSE 0 END + CASE WHEN (u."vip" AND u."level" > 5) THEN 16 ELSE 0 END AS m0
  FROM users AS u
  WHERE contains(u."city", '上海') OR (u."vip" AND u."level" > 5)
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id, CASE WHEN ((m0 & 1) <> 0 AND (m0 & 2) <> 0) THEN 'A' WHEN ((m0 & 4) <> 0 OR ((m0 & 8) <> 0 OR (m0 & 16) <> 0)) THEN 'B' END AS value
FROM masks
WHERE (((m0 & 1) <> 0 AND (m0 & 2) <> 0) OR ((m0 & 4) <> 0 OR ((m0 & 8) <> 0 OR (m0 & 16) <> 0)))
  AND user_id IN (SELECT "#user_id" FROM users)
