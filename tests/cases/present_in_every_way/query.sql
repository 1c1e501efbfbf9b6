WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."city" IS NOT NULL THEN 1 ELSE 0 END + CASE WHEN u."credit" IS NOT NULL THEN 2 ELSE 0 END + CASE WHEN u."vip" IS NOT NULL THEN 4 ELSE 0 END + CASE WHEN u."registered" IS NOT NULL THEN 8 ELSE 0 END + CASE WHEN u."tags" IS NOT NULL THEN 16 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."city" IS NOT NULL OR u."credit" IS NOT NULL OR u."vip" IS NOT NULL OR u."registered" IS NOT NULL OR u."tags" IS NOT NULL
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0 AND (m0 & 4) <> 0 AND (m0 & 8) <> 0 AND (m0 & 16) <> 0)
