WITH bits AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'login'
  GROUP BY e."#user_id"
  HAVING count(*) > 2
  UNION ALL
  SELECT u."#user_id" AS user_id, CASE WHEN u."vip" THEN 2 ELSE 0 END + CASE WHEN (c0."user_id" IS NOT NULL OR c1."user_id" IS NOT NULL OR u."level" < 0) THEN 4 ELSE 0 END AS m0
  FROM users AS u
  LEFT JOIN "members of whales" AS c0 ON c0.user_id = u."#user_id"
  LEFT JOIN "members of nobody" AS c1 ON c1.user_id = u."#user_id"
  WHERE u."vip" OR (c0."user_id" IS NOT NULL OR c1."user_id" IS NOT NULL OR u."level" < 0)
), masks AS (
  SELECT user_id, bit_or(m0) AS m0
  FROM bits
  GROUP BY user_id
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 OR ((m0 & 2) <> 0 AND (m0 & 4) <> 0))
  AND user_id IN (SELECT "#user_id" FROM users)
