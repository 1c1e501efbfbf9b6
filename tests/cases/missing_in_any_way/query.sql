WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."city" IS NULL THEN 1 ELSE 0 END + CASE WHEN u."score" IS NULL THEN 2 ELSE 0 END + CASE WHEN u."vip" IS NULL THEN 4 ELSE 0 END + CASE WHEN u."registered" IS NULL THEN 8 ELSE 0 END + CASE WHEN u."tags" IS NULL THEN 16 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."city" IS NULL OR u."score" IS NULL OR u."vip" IS NULL OR u."registered" IS NULL OR u."tags" IS NULL
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 OR (m0 & 2) <> 0 OR (m0 & 4) <> 0 OR (m0 & 8) <> 0 OR (m0 & 16) <> 0)
