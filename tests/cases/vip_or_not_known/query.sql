WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."vip" THEN 1 ELSE 0 END + CASE WHEN u."vip" IS NULL THEN 2 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."vip" OR u."vip" IS NULL
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 OR (m0 & 2) <> 0)
